package flowtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"vigil/campaign"
	"vigil/replay"
	"vigil/trigger"
	"vigil/webhook"
)

const shownDiffs = 10 // fires of each kind that a failure shows

// fire is what identifies and places one fire, as the simulation says or as it stands on the webhooks topic.
type fire struct {
	ID        string `json:"fire_id"`
	Campaign  string `json:"campaign"`
	User      string `json:"user"`
	Key       string `json:"key"`
	Anchor    string `json:"anchor"` // not on the topic
	Slot      string `json:"slot"`   // not on the topic
	At        int64  `json:"at"`
	Partition int32  `json:"partition"`
}

func (f fire) String() string {
	return fmt.Sprintf("%s %s user %s key %q anchor %s slot %q at %s partition %d", f.ID, f.Campaign, f.User, f.Key,
		f.Anchor, f.Slot, time.UnixMilli(f.At).UTC().Format("15:04:05.000"), f.Partition)
}

// same tells whether both are the same fire in the same place.
func (f fire) same(g fire) bool {
	return f.Campaign == g.Campaign && f.User == g.User && f.Key == g.Key && f.At == g.At && f.Partition == g.Partition
}

// simulate says what must fire: the rule book over the records of each partition by itself, with the clock at their
// last record in the end.
func (s *stage) simulate(c *crowd) map[string]fire {
	s.t.Helper()
	loaded, problems := campaign.Load(s.path("campaigns"))
	if campaign.Failed(problems) {
		s.t.Fatalf("campaigns: %v", problems)
	}
	sim := replay.Simulation{
		Catalog: campaign.NewCatalog(loaded), FiresOnly: true,
		Options: trigger.Options{AllowedLateness: 2000, MaxEventAge: crowdAge.Milliseconds(), MaxFireDelay: (24 * time.Hour).Milliseconds()},
	}
	lines := make([]bytes.Buffer, inputPartitions)
	for _, w := range c.all {
		lines[w.place.Partition].Write(w.line())
	}
	want := map[string]fire{}
	for p := range lines {
		s.write(fmt.Sprintf("partition-%d.ndjson", p), lines[p].String())
		var out bytes.Buffer
		if _, err := replay.Simulate(s.t.Context(), sim, &lines[p], &out); err != nil {
			s.t.Fatalf("simulate partition %d: %v", p, err)
		}
		for dec := json.NewDecoder(&out); dec.More(); {
			f := fire{Partition: int32(p)}
			if err := dec.Decode(&f); err != nil {
				s.t.Fatal(err)
			}
			if _, twice := want[f.ID]; twice {
				s.t.Errorf("simulated twice: %s", f)
			}
			want[f.ID] = f
		}
	}
	return want
}

// fires are those on the webhooks topic, committed ones only; each must be there once.
func (s *stage) fires() map[string]fire {
	s.t.Helper()
	got := map[string]fire{}
	repeats := 0
	for _, r := range s.read(s.topics.Webhooks) {
		d, err := webhook.DecodeDelivery(r.Value)
		if err != nil {
			s.t.Fatalf("%s/%d at %d: %v", r.Topic, r.Partition, r.Offset, err)
		}
		f := fire{
			ID: d.FireID, Campaign: d.Campaign, User: d.User, Key: d.Key, At: d.At.UnixMilli(), Partition: r.Partition,
			Anchor: "at offset " + strconv.FormatInt(d.Source.Offset, 10),
		}
		if d.RenderError != "" {
			s.t.Errorf("not rendered: %s: %s", f, d.RenderError)
		}
		if _, twice := got[f.ID]; twice {
			if repeats++; repeats <= shownDiffs {
				s.t.Errorf("twice on %s: %s", s.topics.Webhooks, f)
			}
		}
		got[f.ID] = f
	}
	if repeats > 0 {
		s.t.Errorf("%d fires are there more than once", repeats)
	}
	return got
}

// compare wants both sets to be equal; what differs is shown, and kept with all input in the stage's folder.
func (s *stage) compare(want, got map[string]fire) {
	s.t.Helper()
	var missing, surplus, moved []fire
	for id, w := range want {
		g, ok := got[id]
		if !ok {
			missing = append(missing, w)
		} else if !w.same(g) {
			moved = append(moved, w, g)
		}
	}
	for id, g := range got {
		if _, ok := want[id]; !ok {
			surplus = append(surplus, g)
		}
	}
	if len(missing)+len(surplus)+len(moved) == 0 {
		return
	}
	s.t.Errorf("%d fires simulated, %d on %s: %d missing, %d not expected, %d differ", len(want), len(got), s.topics.Webhooks,
		len(missing), len(surplus), len(moved)/2)
	show(s.t, "missing", missing)
	show(s.t, "not expected", surplus)
	show(s.t, "differs", moved)
	s.keep("want.ndjson", want)
	s.keep("got.ndjson", got)
}

// show prints the first of some fires by time, and how many each campaign has.
func show(t *testing.T, what string, fires []fire) {
	t.Helper()
	slices.SortStableFunc(fires, func(a, b fire) int {
		if a.At != b.At {
			return int(a.At - b.At)
		}
		return strings.Compare(a.ID, b.ID)
	})
	counts := map[string]int{}
	for i, f := range fires {
		counts[f.Campaign]++
		if i < shownDiffs {
			t.Logf("%s: %s", what, f)
		}
	}
	if len(fires) > 0 {
		t.Logf("%s by campaign: %v", what, counts)
	}
}

// keep writes fires to a file of the stage's folder, one a line in the order of their ids.
func (s *stage) keep(name string, fires map[string]fire) {
	s.t.Helper()
	var rows []string
	for _, f := range fires {
		row, err := json.Marshal(f)
		if err != nil {
			s.t.Fatal(err)
		}
		rows = append(rows, string(row))
	}
	slices.Sort(rows)
	if err := os.WriteFile(s.path(name), []byte(strings.Join(rows, "\n")+"\n"), 0o644); err != nil {
		s.t.Fatal(err)
	}
}
