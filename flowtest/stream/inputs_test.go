package stream

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestInputsAreOneStream: however two event topics and a profiles topic are cut into fetches, and the processor stopped,
// crashed and its transactions failed, it fires what a simulation fires of their records as one stream in the order
// (rt, topic, offset) (semantics 2.1).
func TestInputsAreOneStream(t *testing.T) {
	for seed := range seedsOf(2) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			inBubble(t, dayPartitions, func(s *stage) {
				d := newDay(s, 100+seed, []string{input, "more"}, "profiles")
				d.orderly = true
				if seed%2 == 1 {
					// A few records at a time. FetchMaxBytes would do too, but where it cuts an answer kfake forgets to say
					// which transactions were aborted.
					d.opts = append(d.opts, kgo.FetchMaxPartitionBytes(300))
				}
				d.start("a")
				d.live(daySteps)
				d.start("b")
				d.pass(3*time.Hour + time.Until(d.now.Truncate(time.Hour).Add(90*time.Minute)))
				h := history{stage: d.stage}
				fired := h.fired()
				if diff := gocmp.Diff(d.simulated(), fired); diff != "" || len(fired) < 80 {
					d.t.Errorf("%d fires (-simulated +live)\n%s", len(fired), diff)
				}
				d.honest(d.verify(d.sets...), len(fired))
			})
		})
	}
}

// A record of one input whose clock is an hour ahead is taken as of now (semantics 2.1): it holds up nobody, and verify
// takes it in the same order.
func TestInputFromTheFuture(t *testing.T) {
	inBubble(t, dayPartitions, func(s *stage) {
		d := newDay(s, 1, []string{input, "more"}, "")
		d.start("a")
		d.pass(2 * time.Minute) // its fetches wait for all partitions by now
		view := func(topic, id string, ahead time.Duration) {
			d.put(&kgo.Record{Topic: topic, Key: []byte("ada"), Value: []byte(`{"type":"view","id":"` + id + `"}`), Timestamp: d.now.Add(ahead)})
		}
		view(input, "1", time.Hour)
		view(input, "2", 0)
		view("more", "3", 0)
		d.pass(5 * time.Second)
		if n := d.standing(); n != 3 { // on: action, each of them
			d.t.Errorf("%d fires within 5 s, want 3", n)
		}
		d.honest(d.verify(d.sets...), d.standing())
	})
}

// simulated are the fires of a simulation of each partition, sorted.
func (d *day) simulated() (all []string) {
	d.t.Helper()
	order := append([]string{d.profiles}, d.inputs...)
	slices.SortStableFunc(d.sent, func(a, b *kgo.Record) int {
		return cmp.Or(a.Timestamp.Compare(b.Timestamp), cmp.Compare(slices.Index(order, a.Topic), slices.Index(order, b.Topic)),
			cmp.Compare(a.Offset, b.Offset))
	})
	for id := range int32(dayPartitions) {
		h := history{stage: d.stage}
		for _, r := range d.sent {
			if r.Partition == id {
				h.lines.Write(d.line(r))
			}
		}
		all = append(all, h.simulated()...)
	}
	slices.Sort(all)
	return all
}

// line is a record as a simulation reads it. A record of the profiles topic sets or removes all that a profile of this
// test can hold.
func (d *day) line(r *kgo.Record) []byte {
	d.t.Helper()
	line := map[string]any{"type": "$profile", "id": fmt.Sprint(r.Topic, "/", r.Partition, "/", r.Offset)}
	switch {
	case r.Topic != d.profiles:
		d.must(json.Unmarshal(r.Value, &line))
	case r.Value == nil:
		line["properties"] = map[string]any{"unset": []string{"tier"}}
	default:
		line["properties"] = map[string]any{"set": json.RawMessage(r.Value)}
	}
	line["user"], line["received"] = string(r.Key), r.Timestamp.UnixMilli()
	text, err := json.Marshal(line)
	d.must(err)
	return append(bytes.TrimSpace(text), '\n')
}
