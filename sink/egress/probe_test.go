package egress_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"vigil/config/endpoints"
	"vigil/sink/egress"
)

func TestProbe(t *testing.T) {
	touched := false
	receiver := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { touched = true })
	plain := httptest.NewServer(receiver)
	defer plain.Close()
	secure := httptest.NewTLSServer(receiver)
	defer secure.Close()
	policy := egress.Policy{
		LookupEnv: func(string) (string, bool) { return "", false },
		LookupIP: func(_ context.Context, _, host string) ([]netip.Addr, error) {
			if host == "mixed.example" {
				return []netip.Addr{netip.MustParseAddr("93.184.215.14"), netip.MustParseAddr("10.0.0.1")}, nil
			}
			addr, err := netip.ParseAddr(host)
			return []netip.Addr{addr}, err
		},
	}
	open := endpoints.Endpoint{Name: "a", URL: plain.URL, AllowHTTP: true, AllowPrivate: true}
	found, err := policy.Probe(t.Context(), open)
	if err != nil || !strings.HasSuffix(plain.URL, found.Remote) || found.Signed || !found.Expires.IsZero() {
		t.Errorf("%+v, %v", found, err)
	}
	for name, row := range map[string]struct {
		e          endpoints.Endpoint
		code, text string
	}{
		"private":     {endpoints.Endpoint{URL: plain.URL, AllowHTTP: true}, "blocked", "allow_private"},
		"http":        {endpoints.Endpoint{URL: plain.URL, AllowPrivate: true}, "blocked", "allow_http"},
		"mixed":       {endpoints.Endpoint{URL: "https://mixed.example"}, "blocked", "allow_private"},
		"self-signed": {endpoints.Endpoint{URL: secure.URL, AllowPrivate: true}, "tls", "TLS: "},
		"no secret":   {endpoints.Endpoint{URL: plain.URL, AllowHTTP: true, AllowPrivate: true, Secrets: []string{"env:NONE"}}, egress.CodeSettings, "NONE"},
	} {
		if found, err := policy.Probe(t.Context(), row.e); err == nil || found.Code != row.code || !strings.Contains(err.Error(), row.text) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	if touched {
		t.Error("a probe sent a request")
	}
}
