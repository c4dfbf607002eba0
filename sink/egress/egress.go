// Package egress makes one attempt: it builds the request of a delivery, judges every address it is about to reach,
// sends, and reads a bounded answer. It never tries again on its own account, except for a pooled connection that
// turned out to be dead, and it never follows a redirect. The sink decides what the answer means for the delivery.
package egress

import (
	"context"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
)

// LookupIP resolves a name, as net.Resolver.LookupNetIP does.
type LookupIP func(ctx context.Context, network, host string) ([]netip.Addr, error)

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
	KeepResponses bool           // the first 4 KiB of an answer are kept, where printable
	Proxy         string         // http://HOST:PORT or https://HOST:PORT that everything leaves through; empty: none
	ProxyAuth     string         // its user:password; env:NAME or file:PATH

	Watch func(http.RoundTripper) http.RoundTripper // put before every guarded transport; nil: nobody watches

	RoundTripper http.RoundTripper // instead of the network, in tests
	LookupIP     LookupIP          // instead of the system's resolver
	RootCAs      *x509.CertPool    // instead of the system's authorities
}

// network is the policy made ready: what all dials have in common.
type network struct {
	denied []netip.Prefix
	lookup LookupIP
	proxy  *proxy // nil: none
}

// open reads the proxy's credentials.
func (p *Policy) open() (network, error) {
	lookup := p.LookupIP
	if lookup == nil {
		lookup = net.DefaultResolver.LookupNetIP
	}
	hop, err := newProxy(p)
	return network{denied: p.Deny, lookup: (&resolver{lookup: lookup}).find, proxy: hop}, err
}

// guard is what judges the addresses of one dial.
func (n network) guard(private bool) guard {
	return guard{denied: n.denied, lookup: n.lookup, proxy: n.proxy, allowPrivate: private}
}
