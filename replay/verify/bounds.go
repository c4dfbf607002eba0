package verify

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"vigil/kafka"
)

// settleWait bounds the wait for transactions that were open when the bounds were taken.
const settleWait = time.Minute

// bounds are where a verification begins and ends, taken while processors may be at work. A transaction writes offsets,
// fires and journal together, but they are looked at one after the other, so the order matters: every fire below sure
// was decided before the offsets in done; the journal up to its end knows of at least those; and every fire that
// journal and done account for is below its topic's end.
type bounds struct {
	starts    offsets         // of the inputs: where they begin by now
	done      offsets         // of the inputs: what the group has committed
	compacted map[string]bool // of the inputs: what is in the middle of them may be gone
	journal   map[int32]span
	fires     map[string]map[int32]firesSpan // by topic
}

// span is a part of a partition.
type span struct{ start, end int64 }

// firesSpan is a part of the webhooks or the shadow topic: what is at sure or behind it may be decided after the run's
// end.
type firesSpan struct {
	span
	sure int64
}

// find takes the bounds.
func (v *verifier) find(ctx context.Context) (*bounds, error) {
	b := &bounds{done: offsets{}, journal: map[int32]span{}, fires: map[string]map[int32]firesSpan{}}
	outputs := []string{v.Topics.Webhooks, v.Topics.Shadow}
	starts, err1 := v.listed(ctx, v.adm.ListStartOffsets, append(outputs, v.Topics.Journal)...)
	sure, err2 := v.listed(ctx, v.adm.ListCommittedOffsets, outputs...)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if err := v.committed(ctx, b); err != nil {
		return nil, err
	}
	journal, err := v.settled(ctx, v.Topics.Journal)
	if err != nil {
		return nil, err
	}
	if len(b.done) > 0 {
		if b.starts, err = v.listed(ctx, v.adm.ListStartOffsets, slices.Sorted(maps.Keys(b.done))...); err != nil {
			return nil, err
		}
	}
	if b.compacted, err = v.compacted(ctx, slices.Sorted(maps.Keys(b.done))); err != nil {
		return nil, err
	}
	for id, end := range journal[v.Topics.Journal] {
		b.journal[id] = span{starts[v.Topics.Journal][id], end}
	}
	ends, err := v.settled(ctx, outputs...)
	if err != nil {
		return nil, err
	}
	for topic, parts := range ends {
		b.fires[topic] = map[int32]firesSpan{}
		for id, end := range parts {
			b.fires[topic][id] = firesSpan{span{starts[topic][id], end}, sure[topic][id]}
		}
	}
	return b, nil
}

// offsets are some by topic and partition.
type offsets map[string]map[int32]int64

// listed asks for offsets of topics, all of which must be there.
func (v *verifier) listed(ctx context.Context, list func(context.Context, ...string) (kadm.ListedOffsets, error), topics ...string) (offsets, error) {
	got, err := list(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("find the ends of %v: %w", topics, err)
	}
	all := offsets{}
	var errs []error
	got.Each(func(l kadm.ListedOffset) {
		switch {
		case errors.Is(l.Err, kerr.UnknownTopicOrPartition):
			errs = append(errs, fmt.Errorf("topic %s: %w; `vigil topics create` makes it", l.Topic, kafka.ErrMissing))
		case l.Err != nil:
			errs = append(errs, fmt.Errorf("find the ends of %s/%d: %w", l.Topic, l.Partition, l.Err))
		case all[l.Topic] == nil:
			all[l.Topic] = map[int32]int64{l.Partition: l.Offset}
		default:
			all[l.Topic][l.Partition] = l.Offset
		}
	})
	return all, errors.Join(errs...)
}

// settled are the ends of topics, once every transaction that had written below them has been decided.
func (v *verifier) settled(ctx context.Context, topics ...string) (offsets, error) {
	ends, err := v.listed(ctx, v.adm.ListEndOffsets, topics...)
	if err != nil {
		return nil, err
	}
	return ends, v.until(ctx, "transactions are open that no processor ends", func() (bool, error) {
		stable, err := v.listed(ctx, v.adm.ListCommittedOffsets, topics...)
		for topic, parts := range ends {
			for id, end := range parts {
				if stable[topic][id] < end {
					return false, err
				}
			}
		}
		return true, err
	})
}

// compacted tells which of the topics are.
func (v *verifier) compacted(ctx context.Context, topics []string) (map[string]bool, error) {
	found := map[string]bool{}
	if len(topics) == 0 {
		return found, nil
	}
	settings, err := v.adm.DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		return nil, fmt.Errorf("describe topic settings: %w", err)
	}
	for _, topic := range settings {
		for _, c := range topic.Configs {
			if c.Key == "cleanup.policy" && strings.Contains(c.MaybeValue(), "compact") {
				found[topic.Name] = true
			}
		}
	}
	return found, nil
}

// committed asks what the group has committed, and waits for commits that are under way.
func (v *verifier) committed(ctx context.Context, b *bounds) error {
	return v.until(ctx, "commits of the group do not end", func() (bool, error) {
		got, err := v.adm.FetchOffsets(kadm.RequireStable(ctx), v.Group)
		if err != nil {
			return false, fmt.Errorf("read the offsets of group %s: %w", v.Group, err)
		}
		open := false
		got.Each(func(o kadm.OffsetResponse) {
			switch {
			case errors.Is(o.Err, kerr.UnstableOffsetCommit):
				open = true
			case o.Err != nil:
				err = fmt.Errorf("read the offsets of group %s: %w", v.Group, o.Err)
			case b.done[o.Topic] == nil:
				b.done[o.Topic] = map[int32]int64{o.Partition: o.At}
			default:
				b.done[o.Topic][o.Partition] = o.At
			}
		})
		return !open && err == nil, err
	})
}

// until asks again and again until ok.
func (v *verifier) until(ctx context.Context, otherwise string, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settleWait, errors.New(otherwise))
	defer cancel()
	for {
		if done, err := ok(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// partitions are those of the journal, in order.
func (b *bounds) partitions() []int32 { return slices.Sorted(maps.Keys(b.journal)) }

// ends is what the group has committed of a partition, by input topic.
func (b *bounds) ends(id int32) map[string]int64 {
	ends := map[string]int64{}
	for topic, parts := range b.done {
		if at, ok := parts[id]; ok && at >= 0 {
			ends[topic] = at
		}
	}
	return ends
}

// size is how many offsets there are to go through at most.
func (b *bounds) size() (sum int64) {
	for topic, parts := range b.done {
		for id, end := range parts {
			sum += max(end-b.starts[topic][id], 0)
		}
	}
	return sum
}
