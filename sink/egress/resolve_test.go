package egress

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"vigil/config/endpoints"
	"vigil/sink/core"
	"vigil/sink/guard"
)

// namedAttempt makes an attempt at shop.example on the port of a local server, with a resolver of our own.
func namedAttempt(t *testing.T, lookup guard.LookupIP, port string) core.Answer {
	t.Helper()
	p := &Policy{MaxInFlight: 4, LookupIP: lookup}
	e := compile(t, p, endpoints.Endpoint{URL: "http://shop.example:" + port + "/", Timeout: patience})
	return deliver(t, senderOf(t, p), e)
}

func portOf(t *testing.T, url string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(url, "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// nameRows are the ways in which a name may not resolve. A name is the endpoint's, a dead resolver is ours; all ends with
// the dial's 2 s.
func nameRows() []row {
	alive := func(a said) func(string, int) said {
		return func(name string, _ int) said {
			if name == "shop.example" {
				return a
			}
			return said{rcode: 3}
		}
	}
	loopback := func(n int) (addrs []string) {
		for i := range n {
			addrs = append(addrs, fmt.Sprintf("127.0.%d.%d", i/200, i%200+1))
		}
		return addrs
	}
	var rows []row
	for _, c := range []struct {
		name string
		zone func(string, int) said
		want string
	}{
		{"resolves", alive(said{addrs: []string{"127.0.0.1"}}), "success 200"},
		{"NXDOMAIN", alive(said{rcode: 3}), "retryable dns_not_found"},
		{"no address", alive(said{}), "retryable dns_not_found"},
		{"SERVFAIL", alive(said{rcode: 2}), "retryable dns_failure"},
		{"REFUSED", alive(said{rcode: 5}), "retryable dns_failure"},
		{"truncated, the rest over TCP", alive(said{addrs: []string{"127.0.0.1"}, cut: true}), "success 200"},
		{"silent about the name", alive(said{silent: true}), "retryable dns_failure"},
		{"100 answers", alive(said{addrs: loopback(100), cut: true}), "success 200"},
		{"CNAME loop", alive(said{cname: "shop.example"}), "retryable dns_not_found"},
		{"CNAME to nowhere", alive(said{cname: "other.example"}), "retryable dns_not_found"},
		{"resolver is silent", func(string, int) said { return said{silent: true} }, "ours dns_unreachable"},
	} {
		rows = append(rows, row{name: "DNS: " + c.name, run: func(t *testing.T) {
			f := serve(t, say(okHead+"Content-Length: 0\r\n\r\n"))
			start := time.Now()
			require(t, namedAttempt(t, serveNames(t, c.zone).lookup(), portOf(t, f.url)), c.want)
			if took := time.Since(start); took > guard.DialTimeout+3*time.Second {
				t.Errorf("took %v", took)
			}
		}})
	}
	return append(rows, row{name: "DNS: resolver is down", run: func(t *testing.T) {
		s := &names{addr: closedPort(t)}
		require(t, namedAttempt(t, s.lookup(), "1"), "ours dns_unreachable")
	}}, row{name: "DNS: 100 answers, nobody listens", run: func(t *testing.T) {
		s := serveNames(t, alive(said{addrs: loopback(100), cut: true}))
		_, port, _ := net.SplitHostPort(closedPort(t))
		require(t, namedAttempt(t, s.lookup(), port), "retryable refused")
	}})
}
