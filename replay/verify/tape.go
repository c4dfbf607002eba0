package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
)

const (
	tapeSilence = 30 * time.Second // without any record before the end: something is wrong
	tapeFetch   = 4 << 20          // bytes of one answer
)

// tape reads one partition of a topic from an offset up to an end: committed records and markers, in order.
type tape struct {
	client    *kgo.Client
	topic     string
	partition int32
	next, end int64
	decided   kafka.Decided // read; not known to be committed, or not yet ready
	ready     *kgo.Record   // the next one, not taken
}

// tape begins at from, which must be there; the end is not above the last stable offset.
func (v *verifier) tape(topic string, partition int32, from, end int64) (*tape, error) {
	t := &tape{topic: topic, partition: partition, next: from, end: end}
	if from >= end {
		return t, nil
	}
	client, err := kgo.NewClient(append(v.Client.Opts(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NewOffset().At(from)}}),
		kgo.FetchIsolationLevel(kgo.ReadUncommitted()), // the broker's word on what was aborted may be wrong
		kgo.KeepControlRecords(), // they tell what was, stand in the order as any record does, and a log may end in one
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxPartitionBytes(tapeFetch), kgo.FetchMaxBytes(2*tapeFetch),
	)...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", topic, err)
	}
	t.client = client
	return t, nil
}

// peek is the next record, or nil at the end.
func (t *tape) peek(ctx context.Context) (*kgo.Record, error) {
	for t.ready == nil {
		if t.next >= t.end {
			return nil, nil
		}
		if t.ready = t.decided.Next(); t.ready != nil {
			break
		}
		polling, cancel := context.WithTimeout(ctx, tapeSilence)
		fetches := t.client.PollFetches(polling)
		cancel()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %s/%d at %d: %w", t.topic, t.partition, t.next, err)
		}
		fetches.EachRecord(t.decided.Add)
	}
	if t.ready.Offset < t.end {
		return t.ready, nil
	}
	t.next, t.ready = t.end, nil
	return nil, nil
}

// take is done with the record that peek gave.
func (t *tape) take() { t.next, t.ready = t.ready.Offset+1, nil }

func (t *tape) close() {
	if t != nil && t.client != nil {
		t.client.Close()
	}
}
