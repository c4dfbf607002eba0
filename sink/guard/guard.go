// Package guard is the only way of the sink to the network: it resolves names, refuses addresses that a webhook must not
// reach, and connects to what it has judged in that same dial (delivery 8.2), directly or through a proxy. It never sends.
package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// DialTimeout bounds a dial: names and connection together.
const DialTimeout = 2 * time.Second

// refused4 is every part of IPv4 that is not the public internet (IANA special-purpose registry), and one address that
// is: 168.63.129.16 is the wire server of a cloud.
var refused4 = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
	"192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
	"192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32")

// global6 is the only part of IPv6 that is reached; refused6 are the holes in it.
var (
	global6  = netip.MustParsePrefix("2000::/3")
	refused6 = prefixes("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20")
)

// nat64 is where a network that has IPv6 only reaches the public IPv4 (RFC 6052): the last four bytes are its address.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// private is what allow_private opens: loopback and the private ranges. Link-local addresses and the metadata
// services of clouds stay closed.
var (
	private  = prefixes("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7")
	metadata = prefixes("fd00:ec2::254/128")
)

// refusedPorts are never dialled: mail, shells, and services that answer to whoever reaches them.
var refusedPorts = []uint16{22, 25, 2375, 2379, 5432, 6379, 8500, 9092, 9200, 10250, 11211}

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

func within(addr netip.Addr, list []netip.Prefix) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// BlockedError says that the egress policy forbids an address. Its text names the setting, never what a name resolved
// to: that would tell the owner of a URL what our network looks like.
type BlockedError struct{ Setting string }

// Error implements error.
func (e *BlockedError) Error() string { return "blocked by egress policy (" + e.Setting + ")" }

// HostError says that the host of a URL is none.
type HostError struct{ why string }

// Error implements error.
func (e *HostError) Error() string { return e.why }

// Guard refuses addresses that a webhook must not reach (delivery 8.2). It judges the concrete address of every dial.
type Guard struct {
	AllowPrivate bool           // loopback and private ranges are fine
	NAT64        bool           // an address of 64:ff9b::/96 is as good as the IPv4 address that it carries
	Denied       []netip.Prefix // the operator's own, never fine
	lookup       LookupIP       // used by Dial
	proxy        *proxy         // as lookup; nil: none
}

// Address judges one address and port.
func (g Guard) Address(addr netip.Addr, port uint16) error {
	switch {
	case slices.Contains(refusedPorts, port):
		return &BlockedError{"port"}
	case addr.Zone() != "", within(addr.Unmap(), g.Denied):
		return &BlockedError{"address"}
	case g.NAT64 && nat64.Contains(addr):
		b := addr.As16()
		return g.Address(netip.AddrFrom4([4]byte(b[12:])), port)
	case g.AllowPrivate && within(addr, private) && !within(addr, metadata):
		return nil
	case addr.Is4() && !within(addr, refused4):
		return nil
	case addr.Is6() && global6.Contains(addr) && !within(addr, refused6):
		return nil
	}
	return &BlockedError{"allow_private"}
}

// control is called by the dialer with the address it is about to connect to.
func (g Guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return &BlockedError{"address"}
	}
	return g.Address(ap.Addr(), ap.Port())
}

// Host judges the host of a URL before anything is resolved: cheap, for the message. Names that only exist inside a
// network are refused here, what they resolve to at the dial.
func (g Guard) Host(host string, port uint16) error {
	if addr, err := netip.ParseAddr(host); err == nil {
		return g.Address(addr, port)
	}
	if slices.Contains(refusedPorts, port) {
		return &BlockedError{"port"}
	}
	name := strings.ToLower(strings.TrimSuffix(host, "."))
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' && c != '_' {
			return &HostError{"host has a character that names do not have"}
		}
	}
	if last := name[strings.LastIndexByte(name, '.')+1:]; last == "" || strings.Trim(last, "0123456789") == "" || strings.HasPrefix(last, "0x") {
		return &BlockedError{"address"} // 127.1, 0x7f.1, 2130706433: an address in disguise
	}
	if g.AllowPrivate {
		return nil
	}
	for _, suffix := range []string{"localhost", "internal", "local", "svc", "localdomain"} {
		if name == suffix || strings.HasSuffix(name, "."+suffix) {
			return &BlockedError{"allow_private"}
		}
	}
	return nil
}

// Dial resolves, judges all answers (one refused address among them refuses the name, since a mixed answer is a sign of
// probing) and connects to the first that takes the connection. The dialer's Control judges each address once more.
func (g Guard) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, DialTimeout)
	defer cancel()
	host, digits, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(digits, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %q: %w", digits, err)
	}
	addrs, err := g.lookup(ctx, "ip", host)
	if err != nil {
		return nil, err
	}
	for i, addr := range addrs {
		addrs[i] = addr.Unmap()
		if err := g.Address(addrs[i], uint16(port)); err != nil {
			return nil, err
		}
	}
	return g.connect(ctx, network, addrs, uint16(port))
}

// connect tries at most four addresses in turn, each with its share of the time left, through the proxy where there is
// one.
func (g Guard) connect(ctx context.Context, network string, addrs []netip.Addr, port uint16) (net.Conn, error) {
	d := net.Dialer{Control: g.control, KeepAlive: 15 * time.Second}
	addrs = addrs[:min(len(addrs), 4)]
	var failed error = errors.New("name has no address")
	for i, addr := range addrs {
		target := netip.AddrPortFrom(addr, port)
		deadline, _ := ctx.Deadline()
		share, cancel := context.WithTimeout(ctx, time.Until(deadline)/time.Duration(len(addrs)-i))
		conn, err := net.Conn(nil), error(nil)
		if g.proxy != nil {
			conn, err = g.proxy.connect(share, target)
		} else {
			conn, err = d.DialContext(share, network, target.String())
		}
		cancel()
		if err == nil {
			return conn, nil
		}
		if failed = err; ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}
