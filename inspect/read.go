// Package inspect reads what vigil wrote, for the people who run it: attempts, dead letters and user records. It stands
// beside the flow: it joins no group, commits no offset and changes nothing, except that Replay writes dead letters
// back to where they came from.
package inspect

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
)

const (
	silence     = 30 * time.Second // without any record before the end is reached: something is wrong
	fetchBytes  = 8 << 20          // of one partition in one answer
	fetchAtMost = 32 << 20         // of one answer
)

// Reader reads topics from where they begin, without a group. It has one caller.
type Reader struct {
	client *kgo.Client
	adm    *kadm.Client
}

// NewReader makes a reader with the options of client, which stays the caller's to close.
func NewReader(client *kgo.Client) *Reader { return &Reader{client, kadm.NewClient(client)} }

// scan says which records of a topic are read.
type scan struct {
	topic  string
	only   func(partition int32) bool // nil: all partitions
	since  time.Time                  // of the record's timestamp; zero: from the beginning
	follow bool                       // goes on after the end, until the context ends
	atEnd  func() error               // called once, when all that was there at the start has been read; nil: nothing
}

// span is the part of a partition that is to be read: next moves to end.
type span struct {
	next, end int64
	decided   kafka.Decided // a broker's list of aborted transactions may lack one
}

// read calls each for every committed record, in the order of offsets within a partition. Without follow it ends where
// the topic ended when it was asked; a context that ends while it follows is no error.
func (r *Reader) read(ctx context.Context, s scan, each func(*kgo.Record) error) error {
	left, err := r.spans(ctx, s)
	if err != nil {
		return err
	}
	offsets := map[int32]kgo.Offset{}
	for id, part := range left {
		if part.next < part.end || s.follow {
			offsets[id] = kgo.NewOffset().At(part.next)
		}
	}
	if len(offsets) == 0 {
		return s.ended()
	}
	client, err := kgo.NewClient(append(r.client.Opts(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: offsets}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchMaxPartitionBytes(fetchBytes), kgo.FetchMaxBytes(fetchAtMost),
	)...)
	if err != nil {
		return fmt.Errorf("read %s: %w", s.topic, err)
	}
	defer client.Close()
	visit := func(record *kgo.Record) error {
		part := left[record.Partition]
		part.next = max(part.next, record.Offset+1)
		part.decided.Add(record)
		if part.next >= part.end && !s.follow { // a marker that is not there by now may be compacted away
			part.decided.Break()
		}
		for ready := range part.decided.Ready() {
			if ready.Attrs.IsControl() || ready.Offset >= part.end && !s.follow {
				continue
			}
			if err := each(ready); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.drain(ctx, client, left, visit); err != nil {
		return err
	}
	if err := s.ended(); err != nil || !s.follow {
		return err
	}
	for ctx.Err() == nil {
		if err := poll(ctx, client, visit); err != nil && ctx.Err() == nil {
			return fmt.Errorf("read %s: %w", s.topic, err)
		}
	}
	return nil
}

func (s scan) ended() error {
	if s.atEnd == nil {
		return nil
	}
	return s.atEnd()
}

// drain polls until every partition has reached its end.
func (s scan) drain(ctx context.Context, client *kgo.Client, left map[int32]*span, visit func(*kgo.Record) error) error {
	for unread(left) {
		polling, cancel := context.WithTimeout(ctx, silence)
		err := poll(polling, client, visit)
		cancel()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", s.topic, err)
		}
	}
	return nil
}

func unread(left map[int32]*span) bool {
	for _, part := range left {
		if part.next < part.end {
			return true
		}
	}
	return false
}

// poll takes one answer.
func poll(ctx context.Context, client *kgo.Client, each func(*kgo.Record) error) error {
	fetches := client.PollFetches(ctx)
	if err := fetches.Err(); err != nil {
		return err
	}
	for it := fetches.RecordIter(); !it.Done(); {
		if err := each(it.Next()); err != nil {
			return err
		}
	}
	return nil
}

// spans are the parts of the topic's partitions that a scan reads. A topic that is not there is kafka.ErrMissing.
func (r *Reader) spans(ctx context.Context, s scan) (map[int32]*span, error) {
	var starts kadm.ListedOffsets
	var err1 error
	if s.since.IsZero() {
		starts, err1 = r.adm.ListStartOffsets(ctx, s.topic)
	} else {
		starts, err1 = r.adm.ListOffsetsAfterMilli(ctx, s.since.UnixMilli(), s.topic)
	}
	ends, err2 := r.adm.ListCommittedOffsets(ctx, s.topic)
	if err := errors.Join(err1, err2); err != nil {
		return nil, fmt.Errorf("find the ends of %s: %w", s.topic, err)
	}
	left := map[int32]*span{}
	for id, end := range ends[s.topic] {
		start := starts[s.topic][id]
		switch err := errors.Join(start.Err, end.Err); {
		case errors.Is(err, kerr.UnknownTopicOrPartition):
			return nil, fmt.Errorf("topic %s: %w; `vigil topics create` makes it", s.topic, kafka.ErrMissing)
		case err != nil:
			return nil, fmt.Errorf("find the ends of %s/%d: %w", s.topic, id, err)
		case s.only == nil || s.only(id):
			left[id] = &span{next: start.Offset, end: end.Offset}
		}
	}
	return left, nil
}

// home is the partition of a key among n, as producers choose it unless told otherwise.
func home(key []byte, topic string, n int) int32 {
	return int32(kgo.StickyKeyPartitioner(nil).ForTopic(topic).Partition(&kgo.Record{Key: key}, n))
}

// partitions counts those of a topic.
func (r *Reader) partitions(ctx context.Context, topic string) (int, error) {
	details, err := r.adm.ListTopics(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("list topics: %w", err)
	}
	d := details[topic]
	if errors.Is(d.Err, kerr.UnknownTopicOrPartition) || d.Err == nil && len(d.Partitions) == 0 {
		return 0, fmt.Errorf("topic %s: %w; `vigil topics create` makes it", topic, kafka.ErrMissing)
	}
	return len(d.Partitions), d.Err
}
