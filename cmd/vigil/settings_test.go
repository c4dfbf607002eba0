package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/config"
)

// A broker that takes connections and never answers, as one that is frozen does, hides no broker that answers.
func TestReachPastAFrozenBroker(t *testing.T) {
	frozen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = frozen.Close() }) // it never accepted anything
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	cfg := config.Config{}
	cfg.Kafka.Brokers = []string{frozen.Addr().String(), cluster.ListenAddrs()[0]}
	client, err := openClient(t.Context(), cfg)
	if err != nil {
		t.Fatalf("with one of two brokers frozen: %v", err)
	}
	if seeds := client.OptValue(kgo.SeedBrokers); !slices.Equal(seeds.([]string), cluster.ListenAddrs()) {
		t.Errorf("the client begins with %v", seeds)
	}
	client.Close()

	cfg.Kafka.Brokers = cfg.Kafka.Brokers[:1]
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openClient(gone, cfg); err == nil {
		t.Error("a client of no broker but a frozen one was made")
	}
}

// A disk is no broker: what fails with a file has exit code 1, what fails with the network 4.
func TestReached(t *testing.T) {
	for _, row := range []struct {
		err  error
		want int
	}{
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, exitUnreachable},
		{context.DeadlineExceeded, exitUnreachable},
		{&fs.PathError{Op: "write", Path: "/dev/stdout", Err: syscall.ENOSPC}, exitFailure},
		{kerr.TopicAuthorizationFailed, exitFailure},
		{errors.New("anything else"), exitFailure},
	} {
		if got := exitCode(reached(fmt.Errorf("read vigil.state: %w", row.err))); got != row.want {
			t.Errorf("%v: exit code %d, want %d", row.err, got, row.want)
		}
	}
	if err := reached(nil); err != nil {
		t.Error(err)
	}
}
