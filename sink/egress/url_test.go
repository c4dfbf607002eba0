package egress

import (
	"strings"
	"testing"

	"vigil/config/endpoints"
	"vigil/webhook"
)

// TestURLs judges URLs before anything is resolved: as inline URLs, and with allow_private.
func TestURLs(t *testing.T) {
	const fine, blocked, bad = "", "blocked", "bad_url"
	for text, want := range map[string]struct{ inline, open string }{
		"https://example.com/":             {fine, fine},
		"https://example.com:443/a?b=c":    {fine, fine},
		"https://example.com:8443/":        {fine, fine},
		"https://EXAMPLE.com./":            {fine, fine},
		"https://xn--mnchen-3ya.example/":  {fine, fine},
		"https://8.8.8.8/":                 {fine, fine},
		"https://[2606:4700:4700::1111]/":  {fine, fine},
		"https://example.com:444/":         {blocked, fine},
		"https://example.com:9092/":        {blocked, blocked},
		"https://example.com:22/":          {blocked, blocked},
		"http://example.com/":              {blocked, fine},
		"https://localhost/":               {blocked, fine},
		"https://a.localhost./":            {blocked, fine},
		"https://metadata.google.internal": {blocked, fine},
		"https://x.default.svc/":           {blocked, fine},
		"https://127.0.0.1/":               {blocked, fine},
		"https://169.254.169.254/":         {blocked, blocked},
		"https://[::1]/":                   {blocked, fine},
		"https://[::ffff:127.0.0.1]/":      {blocked, blocked},
		"https://127.1/":                   {blocked, blocked},
		"https://0x7f.0.0.1/":              {blocked, blocked},
		"https://0x7f000001/":              {blocked, blocked},
		"https://2130706433/":              {blocked, blocked},
		"https://0177.0.0.1/":              {blocked, blocked},
		"https://0/":                       {blocked, blocked},
		"https://good@127.0.0.1/":          {bad, bad},
		"https://good:80@127.0.0.1:81/":    {bad, bad},
		"https://example.com/#@evil":       {bad, bad},
		"https://example.com\\@127.0.0.1/": {bad, bad},
		"https:///x":                       {bad, bad},
		"https:127.0.0.1":                  {bad, bad},
		"https://example.com:0/":           {bad, bad},
		"https://example.com:99999/":       {bad, bad},
		"https://example.com:x/":           {bad, bad},
		"file:///etc/passwd":               {bad, bad},
		"gopher://example.com/":            {bad, bad},
		"//example.com/":                   {bad, bad},
		"https://example.com/%0d%0aX:1":    {bad, bad},
		"https://example.com/a\r\nb":       {bad, bad},
		"https://[::1%25eth0]/":            {blocked, blocked},
		"https://ｅxample.com/":             {bad, bad},
		"https://exa mple.com/":            {bad, bad},
	} {
		for _, allow := range []bool{false, true} {
			p := &Policy{AllowPrivate: allow, AllowHTTP: allow}
			set, err := NewEndpoints(p, nil)
			if err != nil {
				t.Fatal(err)
			}
			code := ""
			if _, err := set.Find("").url(p, &webhook.Delivery{URL: text}); err != nil {
				code = failed(err).Code
			}
			if expected := map[bool]string{false: want.inline, true: want.open}[allow]; code != expected {
				t.Errorf("%q (open: %v): %q, want %q", text, allow, code, expected)
			}
		}
	}
}

func TestPathsStayBelowTheEndpoint(t *testing.T) {
	e := newTestEndpoint(t, "https://example.com:9443/hooks/v1?token=x")
	for path, want := range map[string]string{
		"":                "https://example.com:9443/hooks/v1?token=x",
		"/carts":          "https://example.com:9443/hooks/v1/carts?token=x",
		"/carts?a=b":      "https://example.com:9443/hooks/v1/carts?token=x&a=b",
		"?a=b":            "https://example.com:9443/hooks/v1?token=x&a=b",
		"/a%2Fb/c%20d":    "https://example.com:9443/hooks/v1/a%2Fb/c%20d?token=x",
		"/a@evil.com":     "https://example.com:9443/hooks/v1/a@evil.com?token=x",
		"carts":           "bad_url",
		"//evil.com/":     "bad_url",
		"https://evil/":   "bad_url",
		"/../admin":       "bad_url",
		"/%2e%2e/admin":   "bad_url",
		"/a%0d%0aX-Y: z":  "bad_url",
		"@evil.com/":      "bad_url",
		":22/":            "bad_url",
		"/a\x00b":         "bad_url",
		"/carts#fragment": "https://example.com:9443/hooks/v1/carts?token=x",
	} {
		for range 2 { // the second time it is known
			u, err := e.url(&Policy{}, &webhook.Delivery{Endpoint: "e", Path: path})
			got := ""
			if err != nil {
				got = failed(err).Code
			} else {
				got = u.String()
			}
			if got != want {
				t.Errorf("%q: %s, want %s", path, got, want)
			}
		}
	}
}

func newTestEndpoint(t *testing.T, url string) *Endpoint {
	t.Helper()
	set, err := NewEndpoints(&Policy{}, []endpoints.Endpoint{{Name: "e", URL: url}})
	if err != nil {
		t.Fatal(err)
	}
	return set.Find("e")
}

func TestEndpointsNameEveryMistake(t *testing.T) {
	_, err := NewEndpoints(&Policy{DefaultSecrets: []string{"env:NONE"}}, []endpoints.Endpoint{
		{Name: "plain", URL: "http://example.com/"},
		{Name: "inside", URL: "https://10.0.0.1/"},
		{Name: "secret", URL: "https://example.com/", Secrets: []string{"env:NONE"}},
		{Name: "header", URL: "https://example.com/", Headers: map[string]string{"Host": "x"}},
		{Name: "fine", URL: "https://example.com/"},
	})
	for _, want := range []string{"plain", "inside", "secret", "header", "default secrets"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}
