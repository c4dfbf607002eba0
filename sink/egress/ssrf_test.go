package egress

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"vigil/config/endpoints"
	"vigil/sink/guard"
	"vigil/webhook"
)

// TestSSRF is the table of delivery 8.2 as a whole, through the sender; `make faults` prints its last line. What is allowed
// goes to a proxy of the test, which leads every address to one server: nothing leaves this machine.
func TestSSRF(t *testing.T) {
	var rows []row
	for _, part := range [][]row{addressRows(), portRows(), nameGuardRows(), spellingRows(), urlRows(), ruleRows()} {
		rows = append(rows, part...)
	}
	runTable(t, "SSRF table", rows)
}

// world is a proxy that leads everywhere to one server that answers 200, and a resolver.
type world struct {
	hop   *hop
	names *names
}

func newWorld(t *testing.T, zone func(name string, n int) said) world {
	t.Helper()
	f := serve(t, func(w net.Conn, _, _ int) bool {
		_, err := io.WriteString(w, okHead+"Connection: close\r\nContent-Length: 0\r\n\r\n")
		return err == nil
	})
	if zone == nil {
		zone = func(string, int) said { return said{rcode: 3} }
	}
	return world{serveHop(t, connected, strings.TrimSuffix(strings.TrimPrefix(f.url, "http://"), "/")), serveNames(t, zone)}
}

// try makes an attempt at a URL as an endpoint's own.
func (w world) try(t *testing.T, url string, private bool) string {
	t.Helper()
	s := senderOf(t, behind(w.hop, w.names))
	set, err := NewEndpoints(s.policy, []endpoints.Endpoint{{Name: "e", URL: url, AllowHTTP: true, AllowPrivate: private}})
	if err != nil {
		return outcome(failed(err))
	}
	a := s.Send(t.Context(), set.Find("e"), &webhook.Delivery{FireID: "f1", Endpoint: "e", Method: "POST", Body: []byte("{}"), Attempt: 1})
	if strings.HasPrefix(outcome(a), "permanent") {
		require(t, a, outcome(a))
		for _, secret := range []string{"10.0.0.1", "127.0.0.1", "169.254"} {
			if strings.Contains(a.Reason, secret) && !strings.Contains(url, secret) {
				t.Errorf("the owner of the URL is told what it resolves to: %s", a.Reason)
			}
		}
	}
	return outcome(a)
}

const fine, blocked, noURL = "success 200", "permanent blocked", "permanent bad_url"

// addressRows are special-purpose addresses of every kind, each as the host of a URL and as what a name resolves to.
func addressRows() []row {
	var rows []row
	for text, c := range map[string]struct{ public, private bool }{
		"8.8.8.8": {true, true}, "1.1.1.1": {true, true}, "168.63.129.15": {true, true}, "100.128.0.1": {true, true}, "172.32.0.1": {true, true},
		"2606:4700:4700::1111": {true, true}, "2a00:1450:4001:81b::200e": {true, true},
		"0.0.0.0": {}, "0.1.2.3": {}, "10.0.0.1": {private: true}, "100.64.0.1": {}, "100.100.100.200": {}, "127.0.0.1": {private: true},
		"127.9.9.9": {private: true}, "169.254.169.254": {}, "169.254.170.2": {}, "172.16.0.1": {private: true}, "172.31.255.255": {private: true},
		"192.0.0.192": {}, "192.0.2.1": {}, "198.51.100.7": {}, "203.0.113.7": {}, "192.31.196.1": {}, "192.52.193.1": {},
		"192.88.99.1": {}, "192.168.1.1": {private: true}, "192.175.48.1": {}, "198.18.0.1": {}, "198.19.255.255": {}, "224.0.0.1": {},
		"239.255.255.250": {}, "240.0.0.1": {}, "255.255.255.255": {}, "168.63.129.16": {},
		"::": {}, "::1": {private: true}, "::ffff:10.0.0.1": {}, "::ffff:8.8.8.8": {}, "::ffff:0:10.0.0.1": {}, "::127.0.0.1": {},
		"2001:0:4136:e378::1": {}, "2001:db8::1": {}, "2002:7f00:1::": {}, "2620:4f:8000::1": {}, "3fff::1": {}, "64:ff9b::7f00:1": {},
		"64:ff9b:1::1": {}, "100::1": {}, "5f00::1": {}, "fc00::1": {private: true}, "fd00:ec2::254": {}, "fd12::1": {private: true},
		"fe80::1": {}, "fec0::1": {}, "ff02::1": {}, "fe80::5efe:7f00:1": {}, "8000::1": {},
	} {
		rows = append(rows, row{name: "address " + text, run: func(t *testing.T) {
			w, asked := newWorld(t, nil), 0
			for private, allowed := range map[bool]bool{false: c.public, true: c.private} {
				want := map[bool]string{true: fine, false: blocked}[allowed]
				if got := w.try(t, "http://"+netip.AddrPortFrom(netip.MustParseAddr(text), 8080).String()+"/", private); got != want {
					t.Errorf("allow_private %v: %s, want %s", private, got, want)
				}
				if allowed {
					asked++
				}
			}
			if got := w.hop.targets(); len(got) != asked {
				t.Errorf("the proxy was asked for %v", got)
			}
		}})
	}
	return rows
}

