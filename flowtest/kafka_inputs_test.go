package flowtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/flowtest/live"
)

const (
	mergePartitions = 6
	leastMerged     = 100 // fires of each campaign
)

// mergeCampaigns ask for the order of what the inputs hold: they count over all of them, end an absence by a record of
// another one, want a sequence that may come within one millisecond, and ask for the profile as it was.
var mergeCampaigns = map[string]string{
	"second": `{trigger: {type: single_action, did: {event: buy, count: 2}}}`,
	"third":  `{trigger: {type: single_action, did: {event: buy, count: 3}}}`,
	"cart":   `{trigger: {type: inaction_within_time, did: add, did_not: buy, within: 2s}}`,
	"gold":   `{trigger: {type: single_action, did: buy}, who: {tier: gold}}`,
	"looked": `{trigger: {type: inaction_within_time, did: view, did_not: add, within: 1s, on_repeat: each}, who: {tier: {in: [gold, silver]}}, who_at: fire}`,
	"steps":  `{trigger: {type: actions, did: [view, buy], match: sequence, within: 2s}}`,
	"abroad": `{trigger: {type: actions_with_user_properties, did: [view, add], within: 2s}, who: {not: {country: CA}}}`,
}

// merging is a stage with two topics of events and a profiles topic, all of them written to while it runs.
type merging struct {
	*live.Stage
	feed *feed
}

// TestInputsOnKafka: two inputs and a profiles topic on a real Kafka are one stream (semantics 2.1), whatever becomes of
// the processors meanwhile: one joins, one is killed and comes again, one leaves for good. What is fired is what a simulation
// fires of the records in the order (rt, topic, offset), each once, and verify finds it so.
func TestInputsOnKafka(t *testing.T) {
	m := &merging{Stage: site.Stage(t, live.Plan{
		Name: "inputs", Partitions: mergePartitions, More: []string{"app"}, Profiles: true, Config: "processor: {allowed_lateness: 100ms}\n",
	})}
	m.Endpoint("shop", "http://127.0.0.1:1", "")
	for id, text := range mergeCampaigns {
		m.Write("campaigns/"+id+".yaml", fmt.Sprintf("{id: %s, webhook: {endpoint: shop}, %s", id, text[1:]))
	}
	began := time.Now()
	m.Abort("before", m.aborted()...)
	m.feed = newFeed(m.Stage, 11)
	m.feed.start()
	a, b := m.Processor("a"), m.Processor("b")
	m.shared(a, b)
	c := m.Processor("c")
	m.shared(a, b, c)
	a.Kill(t)
	a = m.Processor("a")
	m.shared(a, b, c)
	b.Stop(t)
	m.shared(a, c)
	m.feed.stop()
	m.Abort("behind", m.aborted()...)
	t.Logf("%d records are written after %s", m.feed.written, time.Since(began).Round(time.Second))
	m.Await("the processors have judged everything", patience, func() (bool, string) {
		left := m.left()
		return len(left) == 0, fmt.Sprintf("left: %v", left)
	})
	t.Logf("all is judged after %s", time.Since(began).Round(time.Second))
	m.judge()
	for _, child := range []*live.Child{a, c} {
		child.Stop(t)
	}
	t.Logf("%d transactions were aborted", m.aborts(a, b, c))
}

// aborts are the transactions that processors have aborted and done once more, as their logs tell.
func (m *merging) aborts(members ...*live.Child) int {
	m.T.Helper()
	n := 0
	for _, c := range members {
		text, err := os.ReadFile(m.Path(c.Name + ".log"))
		if err != nil {
			m.T.Fatal(err)
		}
		n += bytes.Count(text, []byte("its work is undone"))
	}
	return n
}

// aborted are records of a transaction that is aborted: one that is seen would count.
func (m *merging) aborted() []*kgo.Record {
	var records []*kgo.Record
	for i := range 5 * mergePartitions {
		records = append(records, &kgo.Record{
			Topic: m.Input, Partition: int32(i % mergePartitions), Key: []byte(userName(i)), Value: []byte(`{"type":"buy","id":"aborted"}`),
		})
	}
	return records
}

// shared waits until each of some processors has partitions, together they have all, each has the same partitions of all
// inputs, and from then on they come along in all that do not wait for the wall clock.
func (m *merging) shared(members ...*live.Child) {
	m.T.Helper()
	m.Await("the partitions are shared", patience, func() (bool, string) {
		held := m.held()
		n := 0
		for _, c := range members {
			of := held[c.Name]
			ids := of[m.Input]
			for _, topic := range m.Inputs {
				if len(ids) == 0 || !slices.Equal(of[topic], ids) {
					return false, fmt.Sprint(held)
				}
			}
			n += len(ids)
		}
		return n == mergePartitions && len(held) == len(members), fmt.Sprint(held)
	})
	before := m.committed()
	m.Await("the processors come along", patience, func() (bool, string) {
		now := m.committed()
		for id := range int32(busyPartitions) {
			for _, topic := range m.Inputs {
				if at := place(topic, id); now[at] <= before[at] {
					return false, fmt.Sprintf("%s is at %d, it was at %d", at, now[at], before[at])
				}
			}
		}
		return true, ""
	})
}

// held are the partitions that the members of the group own now, by instance and topic.
func (m *merging) held() map[string]map[string][]int32 {
	held := map[string]map[string][]int32{}
	group := m.Prefix + ".processor"
	groups, err := m.Adm.DescribeGroups(m.Within(10*time.Second), group)
	if err != nil {
		return held // the next look tells
	}
	for _, member := range groups[group].Members {
		of := map[string][]int32{}
		if assigned, ok := member.Assigned.AsConsumer(); ok {
			for _, topic := range assigned.Topics {
				of[topic.Topic] = slices.Sorted(slices.Values(topic.Partitions))
			}
		}
		if member.InstanceID != nil {
			held[*member.InstanceID] = of
		}
	}
	return held
}

