package live

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
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

// Fire is what identifies and places one fire, as the simulation says or as it stands on the webhooks topic.
type Fire struct {
	ID        string `json:"fire_id"`
	Campaign  string `json:"campaign"`
	User      string `json:"user"`
	Key       string `json:"key"`
	Anchor    string `json:"anchor"` // not on the topic
	Slot      string `json:"slot"`   // not on the topic
	At        int64  `json:"at"`
	LateBy    int64  `json:"late_by_ms"`
	Partition int32  `json:"partition"`
	Body      []byte `json:"body,omitempty"` // not simulated

	Decided time.Time `json:"decided_at,omitzero"` // by the machine's clock; on the topic only
}

func (f Fire) String() string {
	return fmt.Sprintf("%s %s user %s key %q anchor %s slot %q at %s late %d ms partition %d", f.ID, f.Campaign, f.User, f.Key,
		f.Anchor, f.Slot, time.UnixMilli(f.At).UTC().Format("15:04:05.000"), f.LateBy, f.Partition)
}

// same tells whether both are the same fire in the same place, with the same body where both tell it.
func (f Fire) same(g Fire) bool {
	return f.Campaign == g.Campaign && f.User == g.User && f.Key == g.Key && f.At == g.At && f.LateBy == g.LateBy &&
		f.Partition == g.Partition && (f.Body == nil || g.Body == nil || bytes.Equal(f.Body, g.Body))
}

// Campaigns are those of the stage's folder.
func (s *Stage) Campaigns() *campaign.Catalog {
	s.T.Helper()
	loaded, problems := campaign.Load(s.Path("campaigns"))
	if campaign.Failed(problems) {
		s.T.Fatalf("campaigns: %v", problems)
	}
	return campaign.NewCatalog(loaded)
}

// Simulate says what must fire: the rule book over the records of a partition by themselves, as a simulation file has
// them (semantics 5). The clock ends at until, or at the last record where that is 0. The lines are kept in the stage's
// folder.
func (s *Stage) Simulate(opt trigger.Options, partition int32, lines []byte, until int64) []Fire {
	s.T.Helper()
	s.Write(fmt.Sprintf("partition-%d.ndjson", partition), string(lines))
	sim := replay.Simulation{Catalog: s.Campaigns(), FiresOnly: true, Options: opt}
	if until != 0 {
		sim.Until = &until
	}
	var out bytes.Buffer
	if _, err := replay.Simulate(s.T.Context(), sim, bytes.NewReader(lines), &out); err != nil {
		s.T.Fatalf("simulate partition %d: %v", partition, err)
	}
	var fires []Fire
	for dec := json.NewDecoder(&out); dec.More(); {
		f := Fire{Partition: partition}
		if err := dec.Decode(&f); err != nil {
			s.T.Fatal(err)
		}
		fires = append(fires, f)
	}
	return fires
}

// Fired are the fires on the webhooks topic, committed ones only, partition by partition in the order written; one that
// is there twice is listed twice.
func (s *Stage) Fired() []Fire {
	s.T.Helper()
	var fires []Fire
	for _, r := range s.Read(s.Topics.Webhooks) {
		d, err := webhook.DecodeDelivery(r.Value)
		if err != nil {
			s.T.Fatalf("%s/%d at %d: %v", r.Topic, r.Partition, r.Offset, err)
		}
		f := Fire{
			ID: d.FireID, Campaign: d.Campaign, User: d.User, Key: d.Key, At: d.At.UnixMilli(), LateBy: d.LateByMS,
			Partition: r.Partition, Anchor: "at offset " + strconv.FormatInt(d.Source.Offset, 10), Body: d.Body,
			Decided: d.DecidedAt,
		}
		if d.RenderError != "" {
			s.T.Errorf("not rendered: %s: %s", f, d.RenderError)
		}
		fires = append(fires, f)
	}
	return fires
}

// ByID files fires under their ids, and tells those that are there again.
func ByID(fires []Fire) (byID map[string]Fire, again []Fire) {
	byID = map[string]Fire{}
	for _, f := range fires {
		if _, twice := byID[f.ID]; twice {
			again = append(again, f)
		}
		byID[f.ID] = f
	}
	return byID, again
}

// Fires are those on the webhooks topic, committed ones only; each must be there once.
func (s *Stage) Fires() map[string]Fire {
	s.T.Helper()
	got, again := ByID(s.Fired())
	if len(again) > 0 {
		s.T.Errorf("%d fires are more than once on %s", len(again), s.Topics.Webhooks)
		Show(s.T, "again", again)
	}
	return got
}

// Difference is in what two sets of fires are not equal.
type Difference struct {
	Missing []Fire    // wanted only
	Surplus []Fire    // there only
	Differ  [][2]Fire // wanted, there
}

// Diff holds fires against those wanted.
func Diff(want, got map[string]Fire) (d Difference) {
	for id, w := range want {
		g, ok := got[id]
		switch {
		case !ok:
			d.Missing = append(d.Missing, w)
		case !w.same(g):
			d.Differ = append(d.Differ, [2]Fire{w, g})
		}
	}
	for id, g := range got {
		if _, ok := want[id]; !ok {
			d.Surplus = append(d.Surplus, g)
		}
	}
	return d
}

// Len is the number of fires that are not as wanted.
func (d Difference) Len() int { return len(d.Missing) + len(d.Surplus) + len(d.Differ) }

// Show prints the first of each kind.
func (d Difference) Show(t *testing.T) {
	t.Helper()
	var differ []Fire
	for _, pair := range d.Differ {
		differ = append(differ, pair[:]...)
	}
	Show(t, "missing", d.Missing)
	Show(t, "not expected", d.Surplus)
	Show(t, "differs", differ)
}

// Compare wants both sets to be equal; what differs is shown, and kept with all input in the stage's folder.
func (s *Stage) Compare(want, got map[string]Fire) {
	s.T.Helper()
	d := Diff(want, got)
	if d.Len() == 0 {
		return
	}
	s.T.Errorf("%d fires simulated, %d on %s: %d missing, %d not expected, %d differ", len(want), len(got), s.Topics.Webhooks,
		len(d.Missing), len(d.Surplus), len(d.Differ))
	d.Show(s.T)
	s.Keep("want.ndjson", want)
	s.Keep("got.ndjson", got)
}

// Show prints the first of some fires by time, and how many each campaign has.
func Show(t *testing.T, what string, fires []Fire) {
	t.Helper()
	slices.SortStableFunc(fires, func(a, b Fire) int {
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

// Keep writes fires to a file of the stage's folder, one a line in the order of their ids.
func (s *Stage) Keep(name string, fires map[string]Fire) {
	s.T.Helper()
	s.KeepList(name, slices.SortedFunc(maps.Values(fires), func(a, b Fire) int { return strings.Compare(a.ID, b.ID) }))
}

// KeepList is Keep for a list, in its order.
func (s *Stage) KeepList(name string, fires []Fire) {
	s.T.Helper()
	var rows bytes.Buffer
	to := json.NewEncoder(&rows)
	for _, f := range fires {
		if err := to.Encode(f); err != nil {
			s.T.Fatal(err)
		}
	}
	s.Write(name, rows.String())
}
