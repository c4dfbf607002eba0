package main

import (
	"context"
	"net"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"

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
	client.Close()

	cfg.Kafka.Brokers = cfg.Kafka.Brokers[:1]
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openClient(gone, cfg); err == nil {
		t.Error("a client of no broker but a frozen one was made")
	}
}
