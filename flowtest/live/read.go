package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
)

// ReadAll returns all committed records of a topic, as of now, in the order of their partitions. Connect makes its
// client, which ReadAll closes. Ends that no leader tells are asked for again until ctx ends.
func ReadAll(ctx context.Context, connect func(more ...kgo.Opt) *kgo.Client, topic string) ([]*kgo.Record, error) {
	left, err := committedEnds(ctx, connect, topic)
	if err != nil || len(left) == 0 {
		return nil, err
	}
	from := map[int32]kgo.Offset{}
	for partition := range left {
		from[partition] = kgo.NewOffset().AtStart()
	}
	client := connect(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer client.Close()
	var records []*kgo.Record
	decided := map[int32]*kafka.Decided{}
	for partition := range left {
		decided[partition] = &kafka.Decided{}
	}
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read %s, to read %v: %w", topic, left, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			d := decided[r.Partition]
			d.Add(r)
			if end, ok := left[r.Partition]; ok && r.Offset+1 >= end {
				delete(left, r.Partition)
				d.Break()
			}
			for r := range d.Ready() {
				if !r.Attrs.IsControl() {
					records = append(records, r)
				}
			}
		})
	}
	return records, nil
}

// committedEnds are the last stable offsets of the partitions that hold anything.
func committedEnds(ctx context.Context, connect func(more ...kgo.Opt) *kgo.Client, topic string) (map[int32]int64, error) {
	client := connect()
	defer client.Close()
	for {
		ends, err := kadm.NewClient(client).ListCommittedOffsets(ctx, topic)
		if err = errors.Join(err, ends.Error()); err == nil {
			left := offsetsOf(ends)
			maps.DeleteFunc(left, func(_ int32, end int64) bool { return end == 0 })
			return left, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("find the ends of %s: %w", topic, err)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// Log keeps what is written to it and may be read meanwhile.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer // guarded by mu
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// Text is what was written so far.
func (l *Log) Text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Reset forgets what was written so far.
func (l *Log) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b.Reset()
}

// Line is the first line with all of the words; empty where there is none.
func (l *Log) Line(words ...string) string {
	for line := range strings.Lines(l.Text()) {
		if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) }) {
			return line
		}
	}
	return ""
}
