package trigger_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vigil/campaign"
	"vigil/event"
	"vigil/trigger"
)

// crowdCampaigns have all that is due at one moment in common: timers of several campaigns and keys, fires put off to
// the same minute, and two schedules, whose instants come before the timers of their own campaign only.
var crowdCampaigns = []string{
	`{id: b-cart, trigger: {type: inaction_within_time, key: cart, did: add, did_not: buy, within: 1h, on_repeat: each}, webhook: {url: "https://x.example/"}}`,
	`{id: a-late, trigger: {type: single_action, did: add, delay: 1h}, quiet_hours: {from: "09:00", to: "10:30", then: defer}, webhook: {url: "https://x.example/"}}`,
	`{id: c-hourly, trigger: {type: inaction, did: add, did_not: buy, evaluate: {on: schedule, cron: "0 * * * *", lookback: 3h}}, webhook: {url: "https://x.example/"}}`,
	`{id: a-all, trigger: {type: actions_with_user_properties, did_not: buy, evaluate: {on: schedule, cron: "0 * * * *", lookback: 2h}}, who: {vip: true}, webhook: {url: "https://x.example/"}}`,
	`{id: d-none, trigger: {type: single_action, did: add, delay: 1h}, limits: {gap: 1w}, webhook: {url: "https://x.example/"}}`,
}

// crowd is an engine whose users all do the same at the same time, and what it said.
type crowd struct {
	t      *testing.T
	cat    *campaign.Catalog
	chance *rand.Rand
	engine *trigger.Engine
	stored map[string][]byte
	said   []string
	kept   int
}

func newCrowd(t *testing.T, campaigns []string, seed uint64) *crowd {
	t.Helper()
	var list []*campaign.Campaign
	for _, text := range campaigns {
		c, problems := campaign.Parse("crowd.yaml", []byte(text))
		if campaign.Failed(problems) {
			t.Fatal(problems)
		}
		list = append(list, c)
	}
	c := &crowd{t: t, cat: campaign.NewCatalog(list), chance: rand.New(rand.NewPCG(seed, 1)), stored: map[string][]byte{}}
	c.restart()
	return c
}

// restart goes on in a new engine with what was committed.
func (c *crowd) restart() {
	c.engine = trigger.New(c.cat, trigger.Options{AllowedLateness: 2_000, MaxEventAge: 7_200_000, MaxFireDelay: 86_400_000}, func(d *trigger.Decision) {
		c.said = append(c.said, fmt.Sprint(d.Fire, d.Reason, " ", d.CampaignID, " ", d.User, " ", d.Key, " ", d.AnchorID, " ", d.Slot, " ", d.At))
	})
	for _, key := range slices.Sorted(maps.Keys(c.stored)) {
		c.must(c.engine.Load(key, c.stored[key]))
	}
}

func (c *crowd) commit() {
	c.engine.Changes(func(key string, record []byte) {
		delete(c.stored, key)
		if record != nil {
			c.stored[key] = record
		}
	})
	c.engine.Commit()
	c.kept = len(c.said)
}

func (c *crowd) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *crowd) apply(user, eventType, id string, ts int64) {
	c.t.Helper()
	var decoder event.LineDecoder
	line, err := json.Marshal(map[string]any{
		"user": user, "type": eventType, "id": id, "time": ts,
		"properties": map[string]any{"cart": len(id), "set": map[string]any{"vip": true}},
	})
	c.must(err)
	ev, err := decoder.Decode(line, 0)
	c.must(err)
	c.must(c.engine.Apply(ev))
}

const nineOClock = 1_748_854_800_000 // 2025-06-02T09:00:00Z

// gather lets n users do all at nine, so that all is due at ten.
func (c *crowd) gather(n int) {
	for i := range n {
		user := fmt.Sprintf("user-%04d", i*37%n)
		c.apply(user, "$profile", "p", nineOClock)
		c.apply(user, "add", "e1", nineOClock)
		c.apply(user, "add", "e22", nineOClock)
	}
	c.commit()
}

// pieces moves the clock a few users at a time, takes some pieces back and goes on in another engine after others.
func (c *crowd) pieces(clock int64, atMost int) (n int) {
	for done := false; !done; n++ {
		left := c.chance.IntN(atMost)
		var err error
		done, err = c.engine.Settle(clock, func() bool { left--; return left < 0 })
		c.must(err)
		switch c.chance.IntN(4) {
		case 0:
			c.engine.Rollback()
			c.said, done = c.said[:c.kept], false
			continue
		case 1:
			c.commit()
			c.restart()
		default:
			c.commit()
		}
	}
	return n
}

// A crowd that is due at once is settled in pieces, with commits, aborts and crashes between them, in the order of 2.3
// and with the decisions of one piece.
func TestSettleInPieces(t *testing.T) {
	const until = nineOClock + 2*3_600_000
	for seed := range uint64(5) {
		whole, pieces := newCrowd(t, crowdCampaigns, seed), newCrowd(t, crowdCampaigns, seed)
		whole.gather(150)
		pieces.gather(150)
		must := whole.must
		must(whole.engine.Advance(until))
		if n := pieces.pieces(until, 40); n < 30 {
			t.Errorf("seed %d: %d pieces only", seed, n)
		}
		if diff := cmp.Diff(whole.said, pieces.said); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
		fires := 0
		for _, s := range whole.said {
			if strings.HasPrefix(s, "true") {
				fires++
			}
		}
		if fires < 150*6 {
			t.Errorf("%d fires", fires)
		}
		if pieces.engine.Clock() != until || pieces.engine.Stats().Timers != 0 {
			t.Errorf("clock %d, %d timers", pieces.engine.Clock(), pieces.engine.Stats().Timers)
		}
	}
}

// What a piece left behind is settled before a late event, which could cancel it, is processed: a replay, which knows
// that the clock had arrived, does the same.
func TestPieceBeforeLateEvent(t *testing.T) {
	c := newCrowd(t, crowdCampaigns[:1], 1)
	c.gather(10)
	_, err := c.engine.Settle(nineOClock+3_602_001, func() bool { return true })
	c.must(err)
	if n := len(c.said); n != 2 {
		t.Fatalf("%d decisions in a piece of one user", n)
	}
	c.commit()
	c.restart()
	c.apply("user-0009", "buy", "e22", nineOClock+1)
	fires := 0
	for _, s := range c.said {
		if strings.HasPrefix(s, "true") {
			fires++
		}
	}
	if fires != 20 {
		t.Errorf("%d fires, want 20: %v", fires, c.said)
	}
}

// A user with a hundred thousand events an hour has a record that stops growing: ids and kept events have a limit, and
// what goes for it is counted.
func TestHotUserIsBounded(t *testing.T) {
	c := newCrowd(t, append(crowdCampaigns[:1:1],
		`{id: set, trigger: {type: actions, did: [add, never], within: 1d}, webhook: {url: "https://x.example/"}}`), 1)
	size := func(from, n int) (bytes int) {
		for i := range n {
			c.apply("hot", "add", fmt.Sprint("e", from+i), nineOClock+int64(from+i)*36)
		}
		c.commit()
		return len(c.stored["hot"])
	}
	size(0, 20_000)
	early := size(20_000, 10_000)
	late := size(30_000, 70_000)
	if late > early+early/10 || late > 1<<20 {
		t.Errorf("the record grew from %d to %d bytes", early, late)
	}
	if n := c.engine.Stats().HistoryTruncated; n < 80_000 {
		t.Errorf("%d were counted as dropped", n)
	}
}
