package egress

import (
	"container/list"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"vigil/config/endpoints"
	"vigil/sink/guard"
)

// maxRoutes bounds the transports that are kept for endpoints with certificates of their own or HTTP/2.
const maxRoutes = 64

// route says which endpoints may share connections: the same rules for addresses, the same protocol, the same
// certificates.
type route struct {
	private bool
	http2   bool
	certs   [sha256.Size]byte // of certificate, key and authority; zero: none
}

// certificates are what an endpoint's tls says, read.
type certificates struct {
	own   []tls.Certificate // none or one
	roots *x509.CertPool    // nil: the system's
	sum   [sha256.Size]byte
}

// readCertificates reads what tls refers to. No error quotes a key.
func readCertificates(t endpoints.TLS, p *Policy) (certificates, error) {
	c := certificates{roots: p.RootCAs}
	if t == (endpoints.TLS{}) {
		return c, nil
	}
	var pem [3]string
	for i, ref := range [...]string{t.Certificate, t.Key, t.CA} {
		if ref == "" {
			continue
		}
		var err error
		if pem[i], err = endpoints.Secret(ref, p.LookupEnv); err != nil {
			return c, fmt.Errorf("tls: %w", err)
		}
	}
	if t.Certificate != "" {
		pair, err := tls.X509KeyPair([]byte(pem[0]), []byte(pem[1]))
		if err != nil {
			return c, fmt.Errorf("tls: certificate and key: %w", err)
		}
		c.own = []tls.Certificate{pair}
	}
	if t.CA != "" {
		c.roots = x509.NewCertPool()
		if !c.roots.AppendCertsFromPEM([]byte(pem[2])) {
			return c, errors.New("tls: ca holds no certificate in PEM")
		}
	}
	c.sum = sha256.Sum256([]byte(strings.Join(pem[:], "\x00")))
	return c, nil
}

// config is the TLS configuration of all connections that use c.
func (c certificates) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: c.own, RootCAs: c.roots}
}

// routes keeps a client for each route: the plain ones for good, of the others those used last.
type routes struct {
	policy        *Policy
	network       *guard.Network
	public, local client // HTTP/1.1, no certificate of their own

	mu     sync.Mutex // guards what follows
	others map[route]*list.Element
	recent *list.List // of *kept, the last used first
}

type kept struct {
	route  route
	client client
}

func newRoutes(p *Policy) (*routes, error) {
	n, err := p.open()
	if err != nil {
		return nil, err
	}
	r := &routes{policy: p, network: n, others: map[route]*list.Element{}, recent: list.New()}
	r.public, r.local = r.open(route{}, certificates{roots: p.RootCAs}), r.open(route{private: true}, certificates{roots: p.RootCAs})
	return r, nil
}

// client finds the client of an endpoint, or makes it. Attempts in flight on a client that is let go end as they would.
func (r *routes) client(e *Endpoint) client {
	switch e.route {
	case route{}:
		return r.public
	case route{private: true}:
		return r.local
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if found := r.others[e.route]; found != nil {
		r.recent.MoveToFront(found)
		return found.Value.(*kept).client
	}
	made := &kept{e.route, r.open(e.route, e.certs)}
	r.others[e.route] = r.recent.PushFront(made)
	if r.recent.Len() > maxRoutes {
		last := r.recent.Remove(r.recent.Back()).(*kept)
		delete(r.others, last.route)
		last.client.close()
	}
	return made.client
}

func (r *routes) open(at route, c certificates) client {
	if r.policy.RoundTripper != nil {
		return client{pooled: r.policy.RoundTripper, fresh: r.policy.RoundTripper}
	}
	made := newClient(r.network.Guard(at.private), r.policy.MaxInFlight, at.http2, c.config())
	if watch := r.policy.Watch; watch != nil {
		return client{pooled: watch(made.pooled), fresh: watch(made.fresh)}
	}
	return made
}

func (r *routes) close() {
	r.public.close()
	r.local.close()
	r.mu.Lock()
	defer r.mu.Unlock()
	for one := r.recent.Front(); one != nil; one = one.Next() {
		one.Value.(*kept).client.close()
	}
}

// limits of HTTP/2 connections: a receiver that sends without end fills no more than these.
var http2Limits = http.HTTP2Config{
	MaxReceiveBufferPerConnection: 64 << 10,
	MaxReceiveBufferPerStream:     maxDrain,
	MaxReadFrameSize:              16 << 10,
	MaxDecoderHeaderTableSize:     4 << 10,
	SendPingTimeout:               pingAfter,
	PingTimeout:                   pingAfter,
}
