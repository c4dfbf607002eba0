package guard

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"time"
)

const (
	askAfter = 700 * time.Millisecond // of silence about a name the resolver is asked for another
	askName  = "resolver-check.invalid."
)

// LookupIP resolves a name, as net.Resolver.LookupNetIP does.
type LookupIP func(ctx context.Context, network, host string) ([]netip.Addr, error)

// resolver resolves names and tells a name that does not answer from a resolver of ours that is dead: while a lookup is
// slow it asks for a name that every resolver refuses at once (RFC 6761).
type resolver struct {
	lookup   LookupIP
	answered atomic.Int64 // when anything was last answered, in Unix ns
}

// ResolverError says that our own resolver does not answer.
type ResolverError struct{ err error }

// Error implements error.
func (e *ResolverError) Error() string { return "our resolver does not answer: " + e.err.Error() }

// Unwrap gives what it said.
func (e *ResolverError) Unwrap() error { return e.err }

// find is a LookupIP.
func (r *resolver) find(ctx context.Context, network, host string) ([]netip.Addr, error) {
	start := time.Now()
	asking, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	other := time.AfterFunc(askAfter, func() {
		defer close(done)
		_, err := r.lookup(asking, network, askName)
		r.note(err)
	})
	addrs, err := r.lookup(ctx, network, host)
	stop()
	if !other.Stop() {
		<-done
	}
	r.note(err)
	if err != nil && !isAnswer(err) && r.answered.Load() < start.UnixNano() {
		return nil, &ResolverError{err}
	}
	return addrs, err
}

func (r *resolver) note(err error) {
	if isAnswer(err) {
		r.answered.Store(time.Now().UnixNano())
	}
}

// isAnswer tells whether a resolver said anything, a refusal included.
func isAnswer(err error) bool {
	if err == nil {
		return true
	}
	var dns *net.DNSError
	if !errors.As(err, &dns) {
		return false
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) { // the asker gave up
		return false
	}
	return dns.IsNotFound || !dns.IsTimeout && Ours(dns) == ""
}

// Ours is the code of a failed lookup that no name has to do with; empty where one may.
func Ours(err *net.DNSError) string {
	for text, code := range map[string]string{
		"connection refused": "dns_unreachable", "unreachable": "dns_unreachable", "operation not permitted": "dns_unreachable",
		"too many open files": "no_descriptors",
	} {
		if strings.Contains(err.Err, text) {
			return code
		}
	}
	return ""
}
