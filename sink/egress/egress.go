// Package egress makes one attempt: it builds the request of a delivery, judges every address it is about to reach,
// sends, and reads a bounded answer. It never tries again on its own account, except for a pooled connection that
// turned out to be dead, and it never follows a redirect. The sink decides what the answer means for the delivery.
package egress

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"

	"vigil/config/endpoints"
	"vigil/sink/guard"
)

// Policy says where webhooks may go and what all of them have in common.
type Policy struct {
	Version     string // for the user-agent
	MaxInFlight int    // attempts at a time, for the size of the pool

	DefaultSecrets []string                         // for inline URLs; env:NAME or file:PATH
	LookupEnv      func(name string) (string, bool) // resolves env:NAME; nil: there is no environment

	AllowPrivate  bool           // development: every URL may reach loopback and private ranges
	AllowHTTP     bool           // development: every URL may be http://
	AllowPorts    []uint16       // ports for inline URLs besides 80, 443, 8080 and 8443
	Deny          []netip.Prefix // refused besides the special-purpose ranges: pods, services, brokers
	NAT64         bool           // 64:ff9b::/96 is judged by the IPv4 addresses that it carries
	KeepResponses bool           // the first 4 KiB of an answer are kept, where printable
	Proxy         string         // http://HOST:PORT or https://HOST:PORT that everything leaves through; empty: none
	ProxyAuth     string         // its user:password; env:NAME or file:PATH

	Watch func(http.RoundTripper) http.RoundTripper // put before every guarded transport; nil: nobody watches

	RoundTripper http.RoundTripper // instead of the network, in tests
	LookupIP     guard.LookupIP    // instead of the system's resolver
	RootCAs      *x509.CertPool    // instead of the system's authorities
}

// open makes the way to the network ready; it reads the proxy's credentials.
func (p *Policy) open() (*guard.Network, error) {
	credentials := ""
	if p.ProxyAuth != "" {
		var err error
		if credentials, err = endpoints.Secret(p.ProxyAuth, p.LookupEnv); err != nil {
			return nil, fmt.Errorf("egress proxy: %w", err)
		}
	}
	return guard.Open(guard.Settings{
		Denied: p.Deny, NAT64: p.NAT64, Lookup: p.LookupIP, Proxy: p.Proxy, Credentials: credentials, Agent: "vigil/" + p.Version, RootCAs: p.RootCAs,
	})
}