func portRows() []row {
	var rows []row
	for _, port := range []int{22, 25, 2375, 2379, 5432, 6379, 8500, 9092, 9200, 10250, 11211} {
		rows = append(rows, row{name: fmt.Sprint("port ", port), run: func(t *testing.T) {
			w := newWorld(t, func(string, int) said { return said{addrs: []string{"8.8.8.8"}} })
			for _, host := range []string{"8.8.8.8", "shop.example"} {
				for _, private := range []bool{false, true} {
					if got := w.try(t, fmt.Sprintf("http://%s:%d/", host, port), private); got != blocked {
						t.Errorf("%s: %s", host, got)
					}
				}
			}
			if len(w.hop.targets()) != 0 {
				t.Error("it was reached")
			}
		}})
	}
	for _, port := range []uint16{80, 443, 8080, 8443, 8081, 9000} {
		rows = append(rows, row{name: fmt.Sprint("port of an inline URL ", port), run: func(t *testing.T) {
			for _, allowed := range [][]uint16{nil, {8081}} {
				p := &Policy{AllowPorts: allowed}
				set, err := NewEndpoints(p, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, err = set.Find("").url(p, &webhook.Delivery{URL: fmt.Sprintf("https://example.com:%d/", port)})
				open := port != 9000 && (port != 8081 || allowed != nil)
				if refused := new(guard.BlockedError); open == errors.As(err, &refused) {
					t.Errorf("allow_ports %v: %v", allowed, err)
				}
			}
		}})
	}
	return rows
}

// nameGuardRows are names that lead inside, at once or the second time.
func nameGuardRows() []row {
	always := func(addrs ...string) func(string, int) said {
		return func(string, int) said { return said{addrs: addrs} }
	}
	flip := func(addrs ...string) func(string, int) said { // TTL 0: another address each time
		return func(_ string, n int) said {
			n = max(1, min(n, len(addrs)))
			return said{addrs: addrs[n-1 : n]}
		}
	}
	var rows []row
	for _, c := range []struct {
		name, host string
		zone       func(string, int) said
		want       []string // of attempts one after the other
	}{
		{"public", "shop.example", always("93.184.215.14"), []string{fine}},
		{"private", "shop.example", always("10.0.0.1"), []string{blocked}},
		{"127-0-0-1.nip.io", "127-0-0-1.nip.io", always("127.0.0.1"), []string{blocked}},
		{"127.0.0.1.nip.io", "127.0.0.1.nip.io", always("127.0.0.1"), []string{blocked}},
		{"public and private", "shop.example", always("93.184.215.14", "10.0.0.1"), []string{blocked}},
		{"private and public", "shop.example", always("10.0.0.1", "93.184.215.14"), []string{blocked}},
		{"public and metadata", "shop.example", always("93.184.215.14", "169.254.169.254"), []string{blocked}},
		{"100 public, one private", "shop.example", func(string, int) said {
			a := said{cut: true}
			for i := range 100 {
				a.addrs = append(a.addrs, fmt.Sprintf("93.184.215.%d", i))
			}
			a.addrs = append(a.addrs, "127.0.0.1")
			return a
		}, []string{blocked}},
		{"CNAME to a private name", "shop.example", func(string, int) said { return said{cname: "db.internal", addrs: nil} }, []string{"retryable dns_not_found"}},
		{"rebinding between attempts", "shop.example", flip("93.184.215.14", "127.0.0.1"), []string{fine, blocked, blocked}},
		{"rebinding between check and dial", "shop.example", flip("93.184.215.14", "10.0.0.1"), []string{fine}},
		{"rebinding back and forth", "shop.example", flip("10.0.0.1", "93.184.215.14", "169.254.169.254"), []string{blocked, fine, blocked}},
		{"localhost", "localhost", always("93.184.215.14"), []string{blocked}},
		{"a.localhost.", "a.localhost.", always("93.184.215.14"), []string{blocked}},
		{"LOCALHOST", "LOCALHOST", always("93.184.215.14"), []string{blocked}},
		{"metadata.google.internal", "metadata.google.internal", always("93.184.215.14"), []string{blocked}},
		{"metadata.google.internal.", "metadata.google.internal.", always("93.184.215.14"), []string{blocked}},
		{"kubernetes.default.svc", "kubernetes.default.svc", always("93.184.215.14"), []string{blocked}},
		{"x.svc.cluster.local", "x.svc.cluster.local", always("93.184.215.14"), []string{blocked}},
		{"printer.local", "printer.local", always("93.184.215.14"), []string{blocked}},
		{"localhost.localdomain", "localhost.localdomain", always("93.184.215.14"), []string{blocked}},
		{"punycode", "xn--mnchen-3ya.example", always("93.184.215.14"), []string{fine}},
		{"trailing dot", "shop.example.", always("93.184.215.14"), []string{fine}},
		{"full-width letters", "ｌocalhost", always("127.0.0.1"), []string{noURL}},
		{"full-width digits", "１２７.0.0.1", always("127.0.0.1"), []string{noURL}},
		{"circled digits", "①②⑦.0.0.1", always("127.0.0.1"), []string{noURL}},
		{"ideographic full stop", "127。0。0。1", always("127.0.0.1"), []string{noURL}},
		{"percent-encoded host", "%31%32%37.0.0.1", always("127.0.0.1"), []string{noURL}},
		{"NUL in the host", "shop%00.example", always("93.184.215.14"), []string{noURL}},
		{"single label", "db", always("10.0.0.1"), []string{blocked}},
	} {
		rows = append(rows, row{name: "name " + c.name, run: func(t *testing.T) {
			w, reached := newWorld(t, c.zone), 0
			for i, want := range c.want {
				if got := w.try(t, "http://"+c.host+"/", false); got != want {
					t.Errorf("attempt %d: %s, want %s", i+1, got, want)
				}
				if want == fine {
					reached++
				}
			}
			for _, target := range w.hop.targets() {
				if reached--; target != "93.184.215.14:80" {
					t.Errorf("the proxy was asked for %s", target)
				}
			}
			if reached != 0 || w.names.times(strings.TrimSuffix(c.host, ".")) > 2*len(c.want) {
				t.Errorf("%d attempts missing, the name was asked for %d times", reached, w.names.times(c.host))
			}
		}})
	}
	return rows
}

// spellings are forms of 127.0.0.1 that the resolver of C reads as an address and that of Go does not.
var spellings = []string{"127.1", "127.0.1", "0x7f.0.0.1", "0x7f000001", "2130706433", "0177.0.0.1", "017700000001", "0", "0x0", "127.0.0.1.", "0127.0.0.1"}

// spellingRows judge each spelling in a URL, and at the dial with both resolvers of Go.
func spellingRows() []row {
	var rows []row
	for _, text := range spellings {
		rows = append(rows, row{name: "spelling " + text, run: func(t *testing.T) {
			w := newWorld(t, func(string, int) said { return said{addrs: []string{"127.0.0.1"}} })
			if got := w.try(t, "http://"+text+"/", false); got != blocked {
				t.Errorf("got %s", got)
			}
			if len(w.hop.targets()) != 0 {
				t.Error("it was reached")
			}
		}})
	}
	for _, resolver := range []string{"go", "cgo"} {
		rows = append(rows, row{name: "spellings at the dial, resolver " + resolver, run: func(t *testing.T) { dialInChild(t, resolver) }})
	}
	return rows
}

const childVariable = "EGRESS_TEST_DIAL"

// dialInChild runs TestDialSpellings in a process whose resolver is chosen: it is chosen once for a process.
func dialInChild(t *testing.T, resolver string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDialSpellings$", "-test.v")
	cmd.Env = append(os.Environ(), "GODEBUG=netdns="+resolver, childVariable+"="+resolver)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if resolver == "cgo" && !strings.Contains(string(out), "resolves to loopback") {
		t.Skip("this test binary has no resolver of C")
	}
}

// TestDialSpellings is the child: whatever a spelling resolves to, the dial must not reach it.
func TestDialSpellings(t *testing.T) {
	if os.Getenv(childVariable) == "" {
		t.Skip("run by the table in a process of its own")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	settings := guard.Settings{}
	if os.Getenv(childVariable) == "go" { // it would ask the network
		settings.Lookup = serveNames(t, func(string, int) said { return said{rcode: 3} }).lookup()
	}
	n, err := guard.Open(settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range spellings {
		conn, err := n.Guard(false).Dial(t.Context(), "tcp", net.JoinHostPort(text, port))
		if err == nil {
			conn.Close()
			t.Errorf("%s was reached", text)
		}
		if refused := new(guard.BlockedError); errors.As(err, &refused) {
			t.Logf("%s resolves to loopback", text)
		}
	}
}

// urlRows are URLs that try to look like something else.
func urlRows() []row {
	var rows []row
	for text, want := range map[string]string{
		"http://good@127.0.0.1/": noURL, "http://good:80@127.0.0.1:81/": noURL, "http://8.8.8.8/#@127.0.0.1/": noURL, "http://8.8.8.8\\@127.0.0.1/": noURL,
		"http:///x": noURL, "http://": noURL, "http:127.0.0.1": noURL, "http:/127.0.0.1/": noURL, "//127.0.0.1/": noURL, "127.0.0.1": noURL,
		"http://8.8.8.8:0/": noURL, "http://8.8.8.8:99999/": noURL, "http://8.8.8.8:-1/": noURL, "http://8.8.8.8:80:81/": noURL, "http://8.8.8.8:x/": noURL,
		"file:///etc/passwd": noURL, "gopher://8.8.8.8:6379/_x": noURL, "ftp://8.8.8.8/": noURL, "data:text/plain,x": noURL, "javascript:x": noURL, "unix:///run/x": noURL,
		"http://8.8.8.8/%0d%0aX-Y:%20z": noURL, "http://8.8.8.8/%00": noURL, "http://8.8.8.8/a\r\nX: y": noURL, "http://8.8.8.8/?a=\r\nX: y": noURL,
		"http://[::1%25eth0]/": blocked, "http://[fe80::1%25lo]/": blocked, "http://[::1]:80/": blocked, "http://[::ffff:127.0.0.1]/": blocked,
		"http://[127.0.0.1]/": noURL, "http://[8.8.8.8/": noURL, "http://8.8.8.8]/": noURL, "http://[::1].example/": noURL,
		"http://127.0.0.1:80/": blocked, "HTTP://127.0.0.1/": blocked, " http://8.8.8.8/": noURL, "http://8.8.8.8 /": noURL, "http://8.8.8.8,127.0.0.1/": noURL,
		"http://8.8.8.8;127.0.0.1/": noURL, "http://8.8.8.8&@127.0.0.1/": noURL, "http://8.8.8.8?@127.0.0.1/": fine, "http://8.8.8.8/@127.0.0.1/": fine,
		"http://8.8.8.8/http://127.0.0.1/": fine, "http://8.8.8.8/?u=http://127.0.0.1/": fine, "http://8.8.8.8/../../x": fine, "http://8.8.8.8": fine,
	} {
		rows = append(rows, row{name: fmt.Sprintf("url %q", text), run: func(t *testing.T) {
			w := newWorld(t, nil)
			if got := w.try(t, text, false); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			for _, target := range w.hop.targets() {
				if target != "8.8.8.8:80" {
					t.Errorf("the proxy was asked for %s", target)
				}
			}
		}})
	}
	return rows
}

// ruleRows are the rules around the guard.
func ruleRows() []row {
	public := func(string, int) said { return said{addrs: []string{"93.184.215.14"}} }
	return []row{
		{name: "plain HTTP needs allow_http", run: func(t *testing.T) {
			_, err := NewEndpoints(&Policy{}, []endpoints.Endpoint{{Name: "e", URL: "http://example.com/"}})
			if err == nil || !strings.Contains(err.Error(), "blocked by egress policy (allow_http)") {
				t.Errorf("got %v", err)
			}
		}},
		{name: "the operator's own ranges, with allow_private too", run: func(t *testing.T) {
			w := newWorld(t, public)
			for _, private := range []bool{false, true} {
				p := behind(w.hop, w.names)
				p.Deny = []netip.Prefix{netip.MustParsePrefix("93.184.0.0/16")}
				set, err := NewEndpoints(p, []endpoints.Endpoint{{Name: "e", URL: "http://shop.example/", AllowHTTP: true, AllowPrivate: private}})
				if err != nil {
					t.Fatal(err)
				}
				require(t, senderOf(t, p).Send(t.Context(), set.Find("e"), &webhook.Delivery{FireID: "f1", Endpoint: "e", Method: "POST", Attempt: 1}), blocked)
			}
			if len(w.hop.targets()) != 0 {
				t.Error("it was reached")
			}
		}},
		{name: "IPv6 only, with NAT64", run: func(t *testing.T) {
			w := newWorld(t, nil)
			for address, want := range map[string]string{"64:ff9b::8.8.8.8": fine, "64:ff9b::10.0.0.1": blocked, "64:ff9b::169.254.169.254": blocked} {
				p := behind(w.hop, w.names)
				p.NAT64 = true
				require(t, sendTo(t, senderOf(t, p), "http://["+address+"]/", patience), want)
			}
			if got := w.hop.targets(); len(got) != 1 || got[0] != "[64:ff9b::808:808]:80" {
				t.Errorf("the proxy was asked for %v", got)
			}
		}},
		{name: "the token URL is guarded", run: func(t *testing.T) {
			w := newWorld(t, func(name string, _ int) said {
				if name == "id.example" {
					return said{addrs: []string{"10.0.0.1"}}
				}
				return said{addrs: []string{"93.184.215.14"}}
			})
			p := behind(w.hop, w.names)
			p.LookupEnv = environment(map[string]string{"S": "s"})
			auth := endpoints.Auth{OAuth2: &endpoints.OAuth2{TokenURL: "http://id.example/token", ClientID: "c", ClientSecret: "env:S"}}
			set, err := NewEndpoints(p, []endpoints.Endpoint{{Name: "e", URL: "http://shop.example/", AllowHTTP: true, Auth: auth}})
			if err != nil {
				t.Fatal(err)
			}
			require(t, senderOf(t, p).Send(t.Context(), set.Find("e"), &webhook.Delivery{FireID: "f1", Endpoint: "e", Method: "POST", Attempt: 1}), blocked)
			if got := w.hop.targets(); len(got) != 0 {
				t.Errorf("the proxy was asked for %v", got)
			}
		}},
		{name: "connections are not shared with allow_private", run: func(t *testing.T) {
			f := serve(t, func(w net.Conn, _, _ int) bool {
				_, err := io.WriteString(w, okHead+"Content-Length: 0\r\n\r\n")
				return err == nil
			})
			p := &Policy{MaxInFlight: 4, LookupIP: serveNames(t, func(string, int) said { return said{addrs: []string{"127.0.0.1"}} }).lookup()}
			s := senderOf(t, p)
			url := strings.Replace(f.url, "127.0.0.1", "shop.example", 1)
			require(t, deliver(t, s, compile(t, p, endpoints.Endpoint{URL: url})), fine) // leaves a connection in the pool
			require(t, sendTo(t, s, url, patience), blocked)
		}},
		{name: "the proxy hop itself is exempt", run: func(t *testing.T) {
			w := newWorld(t, public) // at 127.0.0.1
			if got := w.try(t, "http://shop.example/", false); got != fine {
				t.Errorf("got %s", got)
			}
		}},
		{name: "no proxy from the environment", run: func(t *testing.T) {
			s := senderOf(t, &Policy{MaxInFlight: 1})
			if proxyOf(s) {
				t.Error("the transport has a proxy")
			}
		}},
	}
}

func proxyOf(s *Sender) bool {
	for _, c := range []client{s.routes.public, s.routes.local} {
		for _, rt := range []http.RoundTripper{c.pooled, c.fresh} {
			if rt.(*http.Transport).Proxy != nil {
				return true
			}
		}
	}
	return false
}
