package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/twmb/franz-go/pkg/kfake"
)

// embeddedAddr is where the broker inside the process listens (interface 2).
const embeddedAddr = "127.0.0.1:9092"

// embeddedBroker says how to run a broker inside the process. It is for development: neither replicated nor safe
// against a crash of the machine.
type embeddedBroker struct {
	listen    string // host:port; port 0 picks one
	advertise string // host:port that clients are told; empty: as listened
	dir       string // where records are kept; empty: in memory
}

// start runs the broker and returns the address for clients, and what stops it.
func (b embeddedBroker) start() (addr string, stop func(), err error) {
	if b.dir != "" {
		if err := os.MkdirAll(b.dir, 0o755); err != nil {
			return "", nil, fmt.Errorf("make the broker's folder: %w", err)
		}
	}
	listener, err := b.bind()
	if err != nil {
		return "", nil, err
	}
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.DefaultNumPartitions(embeddedPartitions),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return listener, nil }),
		kfake.BrokerConfigs(map[string]string{"message.max.bytes": strconv.Itoa(2 << 20)}),
	}
	if b.dir != "" {
		options = append(options, kfake.DataDir(b.dir))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		_ = listener.Close()
		return "", nil, fmt.Errorf("start the embedded broker: %w", err)
	}
	return listener.Addr().String(), cluster.Close, nil
}

// embeddedPartitions is how many partitions a topic gets for which nobody said.
const embeddedPartitions = 4

// bind listens and settles what is advertised: never an address that others could reach, unless it was asked for.
func (b embeddedBroker) bind() (net.Listener, error) {
	host, _, err := net.SplitHostPort(b.listen)
	if err != nil {
		return nil, usagef("%q is no HOST:PORT", b.listen)
	}
	listener, err := net.Listen("tcp", b.listen)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, exit(exitUnreachable, fmt.Errorf(
			"%s is in use, perhaps by another `vigil run` or `vigil broker`; stop that, or set kafka.brokers to use it", b.listen))
	}
	if err != nil {
		return nil, exit(exitUnreachable, fmt.Errorf("listen for Kafka clients: %w", err))
	}
	advertised := b.advertise
	if ip := net.ParseIP(host); advertised == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		name, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("find a name to advertise, use --advertise: %w", err)
		}
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		advertised = net.JoinHostPort(name, port)
	}
	if advertised == "" {
		return listener, nil
	}
	return announced{listener, advertised}, nil
}

// announced is a listener that clients are told to reach under another address.
type announced struct {
	net.Listener
	addr string
}

func (a announced) Addr() net.Addr { return announcedAddr(a.addr) }

type announcedAddr string

func (announcedAddr) Network() string  { return "tcp" }
func (a announcedAddr) String() string { return string(a) }

// stopInOrder runs cleanups, the last one registered first.
type stopInOrder []func()

func (s *stopInOrder) add(f func()) { *s = append(*s, f) }

func (s *stopInOrder) run() {
	for i := len(*s) - 1; i >= 0; i-- {
		(*s)[i]()
	}
}
