package egress

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vigil/sink/guard"
)

// A names server is a resolver of our own: it answers over UDP and TCP what zone says. Its records have TTL 0.
type names struct {
	addr  string
	asked sync.Map // name to *atomic.Int32
}

// said is one answer of a names server.
type said struct {
	addrs  []string
	rcode  byte
	cname  string
	silent bool // nothing is sent
	cut    bool // over UDP only that there is more
}

// serveNames answers questions for IPv4 addresses; those for IPv6 get an empty answer, or the same failure.
func serveNames(t *testing.T, zone func(name string, n int) said) *names {
	t.Helper()
	udp, tcp := onePort(t)
	s := &names{addr: udp.LocalAddr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := s.answer(buf[:n], zone, true); answer != nil {
				_, _ = udp.WriteTo(answer, from)
			}
		}
	})
	serving.Go(func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { s.overTCP(conn, zone) })
		}
	})
	t.Cleanup(func() {
		udp.Close()
		tcp.Close()
		serving.Wait()
	})
	return s
}

// onePort listens on the same port for both protocols; what is free for one may be taken for the other.
func onePort(t *testing.T) (udp net.PacketConn, tcp net.Listener) {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if udp, err = net.ListenPacket("udp", tcp.Addr().String()); err == nil {
			return udp, tcp
		}
		tcp.Close()
	}
	t.Fatal("no port is free for UDP and TCP")
	return nil, nil
}

func (s *names) overTCP(conn net.Conn, zone func(string, int) said) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	var size [2]byte
	for {
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		answer := s.answer(question, zone, false)
		if answer == nil {
			return
		}
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

// answer makes the answer to one question; nil: none.
func (s *names) answer(question []byte, zone func(string, int) said, udp bool) []byte {
	name, end := questionName(question)
	if end+4 > len(question) {
		return nil
	}
	kind := binary.BigEndian.Uint16(question[end:])
	count, _ := s.asked.LoadOrStore(name, &atomic.Int32{})
	n := count.(*atomic.Int32).Load()
	if kind == 1 {
		n = count.(*atomic.Int32).Add(1)
	}
	a := zone(name, int(n))
	if a.silent {
		return nil
	}
	truncated := a.cut && udp
	out := append([]byte{}, question[:2]...)
	out = append(out, 0x84, 0x80|a.rcode, 0, 1, 0, 0, 0, 0, 0, 0)
	if truncated {
		out[2] |= 2
	}
	out = append(out, question[12:end+4]...)
	records := 0
	if a.cname != "" && !truncated {
		out = appendRecord(out, 5, encodeName(a.cname))
		records++
	}
	for _, text := range a.addrs {
		if kind != 1 || truncated {
			break
		}
		addr := netip.MustParseAddr(text).As4()
		out = appendRecord(out, 1, addr[:])
		records++
	}
	binary.BigEndian.PutUint16(out[6:], uint16(records))
	return out
}

func questionName(question []byte) (string, int) {
	var labels []string
	at := 12
	for at < len(question) && question[at] != 0 {
		length := int(question[at])
		if at+1+length > len(question) {
			return "", len(question)
		}
		labels = append(labels, strings.ToLower(string(question[at+1:at+1+length])))
		at += 1 + length
	}
	return strings.Join(labels, "."), at + 1
}

func encodeName(name string) []byte {
	var out []byte
	for label := range strings.SplitSeq(name, ".") {
		out = append(append(out, byte(len(label))), label...)
	}
	return append(out, 0)
}

// appendRecord appends a record about the name that was asked for, with TTL 0.
func appendRecord(out []byte, kind uint16, value []byte) []byte {
	out = append(out, 0xc0, 12)
	out = binary.BigEndian.AppendUint16(out, kind)
	out = append(out, 0, 1, 0, 0, 0, 0)
	out = binary.BigEndian.AppendUint16(out, uint16(len(value)))
	return append(out, value...)
}

// lookup resolves through the server, with the resolver of Go.
func (s *names) lookup() guard.LookupIP {
	r := &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, s.addr)
	}}
	return r.LookupNetIP
}

// times is how often the addresses of a name were asked for.
func (s *names) times(name string) int {
	count, ok := s.asked.Load(name)
	if !ok {
		return 0
	}
	return int(count.(*atomic.Int32).Load())
}

func TestNamesServer(t *testing.T) {
	s := serveNames(t, func(name string, n int) said {
		if name == "a.example" {
			return said{addrs: []string{"192.0.2.1", "192.0.2.2"}, cut: true}
		}
		return said{rcode: 3}
	})
	addrs, err := s.lookup()(t.Context(), "ip", "a.example")
	if err != nil || len(addrs) != 2 || s.times("a.example") != 2 { // over UDP, then over TCP
		t.Errorf("%v, %v, asked %d times", addrs, err, s.times("a.example"))
	}
	var dns *net.DNSError
	if _, err := s.lookup()(t.Context(), "ip", "b.example"); !errors.As(err, &dns) || !dns.IsNotFound {
		t.Errorf("got %v", err)
	}
}
