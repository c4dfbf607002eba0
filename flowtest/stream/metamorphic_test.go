package stream

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/replay"
	"vigil/webhook"
)

const (
	seeds = 6
	steps = 80 // of a seed
)

// mixed are campaigns of every trigger type, with gates that depend on the fires before.
var mixed = []string{
	`{id: a-bought, trigger: {type: single_action, did: {event: buy, count: 2}}, webhook: {endpoint: shop}}`,
	`{id: b-thanks, trigger: {type: single_action, did: buy, delay: 7m}, limits: {max: {count: 2, per: 1h}}, webhook: {endpoint: shop}}`,
	`{id: c-order, trigger: {type: actions, did: [view, add, buy], match: sequence, within: 40m}, webhook: {endpoint: shop}}`,
	`{id: d-set, trigger: {type: actions, did: [{event: view, count: 2}, add], within: 20m}, webhook: {endpoint: shop}}`,
	`{id: e-cart, trigger: {type: inaction_within_time, key: cart, did: add, did_not: buy, within: 9m}, webhook: {endpoint: shop}}`,
	`{id: f-each, trigger: {type: inaction_within_time, did: view, did_not: [buy, add], within: 11m, on_repeat: each}, limits: {gap: 5m}, webhook: {endpoint: shop}}`,
	`{id: g-first, trigger: {type: inaction_within_time, did: view, did_not: buy, within: 13m, on_repeat: first}, webhook: {endpoint: shop}}`,
	`{id: h-action, trigger: {type: inaction, did: view, did_not: add, evaluate: {on: action, lookback: 30m}}, webhook: {endpoint: shop}}`,
	`{id: i-visit, trigger: {type: inaction, did: view, did_not: buy, evaluate: {on: session_end, session_gap: 6m}}, webhook: {endpoint: shop}}`,
	`{id: j-date, trigger: {type: date_time_property, key: cart, on: add, property: when, offsets: ["-5m", "10m"], cancel_on: buy}, webhook: {endpoint: shop}}`,
	`{id: k-hourly, trigger: {type: inaction, did: view, did_not: buy, evaluate: {on: schedule, cron: "*/20 * * * *", lookback: 30m}}, webhook: {endpoint: shop}}`,
	`{id: l-who, trigger: {type: actions_with_user_properties, did: [view], did_not: [buy], within: 8m}, who: {tier: gold}, webhook: {endpoint: shop}}`,
}

// history is what one seed does to a processor: it writes events and disturbs it.
type history struct {
	*stage
	rand  *rand.Rand
	sent  []*kgo.Record
	lines bytes.Buffer // the input as a simulation reads it
}

// TestDisturbancesChangeNothing: however the events are cut into batches and sent again, and the processor stopped,
// restarted, robbed of its disk and its transactions aborted, it fires what a simulation of its input fires, each once.
func TestDisturbancesChangeNothing(t *testing.T) {
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			inBubble(t, 1, func(s *stage) {
				s.opts = append(s.opts, kgo.FetchMaxWait(10*time.Minute)) // all partitions are in the first fetch
				h := &history{stage: s, rand: rand.New(rand.NewPCG(seed, 1))}
				h.play()
				fired := h.fired()
				if diff := cmp.Diff(h.simulated(), fired); diff != "" {
					s.t.Errorf("fires (-simulated +live)\n%s", diff)
				}
				h.honest(h.verify(h.catalog()), len(fired))
			})
		})
	}
}

// play runs the history, then lets all timers end: there is nothing due at half past.
func (h *history) play() {
	for _, text := range mixed {
		h.must(h.setCampaign(text + "\n"))
	}
	h.startProcessor()
	for range steps {
		h.step()
	}
	h.startProcessor()
	h.pass(3*time.Hour + time.Until(h.now.Truncate(time.Hour).Add(90*time.Minute)))
}

