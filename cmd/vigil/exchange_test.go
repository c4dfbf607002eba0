package main

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vigil/config"
	"vigil/config/endpoints"
	"vigil/webhook"
)

func TestRehearse(t *testing.T) {
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Set-Cookie", "session=1")
		if r.URL.Path == "/teapot" {
			w.WriteHeader(http.StatusTeapot)
		}
		_, _ = w.Write([]byte(strings.Repeat("x", 5000))) // more than is shown
	}))
	defer receiver.Close()
	delivery := func(path string) *webhook.Delivery {
		return &webhook.Delivery{V: 1, FireID: "test-1", Endpoint: "shop", Method: "POST", Path: path, Body: []byte(`{"a":1}`), Attempt: 1, At: time.Now()}
	}
	open := endpoints.Endpoint{
		Name: "shop", URL: receiver.URL, AllowHTTP: true, AllowPrivate: true, Secrets: []string{"env:S"}, Headers: map[string]string{"X-Api-Key": "12345", "X-Password": "67890"},
	}
	t.Setenv("S", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjU")
	policy := egressPolicy(config.Default().Sink)
	x, err := rehearse(t.Context(), policy, open, delivery("/ok"))
	if err != nil {
		t.Fatal(err)
	}
	if x.Outcome != "success" || x.Status != "200 OK" || x.URL != receiver.URL+"/ok" || x.Body != `{"a":1}` || len(x.Answer) != webhook.MaxResponseBytes {
		t.Errorf("got %+v", x)
	}
	if x.Sent.Get("X-Api-Key") != "***" || x.Sent.Get("X-Password") != "***" || x.Headers.Get("Set-Cookie") != "***" || !strings.HasPrefix(x.Sent.Get("Webhook-Signature"), "v1,") {
		t.Errorf("headers %v, %v", x.Sent, x.Headers)
	}
	if x, err = rehearse(t.Context(), policy, open, delivery("/teapot")); err != nil || x.Outcome != "permanent" || x.Status != "418 I'm a teapot" {
		t.Errorf("got %+v, %v", x, err)
	}
	closed := open
	closed.AllowPrivate = false
	if _, err := rehearse(t.Context(), policy, closed, delivery("")); err == nil || !strings.Contains(err.Error(), "egress policy") {
		t.Errorf("the guard let it through: %v", err)
	}
	receiver.Close()
	if x, err = rehearse(t.Context(), policy, open, delivery("")); err != nil || x.Outcome != "retryable" || x.Status != "" || !strings.Contains(x.Reason, "refused") {
		t.Errorf("got %+v, %v", x, err)
	}
}
