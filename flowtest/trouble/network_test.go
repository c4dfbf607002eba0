package trouble

import (
	"context"
	"errors"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
)

// link is somebody's way into a virtual network. It can be cut: connections end, and none can be made.
type link struct {
	network *kfake.VirtualNetwork
	mu      sync.Mutex
	cut     bool       // guarded by mu
	conns   []net.Conn // guarded by mu; those ever made
}

var errCut = errors.New("connection refused")

// dial is for kgo.Dialer.
func (n *link) dial(ctx context.Context, kind, addr string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cut {
		return nil, errCut
	}
	conn, err := n.network.DialContext(ctx, kind, addr)
	if err == nil {
		n.conns = append(n.conns, conn)
	}
	return conn, err
}

// set cuts the network, or mends it.
func (n *link) set(cut bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cut = cut
	if cut {
		n.sever()
	}
}

// sever ends the connections there are; they can be made again.
func (n *link) sever() {
	for _, c := range n.conns {
		_ = c.Close() // its client closes it too
	}
	n.conns = nil
}

// reset is sever for those who hold no lock.
func (n *link) reset() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sever()
}
