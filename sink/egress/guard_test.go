package egress

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vigil/config/endpoints"
	"vigil/webhook"
)

// literals are special-purpose addresses of every kind, and what allow_private makes of them.
var literals = map[string]struct{ public, local bool }{
	"8.8.8.8": {true, true}, "1.1.1.1": {true, true}, "168.63.129.15": {true, true}, "2606:4700:4700::1111": {true, true},
	"2a00:1450:4001:81b::200e": {true, true}, "100.128.0.1": {true, true}, "172.32.0.1": {true, true},
	"0.0.0.0": {}, "0.1.2.3": {}, "10.0.0.1": {local: true}, "100.64.0.1": {}, "100.100.100.200": {}, "127.0.0.1": {local: true},
	"127.9.9.9": {local: true}, "169.254.169.254": {}, "169.254.170.2": {}, "172.16.0.1": {local: true}, "172.31.255.255": {local: true},
	"192.0.0.192": {}, "192.0.2.1": {}, "198.51.100.7": {}, "203.0.113.7": {}, "192.31.196.1": {}, "192.52.193.1": {},
	"192.88.99.1": {}, "192.168.1.1": {local: true}, "192.175.48.1": {}, "198.18.0.1": {}, "198.19.255.255": {}, "224.0.0.1": {},
	"239.255.255.250": {}, "240.0.0.1": {}, "255.255.255.255": {}, "168.63.129.16": {},
	"::": {}, "::1": {local: true}, "::ffff:10.0.0.1": {}, "::ffff:8.8.8.8": {}, "::ffff:0:10.0.0.1": {}, "::127.0.0.1": {},
	"2001:0:4136:e378::1": {}, "2001:db8::1": {}, "2002:7f00:1::": {}, "2620:4f:8000::1": {}, "3fff::1": {}, "64:ff9b::7f00:1": {},
	"64:ff9b:1::1": {}, "100::1": {}, "5f00::1": {}, "fc00::1": {local: true}, "fd00:ec2::254": {}, "fd12::1": {local: true},
	"fe80::1": {}, "fec0::1": {}, "ff02::1": {}, "fe80::5efe:7f00:1": {}, "fe80::1%lo": {}, "fc00::1%lo": {}, "8000::1": {},
}

func TestGuardOverLiterals(t *testing.T) {
	for text, want := range literals {
		addr := netip.MustParseAddr(text)
		if got := (guard{}).address(addr, 443) == nil; got != want.public {
			t.Errorf("%s: allowed is %v", text, got)
		}
		if got := (guard{allowPrivate: true}).address(addr, 443) == nil; got != want.local {
			t.Errorf("%s with allow_private: allowed is %v", text, got)
		}
	}
	for _, port := range refusedPorts {
		if (guard{allowPrivate: true}).address(netip.MustParseAddr("8.8.8.8"), port) == nil {
			t.Errorf("port %d is allowed", port)
		}
	}
	own := guard{denied: prefixes("20.0.0.0/8"), allowPrivate: true}
	if own.address(netip.MustParseAddr("20.1.2.3"), 443) == nil {
		t.Error("the operator's own range is allowed")
	}
}

// TestGuardRefusesEveryAddressOfItsPrefixes fills the bits below each refused prefix at random.
func TestGuardRefusesEveryAddressOfItsPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom(append(append([]netip.Prefix{}, refused4...), refused6...)).Draw(t, "prefix")
		addr := below(t, prefix)
		if err := (guard{}).address(addr, 443); err == nil {
			t.Fatalf("%s of %s is allowed", addr, prefix)
		}
		mapped := netip.AddrFrom16(addr.As16())
		if err := (guard{}).address(mapped, 443); err == nil {
			t.Fatalf("%s of %s is allowed", mapped, prefix)
		}
		outside := below(t, netip.MustParsePrefix("::/0"))
		if !global6.Contains(outside) && (guard{}).address(outside, 443) == nil {
			t.Fatalf("%s is allowed", outside)
		}
	})
}

func below(t *rapid.T, prefix netip.Prefix) netip.Addr {
	b := prefix.Addr().AsSlice()
	random := rapid.SliceOfN(rapid.Byte(), len(b), len(b)).Draw(t, "bits")
	for i := range b {
		for bit := range 8 {
			if i*8+bit >= prefix.Bits() {
				b[i] |= random[i] & (0x80 >> bit)
			}
		}
	}
	addr, _ := netip.AddrFromSlice(b)
	return addr
}

func TestControl(t *testing.T) {
	for address, ok := range map[string]bool{
		"8.8.8.8:443": true, "127.0.0.1:443": false, "[::1]:443": false, "[fe80::1%lo]:443": false, "8.8.8.8:22": false, "garbage": false,
		"8.8.8.8:99999": false,
	} {
		if got := (guard{}).control("tcp", address, nil) == nil; got != ok {
			t.Errorf("%s: allowed is %v", address, got)
		}
	}
}

// TestMixedAnswersAreRefused: one private address among the answers refuses the name.
func TestMixedAnswersAreRefused(t *testing.T) {
	calls := 0
	g := guard{lookup: func(context.Context, string, string) ([]netip.Addr, error) {
		calls++
		return []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("10.0.0.1")}, nil
	}}
	var blocked *blockedError
	if _, err := g.dial(t.Context(), "tcp", "mixed.example.com:443"); !errors.As(err, &blocked) || calls != 1 {
		t.Errorf("got %v after %d lookups", err, calls)
	}
}

// TestRebindingIsRefused: what a name resolved to before means nothing for this dial.
func TestRebindingIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	g := guard{lookup: func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}}
	var blocked *blockedError
	if _, err := g.dial(t.Context(), "tcp", "rebound.example.com:"+port); !errors.As(err, &blocked) {
		t.Errorf("got %v", err)
	}
	g.allowPrivate = true
	conn, err := g.dial(t.Context(), "tcp", "rebound.example.com:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestNamesThatDoNotAnswerEndWithTheDial(t *testing.T) {
	g := guard{lookup: func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, &net.DNSError{Err: "i/o timeout", IsTimeout: true}
	}}
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := g.dial(ctx, "tcp", "silent.example.com:443"); classify(err).code != "dns_failure" || time.Since(start) > time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

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
