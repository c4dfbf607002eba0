package guard

import (
	"crypto/x509"
	"net"
	"net/netip"
)

// Settings are what all dials of a process have in common.
type Settings struct {
	Denied      []netip.Prefix
	NAT64       bool           // see Guard
	Lookup      LookupIP       // nil: the system's resolver
	Proxy       string         // http://HOST:PORT or https://HOST:PORT; empty: none
	Credentials string         // of the proxy, user:password; empty: none
	Agent       string         // user-agent towards the proxy
	RootCAs     *x509.CertPool // that the proxy is checked against; nil: the system's authorities
}

// Network makes guards that share a resolver and a proxy.
type Network struct {
	denied []netip.Prefix
	nat64  bool
	lookup LookupIP
	proxy  *proxy // nil: none
}

// Open errs where the proxy's URL is none.
func Open(s Settings) (*Network, error) {
	if s.Lookup == nil {
		s.Lookup = net.DefaultResolver.LookupNetIP
	}
	hop, err := newProxy(&s)
	return &Network{denied: s.Denied, nat64: s.NAT64, lookup: (&resolver{lookup: s.Lookup}).find, proxy: hop}, err
}

// Guard judges dials, with or without allow_private.
func (n *Network) Guard(private bool) Guard {
	return Guard{AllowPrivate: private, NAT64: n.nat64, Denied: n.denied, lookup: n.lookup, proxy: n.proxy}
}
