package trouble

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	kafkatest "vigil/flowtest/kafka"
	"vigil/kafka"
)

// A replica that missed two aborted transactions of one producer, and then one of another, catches up and leads: by its
// list of aborted transactions the second one counts as committed (Kafka 4.1.0), by the markers in the log it does not.
func TestDecidedOnAReplicaThatCaughtUp(t *testing.T) {
	if os.Getenv("VIGIL_TROUBLE_KAFKA") == "" {
		t.Skip("three nodes of Kafka take a minute: make trouble-kafka")
	}
	c := kafkatest.Start(t, 3)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	s := &stage{t: t, opts: []kgo.Opt{kgo.SeedBrokers(strings.Split(c.Bootstrap, ",")...), kgo.DefaultProduceTopic("tx")}}
	one := s.connect(kgo.TransactionalID("one"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	two := s.connect(kgo.TransactionalID("two"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer one.Close()
	defer two.Close()
	adm := kadm.NewClient(one)
	_, err := adm.CreateTopic(ctx, 1, -1, nil, "tx")
	s.must(err)
	s.transact(ctx, two, "kept", kgo.TryCommit)
	behind := (s.leaderOf(ctx, adm) + 1) % 3
	c.Kill(t, int(behind))
	s.transact(ctx, one, "aborted", kgo.TryAbort)
	s.transact(ctx, one, "aborted too", kgo.TryAbort)
	for range 9 {
		s.transact(ctx, one, "kept", kgo.TryCommit)
	}
	s.transact(ctx, two, "last", kgo.TryCommit)
	c.Restart(t)
	var req kadm.AlterPartitionAssignmentsReq
	req.Assign("tx", 0, []int32{behind})
	_, err = adm.AlterPartitionAssignments(ctx, req)
	s.must(err)
	for tick := time.NewTicker(100 * time.Millisecond); s.leaderOf(ctx, adm) != behind; <-tick.C {
	}

	want := []string{"kept", "kept", "kept", "kept", "kept", "kept", "kept", "kept", "kept", "kept", "last"}
	if listed := s.untilLast(ctx, func(add func(*kgo.Record), r *kgo.Record) { add(r) }, kgo.FetchIsolationLevel(kgo.ReadCommitted())); !cmp.Equal(want, listed) {
		t.Logf("by the broker's list %q are committed", listed)
	}
	var decided kafka.Decided
	got := s.untilLast(ctx, func(add func(*kgo.Record), r *kgo.Record) {
		decided.Add(r)
		for r := range decided.Ready() {
			add(r)
		}
	}, kgo.KeepControlRecords())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// transact writes one record in a transaction of its own; with its pad an answer of the broker can end behind any.
func (s *stage) transact(ctx context.Context, client *kgo.Client, value string, end kgo.TransactionEndTry) {
	s.t.Helper()
	s.must(client.BeginTransaction())
	s.must(client.ProduceSync(ctx, kgo.StringRecord(value+strings.Repeat(".", 6000))).FirstErr())
	s.must(client.EndTransaction(ctx, end))
}

func (s *stage) leaderOf(ctx context.Context, adm *kadm.Client) int32 {
	s.t.Helper()
	topics, err := adm.ListTopics(ctx, "tx")
	s.must(err)
	return topics["tx"].Partitions[0].Leader
}

// untilLast is what each adds of the records of tx, which come a few at a time, until the last.
func (s *stage) untilLast(ctx context.Context, each func(add func(*kgo.Record), r *kgo.Record), opts ...kgo.Opt) []string {
	s.t.Helper()
	reader := s.connect(append(opts, kgo.FetchMaxPartitionBytes(30_000), kgo.FetchMaxBytes(30_000),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"tx": {0: kgo.NewOffset().AtStart()}}))...)
	defer reader.Close()
	var got []string
	add := func(r *kgo.Record) {
		if !r.Attrs.IsControl() {
			got = append(got, strings.TrimRight(string(r.Value), "."))
		}
	}
	for len(got) == 0 || got[len(got)-1] != "last" {
		fetches := reader.PollFetches(ctx)
		s.must(fetches.Err0())
		fetches.EachRecord(func(r *kgo.Record) { each(add, r) })
	}
	return got
}
