package guard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
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
		if got := (Guard{}).Address(addr, 443) == nil; got != want.public {
			t.Errorf("%s: allowed is %v", text, got)
		}
		if got := (Guard{AllowPrivate: true}).Address(addr, 443) == nil; got != want.local {
			t.Errorf("%s with allow_private: allowed is %v", text, got)
		}
	}
	for _, port := range refusedPorts {
		if (Guard{AllowPrivate: true}).Address(netip.MustParseAddr("8.8.8.8"), port) == nil {
			t.Errorf("port %d is allowed", port)
		}
	}
	own := Guard{Denied: prefixes("20.0.0.0/8"), AllowPrivate: true}
	if own.Address(netip.MustParseAddr("20.1.2.3"), 443) == nil {
		t.Error("the operator's own range is allowed")
	}
}

// TestGuardRefusesEveryAddressOfItsPrefixes fills the bits below each refused prefix at random.
func TestGuardRefusesEveryAddressOfItsPrefixes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom(append(append([]netip.Prefix{}, refused4...), refused6...)).Draw(t, "prefix")
		addr := below(t, prefix)
		if err := (Guard{}).Address(addr, 443); err == nil {
			t.Fatalf("%s of %s is allowed", addr, prefix)
		}
		mapped := netip.AddrFrom16(addr.As16())
		if err := (Guard{}).Address(mapped, 443); err == nil {
			t.Fatalf("%s of %s is allowed", mapped, prefix)
		}
		outside := below(t, netip.MustParsePrefix("::/0"))
		if !global6.Contains(outside) && (Guard{}).Address(outside, 443) == nil {
			t.Fatalf("%s is allowed", outside)
		}
	})
}

// TestNAT64 judges an address by the one that it carries, where the cluster wants that, and by the operator's ranges for both.
func TestNAT64(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		prefix := rapid.SampledFrom(append(prefixes("0.0.0.0/0", "8.8.8.0/24"), refused4...)).Draw(t, "prefix")
		carried := below(t, prefix)
		b, four := nat64.Addr().As16(), carried.As4()
		copy(b[12:], four[:])
		addr := netip.AddrFrom16(b)
		for _, private := range []bool{false, true} {
			if (Guard{AllowPrivate: private}).Address(addr, 443) == nil {
				t.Fatalf("%s is allowed where nobody wants it", addr)
			}
			g := Guard{AllowPrivate: private, NAT64: true}
			if got, want := g.Address(addr, 443) == nil, g.Address(carried, 443) == nil; got != want {
				t.Fatalf("%s: allowed is %v, %s: %v", addr, got, carried, want)
			}
			for _, denied := range []netip.Prefix{netip.PrefixFrom(carried, 24), nat64} {
				g.Denied = []netip.Prefix{denied}
				if g.Address(addr, 443) == nil {
					t.Fatalf("%s is allowed, %s is denied", addr, denied)
				}
			}
		}
	})
	g := Guard{NAT64: true}
	for _, text := range []string{"64:ff9b::8.8.8.8%eth0", "64:ff9b:1::8.8.8.8", "64:ff9b::1:8.8.8.8", "64:ff9b::8.8.8.8"} {
		if got := g.Address(netip.MustParseAddr(text), 443) == nil; got != (text == "64:ff9b::8.8.8.8") {
			t.Errorf("%s: allowed is %v", text, got)
		}
	}
	if g.Address(netip.MustParseAddr("64:ff9b::8.8.8.8"), 22) == nil {
		t.Error("port 22 is allowed")
	}
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
		if got := (Guard{}).control("tcp", address, nil) == nil; got != ok {
			t.Errorf("%s: allowed is %v", address, got)
		}
	}
}

// TestMixedAnswersAreRefused: one private address among the answers refuses the name.
func TestMixedAnswersAreRefused(t *testing.T) {
	calls := 0
	g := Guard{lookup: func(context.Context, string, string) ([]netip.Addr, error) {
		calls++
		return []netip.Addr{netip.MustParseAddr("8.8.8.8"), netip.MustParseAddr("10.0.0.1")}, nil
	}}
	var blocked *BlockedError
	if _, err := g.Dial(t.Context(), "tcp", "mixed.example.com:443"); !errors.As(err, &blocked) || calls != 1 {
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
	g := Guard{lookup: func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}}
	var blocked *BlockedError
	if _, err := g.Dial(t.Context(), "tcp", "rebound.example.com:"+port); !errors.As(err, &blocked) {
		t.Errorf("got %v", err)
	}
	g.AllowPrivate = true
	conn, err := g.Dial(t.Context(), "tcp", "rebound.example.com:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestNamesThatDoNotAnswerEndWithTheDial(t *testing.T) {
	g := Guard{lookup: func(ctx context.Context, _, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, &net.DNSError{Err: "i/o timeout", IsTimeout: true}
	}}
	start := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := g.Dial(ctx, "tcp", "silent.example.com:443"); err == nil || time.Since(start) > time.Second {
		t.Errorf("got %v after %v", err, time.Since(start))
	}
}

// TestSlowNameIsNotADeadResolver: while one name is silent another that is answered shows that the resolver lives.
func TestSlowNameIsNotADeadResolver(t *testing.T) {
	silent := &net.DNSError{Err: "i/o timeout", IsTimeout: true}
	for name, row := range map[string]struct {
		other error
		dead  bool
	}{
		"refuses the other": {&net.DNSError{Err: "no such host", IsNotFound: true}, false},
		"fails the other":   {&net.DNSError{Err: "server misbehaving", IsTemporary: true}, false},
		"silent":            {silent, true},
		"given up":          {&net.DNSError{Err: "operation was canceled", UnwrapErr: context.Canceled}, true},
	} {
		r := &resolver{lookup: func(ctx context.Context, _, host string) ([]netip.Addr, error) {
			if host == askName {
				return nil, row.other
			}
			<-ctx.Done()
			return nil, silent
		}}
		ctx, cancel := context.WithTimeout(t.Context(), askAfter+100*time.Millisecond)
		_, err := r.find(ctx, "ip", "shop.example")
		cancel()
		if dead := new(ResolverError); errors.As(err, &dead) != row.dead {
			t.Errorf("%s: %v", name, err)
		}
	}
}