func place(topic string, id int32) string { return fmt.Sprint(topic, "/", id) }

// committed is how far the processors have come, by topic and partition.
func (m *merging) committed() map[string]int64 {
	at := map[string]int64{}
	offsets, err := m.Adm.FetchOffsets(m.Within(10*time.Second), m.Prefix+".processor")
	if err != nil {
		return at // the next look tells
	}
	for _, o := range offsets.Sorted() {
		at[place(o.Topic, o.Partition)] = o.At
	}
	return at
}

// left is what is to be judged, by topic and partition.
func (m *merging) left() map[string]int64 {
	m.T.Helper()
	ends, err := m.Adm.ListEndOffsets(m.Within(patience), m.Inputs...)
	if err != nil {
		m.T.Fatal(err)
	}
	left, at := map[string]int64{}, m.committed()
	for _, end := range ends.Offsets().Sorted() {
		if where := place(end.Topic, end.Partition); at[where] != end.At {
			left[where] = end.At - at[where]
		}
	}
	return left
}

// judge holds what was fired against the simulation, in its order, and wants verify to find the same.
func (m *merging) judge() {
	m.T.Helper()
	records := m.records()
	listed := m.simulate(records, m.Inputs)
	want, again := live.ByID(listed)
	if len(again) > 0 {
		m.T.Errorf("%d fires are simulated twice, %s for one", len(again), again[0])
	}
	fired := m.Fired()
	got, twice := live.ByID(fired)
	if len(twice) > 0 {
		m.T.Errorf("%d fires are more than once on %s", len(twice), m.Topics.Webhooks)
		live.Show(m.T, "again", twice)
	}
	m.Compare(want, got)
	slices.SortStableFunc(fired, func(a, b live.Fire) int { return int(a.Partition - b.Partition) })
	if !m.T.Failed() && !slices.EqualFunc(listed, fired, func(w, g live.Fire) bool { return w.ID == g.ID }) {
		m.T.Error("the fires of a partition are in another order than simulated")
	}
	code, told := m.Told("verify", patience, "verify", "--config", m.Path("vigil.yaml"))
	if as := fmt.Sprintf("%d fires are as they must be, 0 differences, 0 unverifiable", len(want)); code != 0 || !strings.Contains(told, as) {
		m.T.Errorf("vigil verify ended with %d and said %q, want %q", code, told, as)
	}
	counts := byCampaign(want)
	m.T.Logf("fires by campaign: %v", counts)
	for id := range mergeCampaigns {
		if counts[id] < leastMerged {
			m.T.Errorf("campaign %s fired %d times only: the records do not test it", id, counts[id])
		}
	}
	backward := slices.Clone(m.Inputs)
	slices.Reverse(backward)
	other, _ := live.ByID(m.simulate(records, backward))
	if n := live.Diff(want, other).Len(); n < leastMerged {
		m.T.Errorf("with the topics in another order %d fires are others: the records do not test it", n)
	}
}

// records are all that stand in the inputs, by partition.
func (m *merging) records() map[int32][]*kgo.Record {
	m.T.Helper()
	records, n := map[int32][]*kgo.Record{}, 0
	for _, topic := range m.Inputs {
		for _, r := range m.Read(topic) {
			records[r.Partition] = append(records[r.Partition], r)
			n++
		}
	}
	if n != m.feed.written {
		m.T.Fatalf("%d records can be read, %d were written", n, m.feed.written)
	}
	return records
}

// simulate says what must fire of the records of each partition as one stream, with the topics in this order.
func (m *merging) simulate(records map[int32][]*kgo.Record, topics []string) []live.Fire {
	m.T.Helper()
	var fires []live.Fire
	for _, id := range slices.Sorted(maps.Keys(records)) {
		stream := slices.SortedFunc(slices.Values(records[id]), func(a, b *kgo.Record) int {
			return cmp.Or(a.Timestamp.Compare(b.Timestamp), cmp.Compare(slices.Index(topics, a.Topic), slices.Index(topics, b.Topic)),
				cmp.Compare(a.Offset, b.Offset))
		})
		var lines bytes.Buffer
		for _, r := range stream {
			lines.Write(m.line(r))
		}
		fires = append(fires, m.Simulate(live.Times(), id, lines.Bytes(), 0)...)
	}
	return fires
}

// line is a record as a simulation file has it. One of the profiles topic is the whole profile, or says that there is
// none.
func (m *merging) line(r *kgo.Record) []byte {
	m.T.Helper()
	line := map[string]any{"id": place(r.Topic, r.Partition) + fmt.Sprint("/", r.Offset)}
	if r.Topic == m.Inputs[0] {
		set, unset := map[string]any{}, []string{}
		if r.Value != nil {
			m.parse(r.Value, &set)
		}
		for _, name := range profileProperties {
			if _, ok := set[name]; !ok {
				unset = append(unset, name)
			}
		}
		line["type"], line["properties"] = "$profile", map[string]any{"set": set, "unset": unset}
	} else {
		m.parse(r.Value, &line)
	}
	line["user"], line["received"] = string(r.Key), r.Timestamp.UnixMilli()
	text, err := json.Marshal(line)
	if err != nil {
		m.T.Fatal(err)
	}
	return append(text, '\n')
}

func (m *merging) parse(text []byte, into any) {
	m.T.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		m.T.Fatal(err)
	}
}
