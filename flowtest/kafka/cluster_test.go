package kafkatest_test

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	kafkatest "vigil/flowtest/kafka"
)

var broker kafkatest.Shared

func TestMain(m *testing.M) { os.Exit(broker.Main(m)) }

func client(t *testing.T, c *kafkatest.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(strings.Split(c.Bootstrap, ",")...))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

func deadline(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func createTopic(ctx context.Context, t *testing.T, cl *kgo.Client, topic string) {
	t.Helper()
	if _, err := kadm.NewClient(cl).CreateTopic(ctx, 1, -1, nil, topic); err != nil {
		t.Fatal(err)
	}
}

// transact writes one record in a transaction of its own and ends it as told.
func transact(ctx context.Context, t *testing.T, cl *kgo.Client, value string, end kgo.TransactionEndTry) {
	t.Helper()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err := cl.EndTransaction(ctx, end); err != nil {
		t.Fatal(err)
	}
}

// poll reads until n records have come.
func poll(ctx context.Context, t *testing.T, cl *kgo.Client, n int) []string {
	t.Helper()
	var got []string
	for len(got) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	return got
}

func TestTransactionsOnARealBroker(t *testing.T) {
	c := broker.Start(t)
	ctx := deadline(t, 5*time.Minute)
	writer := client(t, c, kgo.DefaultProduceTopic("tx"), kgo.TransactionalID("writer"))
	createTopic(ctx, t, writer, "tx")
	transact(ctx, t, writer, "kept", kgo.TryCommit)
	transact(ctx, t, writer, "aborted", kgo.TryAbort)
	transact(ctx, t, writer, "kept too", kgo.TryCommit)

	reader := client(t, c, kgo.ConsumeTopics("tx"), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	got := poll(ctx, t, reader, 2)
	if len(got) != 2 || got[0] != "kept" || got[1] != "kept too" {
		t.Fatalf("read %q", got)
	}
}

func TestThreeNodesSurviveOne(t *testing.T) {
	c := kafkatest.Start(t, 3)
	ctx := deadline(t, 10*time.Minute)
	writer := client(t, c, kgo.DefaultProduceTopic("ha"), kgo.ProduceRequestTimeout(3*time.Second), kgo.RequestTimeoutOverhead(time.Second))
	createTopic(ctx, t, writer, "ha")
	for i, step := range []func(){
		func() {},
		func() { c.Kill(t, 0) },
		func() { c.Restart(t) },
		func() { c.Pause(t, 1) },
		func() { c.Resume(t, 1) },
	} {
		step()
		if err := writer.ProduceSync(ctx, kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
}
