package processor_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/webhook"
)

// byPartition counts how often the member has restored each partition.
func (l *logged) byPartition() map[int32]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := map[int32]int{}
	for line := range bytes.Lines(l.text.Bytes()) {
		var told struct{ Partition int32 }
		if bytes.Contains(line, []byte("partition restored")) && json.Unmarshal(line, &told) == nil {
			n[told.Partition]++
		}
	}
	return n
}

// crew is the members of a group, with all of their logs.
type crew struct {
	*stage
	stops map[string]func()
	logs  map[string]*logged
}

// step changes the crew, and waits until so many share the partitions and have restored those that moved. None of those that
// stay may have been restored.
func (c *crew) step(members int, change func()) (moved []int32) {
	c.t.Helper()
	before, had := c.shares(len(c.stops)), c.restored()
	change()
	after := c.shares(members)
	for id, name := range after {
		if before[id] != name {
			moved = append(moved, id)
		}
	}
	slices.Sort(moved)
	has := c.restored()
	for end := time.Now().Add(patience); time.Now().Before(end) && slices.ContainsFunc(moved, func(id int32) bool { return has[id] == had[id] }); {
		<-time.After(50 * time.Millisecond)
		has = c.restored()
	}
	for id, name := range after {
		if again := has[id] - had[id]; slices.Contains(moved, id) != (again > 0) {
			c.t.Errorf("partition %d of %s was restored %d times; moved: %v", id, name, again, moved)
		}
	}
	return moved
}

// shares is who has each partition, once so many share them; of nobody it is empty.
func (c *crew) shares(members int) map[int32]string {
	c.t.Helper()
	all := map[int32]string{}
	if members == 0 {
		return all
	}
	for name, ids := range c.owners(members) {
		for _, id := range ids {
			all[id] = name
		}
	}
	return all
}

func (c *crew) join(name string) { c.stops[name], c.logs[name] = c.stage.join(name) }

// restored counts the restores of each partition.
func (c *crew) restored() map[int32]int {
	n := map[int32]int{}
	for _, l := range c.logs {
		for id, times := range l.byPartition() {
			n[id] += times
		}
	}
	return n
}

// traffic writes to every partition, round after round, until it is stopped: a buy of the same user, and now and then a cart that is
// left. Stopped it tells what an undisturbed run fires, sorted.
func (s *stage) traffic(every time.Duration) (stop func() []string) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(s.t.Context())
	var want []string
	var writer sync.WaitGroup
	writer.Go(func() {
		for round := 1; ctx.Err() == nil; round++ {
			var records []*kgo.Record
			add := func(p int32, user, eventType, id string) {
				records = append(records, &kgo.Record{Topic: s.inputs[round%len(s.inputs)], Partition: p, Key: []byte(user), Value: fmt.Appendf(nil, `{"type":%q,"id":%q}`, eventType, id)})
			}
			for p := range int32(s.width) {
				user, id := fmt.Sprint("user-", p), fmt.Sprint("b", round)
				add(p, user, "buy", id)
				want = append(want, fire("buy", user, id, ""))
				if round%3 == 0 {
					want = append(want, fire("third", user, id, ""))
				}
				if round%5 == 0 {
					left := fmt.Sprintf("left-%d-%d", p, round)
					add(p, left, "add", "a")
					want = append(want, fire("cart", left, "a", "inaction"))
				}
			}
			if err := s.client.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
				s.t.Error(err)
				return
			}
			select {
			case <-ctx.Done():
			case <-time.After(every):
			}
		}
	})
	s.t.Cleanup(func() { cancel(); writer.Wait() })
	return func() []string {
		cancel()
		writer.Wait()
		return slices.Sorted(slices.Values(want))
	}
}

// One process becomes four and two again, while events arrive: what is decided is what one process decides that nobody disturbs, each
// once, and the partitions that do not move go on. Two leave as a scaled-down set does: they stop, and the group hears no more of them.
func TestOneToFourToTwo(t *testing.T) {
	for _, inputs := range [][]string{{"wide"}, {"wide", "wider"}} {
		t.Run(fmt.Sprintf("%d inputs", len(inputs)), func(t *testing.T) { oneToFourToTwo(t, inputs...) })
	}
}

func oneToFourToTwo(t *testing.T, inputs ...string) {
	s := newStage(t, onBuy, cart, `
id: third
trigger: {type: single_action, did: {event: buy, count: 3}}
webhook: {url: "https://example.com/hook"}
`)
	s.widen(8, inputs...)
	c := &crew{s, map[string]func(){}, map[string]*logged{}}
	c.step(1, func() { c.join("a") })
	stop := s.traffic(50 * time.Millisecond)
	for i, name := range []string{"b", "c", "d"} {
		if moved := c.step(i+2, func() { c.join(name) }); len(moved) == 0 || len(moved) > s.width/(i+2) {
			t.Errorf("%v moved when %s joined as one of %d", moved, name, i+2)
		}
	}
	began := time.Now()
	moved := c.step(2, func() {
		for _, name := range []string{"d", "c"} {
			c.stops[name]()
		}
	})
	took := time.Since(began)
	if len(moved) != 4 {
		t.Errorf("%v moved when two of four had left", moved)
	}
	want := stop()
	if diff := cmp.Diff(want, s.firesAndNoMore(len(want))); diff != "" {
		t.Error(diff)
	}
	for id, gap := range s.silence(began, began.Add(took)) {
		if !slices.Contains(moved, id) && gap > took/2 {
			t.Errorf("partition %d, which stayed, was silent for %v of the %v in which others moved", id, gap, took)
		}
	}
}

// silence is the longest time without a decision of each partition between two times.
func (s *stage) silence(from, to time.Time) map[int32]time.Duration {
	s.t.Helper()
	at := map[int32][]time.Time{}
	for p := range int32(s.width) {
		at[p] = []time.Time{from, to}
	}
	for _, r := range s.all("vigil.webhooks") {
		d, err := webhook.DecodeDelivery(r.Value)
		if err != nil {
			s.t.Fatal(err)
		}
		if d.DecidedAt.After(from) && d.DecidedAt.Before(to) && strings.HasPrefix(d.User, "user-") {
			at[r.Partition] = append(at[r.Partition], d.DecidedAt)
		}
	}
	longest := map[int32]time.Duration{}
	for _, p := range slices.Sorted(maps.Keys(at)) {
		slices.SortFunc(at[p], time.Time.Compare)
		for i := 1; i < len(at[p]); i++ {
			longest[p] = max(longest[p], at[p][i].Sub(at[p][i-1]))
		}
	}
	return longest
}
