package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fastjson"

	"vigil/kafka"
)

// loop is the floor under any engine on Kafka: it reads events in the same kind of group and transactions as the
// processor, parses each, and writes as many changelog records and fires of the same size; it knows nothing of anybody.
type loop struct {
	part
	topics kafka.Topics
	kafka  *kgo.GroupTransactSession
	parser fastjson.Parser
	failed firstError

	states []kgo.Record // of the transaction; reused
	fires  []*kgo.Record
	seen   int
	sum    float64 // of what was parsed, so that parsing is not for nothing
}

func raw(ctx context.Context, p part) (*figures, error) {
	produced := &writes{}
	l := &loop{part: p, topics: kafka.Names(p.Prefix)}
	f := &figures{Name: "raw", Units: p.Events}
	err := makeTopics(ctx, p.Brokers, p.Prefix)
	if err != nil {
		return nil, err
	}
	watch := started()
	if l.kafka, err = kgo.NewGroupTransactSession(append(options(p.Brokers),
		kgo.ConsumeTopics("events"), kgo.ConsumerGroup(p.Prefix+".raw"), kgo.InstanceID("bench"),
		kgo.TransactionalID(p.Prefix+".raw-bench"), kgo.TransactionTimeout(15*time.Second), kgo.SessionTimeout(10*time.Second),
		kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.BlockRebalanceOnPoll(), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.FetchMaxPartitionBytes(256<<10),
		kgo.MaxBufferedRecords(400_000), kgo.ProducerLinger(0), kgo.WithHooks(produced))...); err != nil {
		return nil, err
	}
	defer l.kafka.CloseAllowingRebalance()
	for l.seen < p.Events {
		if err := l.transaction(ctx); err != nil {
			return nil, err
		}
		f.Commits++
	}
	f.CPU, f.Wall = watch.cpuTime(), watch.wallTime()
	f.Committed = f.CPU
	f.memory()
	f.Produced = produced.taken()
	return f, nil
}

// transaction reads for 100 ms, writes and commits.
func (l *loop) transaction(ctx context.Context) error {
	if err := l.kafka.Begin(); err != nil {
		return err
	}
	l.states, l.fires = l.states[:0], l.fires[:0]
	until := time.Now().Add(commitMillis * time.Millisecond)
	for time.Now().Before(until) && l.seen < l.Events {
		polling, cancel := context.WithDeadline(ctx, until)
		fetches := l.kafka.PollRecords(polling, 20_000)
		cancel()
		if err := fetches.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		for it := fetches.RecordIter(); !it.Done(); {
			if err := l.take(it.Next()); err != nil {
				return err
			}
		}
	}
	for i := range l.states {
		l.kafka.Produce(ctx, &l.states[i], l.done)
	}
	for _, r := range l.fires {
		l.kafka.Produce(ctx, r, l.done)
	}
	committed, err := l.kafka.End(ctx, kgo.TryCommit)
	l.kafka.AllowRebalance()
	if err == nil && !committed {
		err = errors.New("a transaction was aborted")
	}
	return errors.Join(err, l.failed.get())
}

func (l *loop) done(_ *kgo.Record, err error) { l.failed.note(err) }

// take parses one event and reads what any engine must. The records written hold bytes of the event, so that they
// compress as records do.
func (l *loop) take(r *kgo.Record) error {
	if l.Validate {
		if err := fastjson.ValidateBytes(r.Value); err != nil {
			return fmt.Errorf("offset %d: %w", r.Offset, err)
		}
	}
	v, err := l.parser.ParseBytes(r.Value)
	if err != nil {
		return fmt.Errorf("offset %d: %w", r.Offset, err)
	}
	l.sum += v.GetFloat64("time") + float64(len(v.GetStringBytes("id"))+len(v.GetStringBytes("type")))
	l.sum += float64(len(v.Get("properties").GetStringBytes("item")))
	l.states = append(l.states, kgo.Record{
		Topic: l.topics.State, Partition: r.Partition, Key: r.Key, Value: r.Value[:min(l.Changelog, len(r.Value))],
	})
	if l.seen++; l.seen%max(l.EveryFire, 1) == 0 {
		value := make([]byte, 0, l.Fire+len(r.Value))
		for len(value) < l.Fire {
			value = append(value, r.Value...)
		}
		l.fires = append(l.fires, &kgo.Record{Topic: l.topics.Webhooks, Partition: r.Partition, Key: r.Key, Value: value[:l.Fire]})
	}
	return nil
}
