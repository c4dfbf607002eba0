package kafka_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
)

// Transactions of two producers lie within one another, and records of none between them: what is handed out is what
// was committed, in its order, and nothing of a transaction before its marker.
func TestDecided(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "tx"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	connect := func(opts ...kgo.Opt) *kgo.Client {
		client, err := kgo.NewClient(append(opts, kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("tx"))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(client.Close)
		return client
	}
	writers := map[byte]*kgo.Client{'p': connect(), 'a': connect(kgo.TransactionalID("a")), 'b': connect(kgo.TransactionalID("b"))}
	for _, step := range []string{
		"p0", "a begin", "a1 aborted", "b begin", "b1", "p1", "a abort", "a begin", "a2 aborted", "a abort", "a begin", "a2",
		"b2", "b commit", "p2", "a commit", "b begin", "b3 aborted", "b abort", "p3",
	} {
		switch client := writers[step[0]]; step[1:] {
		case " begin":
			err = client.BeginTransaction()
		case " commit":
			err = client.EndTransaction(t.Context(), kgo.TryCommit)
		case " abort":
			err = client.EndTransaction(t.Context(), kgo.TryAbort)
		default:
			err = client.ProduceSync(t.Context(), kgo.StringRecord(step)).FirstErr()
		}
		if err != nil {
			t.Fatalf("%s: %v", step, err)
		}
	}

	reader := connect(kgo.KeepControlRecords(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"tx": {0: kgo.NewOffset().AtStart()}}))
	var got []string
	var decided kafka.Decided
	for len(got) == 0 || got[len(got)-1] != "p3" {
		reader.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			decided.Add(r)
			for ready := range decided.Ready() {
				if !ready.Attrs.IsControl() {
					got = append(got, string(ready.Value))
				}
			}
		})
		if t.Context().Err() != nil {
			t.Fatal(context.Cause(t.Context()))
		}
	}
	if diff := cmp.Diff([]string{"p0", "b1", "p1", "a2", "b2", "p2", "p3"}, got); diff != "" {
		t.Error(diff)
	}
}
