package demo_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"vigil/demo"
	"vigil/webhook"
)

const secret = "whsec_c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0ISE="

// TestReceiver shows what each request is answered, and whether it is told.
func TestReceiver(t *testing.T) {
	const native = `{"fire_id":"ab","campaign":"abandoned-cart","user":"Ada","at":"2026-11-25T10:02:16.000Z","key":"c1",
		"trigger":{"anchor":{"id":"e1","type":"cart_add","time":"2026-11-25T10:02:11.000Z","properties":{"value":149,"currency":"EUR"}}}}`
	for _, row := range []struct {
		name, secret, body string
		age                time.Duration
		want               int
	}{
		{"signed", secret, native, 0, http.StatusNoContent},
		{"another secret", "whsec_YW5vdGhlci1hbm90aGVyLWFub3RoZXItYW5vdGhlciE=", native, 0, http.StatusUnauthorized},
		{"signed long ago", secret, native, 6 * time.Minute, http.StatusUnauthorized},
		{"signed, but no JSON", secret, "hello", 0, http.StatusBadRequest},
		{"too long", secret, strings.Repeat("x", 1<<20+1), 0, http.StatusBadRequest},
	} {
		told := 0
		receiver, err := demo.NewReceiver(secret, func(demo.Webhook) { told++ })
		if err != nil {
			t.Fatal(err)
		}
		answer := httptest.NewRecorder()
		receiver.ServeHTTP(answer, request(t, row.secret, row.body, time.Now().Add(-row.age)))
		if answer.Code != row.want {
			t.Errorf("%s: answered %d, want %d", row.name, answer.Code, row.want)
		}
		if want := row.want == http.StatusNoContent || row.want == http.StatusUnauthorized; (told == 1) != want {
			t.Errorf("%s: told %d times", row.name, told)
		}
	}
}

func request(t *testing.T, secret, body string, at time.Time) *http.Request {
	t.Helper()
	signer, err := webhook.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	req := httptest.NewRequest(http.MethodPost, "/carts", strings.NewReader(body))
	req.Header.Set(webhook.IDHeader, "ab")
	req.Header.Set(webhook.TimestampHeader, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(webhook.SignatureHeader, signer.Sign("ab", at.Unix(), []byte(body)))
	return req
}

func TestSecretForm(t *testing.T) {
	for _, bad := range []string{"", "whsec_", "c2VjcmV0", "whsec_!!"} {
		if _, err := demo.NewReceiver(bad, nil); err == nil {
			t.Errorf("%q was taken for a secret", bad)
		}
	}
}
