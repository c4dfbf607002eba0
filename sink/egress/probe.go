package egress

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strconv"
	"time"

	"vigil/config/endpoints"
	"vigil/sink/core"
	"vigil/sink/guard"
)

// Probed is what a look at an endpoint found.
type Probed struct {
	Remote  string    // address that was reached
	Expires time.Time // of the first certificate of the chain; zero without TLS
	Signed  bool      // webhooks to it carry a signature
	Code    string    // what stood in the way, as in Codes, or CodeSettings; empty where nothing did
}

// CodeSettings is the code of an endpoint whose secrets or headers cannot be used.
const CodeSettings = "settings"

// Probe goes as far as an attempt would without sending anything: it reads the secrets, judges the URL and every
// address that its host resolves to, connects, and completes the TLS handshake. The error says more than an owner of
// the URL may know: it is for the operator.
func (p *Policy) Probe(ctx context.Context, e endpoints.Endpoint) (Probed, error) {
	n, err := p.open()
	if err != nil {
		return Probed{Code: CodeSettings}, err
	}
	c, err := newEndpoint(p, e)
	if err != nil {
		if code := classify(err).code; code == core.CodeBlocked || code == core.CodeURL {
			return Probed{Code: code}, err
		}
		return Probed{Code: CodeSettings}, err
	}
	found := Probed{Signed: c.signer != nil}
	if err := reach(ctx, n, c, &found); err != nil {
		found.Code = classify(err).code
		return found, err
	}
	return found, nil
}

func reach(ctx context.Context, n *guard.Network, c *Endpoint, found *Probed) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	port, err := c.port(c.root)
	if err != nil {
		return err
	}
	conn, err := n.Guard(c.private).Dial(ctx, "tcp", net.JoinHostPort(c.root.Hostname(), strconv.Itoa(int(port))))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }() // nothing was sent
	found.Remote = conn.RemoteAddr().String()
	if c.root.Scheme != "https" {
		return nil
	}
	within, cancelTLS := context.WithTimeout(ctx, tlsTimeout)
	defer cancelTLS()
	settings := c.certs.config()
	settings.ServerName = c.root.Hostname()
	secure := tls.Client(conn, settings)
	if err := secure.HandshakeContext(within); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	found.Expires = secure.ConnectionState().PeerCertificates[0].NotAfter
	return nil
}