// step is one thing that happens.
func (h *history) step() {
	switch n := h.rand.IntN(100); {
	case n < 40:
		for range 1 + h.rand.IntN(6) {
			h.write(h.event())
		}
	case n < 45 && len(h.sent) > 0:
		again := *h.sent[h.rand.IntN(len(h.sent))]
		h.write(again.Key, again.Value)
	case n < 70:
		h.pass(time.Duration(1+h.rand.IntN(600)) * time.Second)
	case n < 80:
		h.pass(time.Duration(1+h.rand.IntN(2000)) * time.Millisecond)
	case n < 85:
		h.stopProcessor()
	case n < 92:
		h.startProcessor()
	case n < 95:
		h.stopProcessor()
		h.wipeDisk()
		h.startProcessor()
	default:
		h.cluster.Fault(
			kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RebalanceInProgress, Count: 1 + h.rand.IntN(2)},
			kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.TransactionAbortable, Count: h.rand.IntN(2) + 1},
		)
	}
}

// event is one of a few users; some come late, some are old.
func (h *history) event() (key, value []byte) {
	pick := func(of ...string) string { return of[h.rand.IntN(len(of))] }
	v := map[string]any{"id": fmt.Sprint("e", len(h.sent))}
	user := pick("ada", "bob", "cid", "dan")
	ts := h.now
	switch n := h.rand.IntN(20); {
	case n < 3:
		ts = ts.Add(-time.Duration(h.rand.IntN(6000)) * time.Millisecond)
	case n < 5:
		ts = ts.Add(-time.Duration(h.rand.IntN(15)) * time.Minute)
	case n < 6:
		ts = ts.Add(-3 * time.Hour)
	}
	v["type"] = pick("view", "view", "view", "add", "add", "buy", "$profile", "other")
	v["time"] = ts.UnixMilli()
	switch v["type"] {
	case "$profile":
		v["properties"] = map[string]any{"set": map[string]string{"tier": pick("gold", "tin")}}
	default:
		v["properties"] = map[string]any{"cart": pick("c1", "c2"), "when": h.now.Add(time.Duration(h.rand.IntN(40)-10) * time.Minute).UnixMilli()}
	}
	value, err := json.Marshal(v)
	h.must(err)
	return []byte(user), value
}

// write sends a record, and notes it as a line of a simulation.
func (h *history) write(key, value []byte) {
	h.t.Helper()
	r := &kgo.Record{Key: key, Value: value, Timestamp: h.now}
	h.must(h.produce(r))
	h.sent = append(h.sent, r)
	line := map[string]any{}
	h.must(json.Unmarshal(value, &line))
	line["user"], line["received"] = string(key), h.now.UnixMilli()
	text, err := json.Marshal(line)
	h.must(err)
	h.lines.Write(append(text, '\n'))
}

// simulated are the fires of a simulation, sorted.
func (h *history) simulated() []string {
	h.t.Helper()
	until := h.now.UnixMilli()
	var out bytes.Buffer
	_, err := replay.Simulate(h.t.Context(), replay.Simulation{
		Catalog: h.catalog(), Options: times(), FiresOnly: true, Until: &until,
	}, &h.lines, &out)
	h.must(err)
	return h.listed(out.Bytes())
}

// listed are the fires that a simulation wrote, sorted.
func (h *history) listed(out []byte) []string {
	h.t.Helper()
	var all []string
	for line := range bytes.Lines(out) {
		var d struct {
			Campaign, User, Key string
			At                  int64
			FireID              string `json:"fire_id"`
		}
		h.must(json.Unmarshal(line, &d))
		all = append(all, fmt.Sprintf("%s %s %s at %s %s", d.Campaign, d.User, d.Key, exact(time.UnixMilli(d.At)), d.FireID))
	}
	slices.Sort(all)
	return all
}

// fired are the fires on vigil.webhooks, sorted; one that is there twice is listed twice.
func (h *history) fired() []string {
	h.t.Helper()
	records, err := h.read(h.topics.Webhooks)
	h.must(err)
	var all []string
	for _, r := range records {
		d, err := webhook.DecodeDelivery(r.Value)
		h.must(err)
		all = append(all, fmt.Sprintf("%s %s %s at %s %s", d.Campaign, d.User, d.Key, exact(d.At), d.FireID))
	}
	slices.Sort(all)
	return all
}
