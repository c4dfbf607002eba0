package trigger_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vigil/campaign"
	"vigil/event"
	"vigil/trigger"
)

const (
	second = int64(1000)
	start  = 1_795_600_800 * second // 2026-11-25T10:00:00Z
)

// edits is an engine whose one campaign changes while it runs.
type edits struct {
	t      *testing.T
	engine *trigger.Engine
	lines  event.LineDecoder
	n      int64
	told   []string
}

// catalog has the campaign c with the given members; none for an empty text.
func (e *edits) catalog(members string) *campaign.Catalog {
	e.t.Helper()
	if members == "" {
		return campaign.NewCatalog(nil)
	}
	text := "id: c\nwebhook: {url: \"https://example.com/h\"}\n" + members
	c, problems := campaign.Parse("c.yaml", []byte(text))
	if campaign.Failed(problems) {
		e.t.Fatal(problems)
	}
	return campaign.NewCatalog([]*campaign.Campaign{c})
}

func newEdits(t *testing.T, members string) *edits {
	t.Helper()
	e := &edits{t: t}
	opt := trigger.Options{AllowedLateness: 2 * second, MaxEventAge: 7200 * second, MaxFireDelay: 86_400 * second}
	e.engine = trigger.New(e.catalog(members), opt, func(d *trigger.Decision) {
		e.told = append(e.told, strings.TrimSpace(fmt.Sprintf("%s%s %s %s", map[bool]string{true: "fire"}[d.Fire], d.Reason, d.AnchorID, d.Slot)))
	})
	return e
}

// play does what a line says: `at SECONDS event TYPE ID`, `clock SECONDS`, or the members of the campaign from now on.
func (e *edits) play(line string) {
	e.t.Helper()
	var at int64
	var kind, id string
	var err error
	if n, _ := fmt.Sscanf(line, "at %d event %s %s", &at, &kind, &id); n == 3 {
		doc := fmt.Sprintf(`{"user":"u","type":%q,"id":%q,"time":%d,"properties":{"k":"t","when":"2026-11-25T10:05:00Z"}}`, kind, id, start+at*second)
		var ev *event.Event
		if ev, err = e.lines.Decode([]byte(doc), e.n); err == nil {
			err = e.engine.Apply(ev)
		}
		e.n++
	} else if n, _ := fmt.Sscanf(line, "clock %d", &at); n == 1 {
		err = e.engine.Advance(start + at*second)
	} else {
		err = e.engine.SetCatalog(e.catalog(line))
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// Edits of a campaign with timers pending (semantics 2.10): what holds for them, and what for later starts.
func TestEdits(t *testing.T) {
	const (
		cart    = "trigger: {type: inaction_within_time, did: X, did_not: Y, within: 5m}\n"
		slower  = "trigger: {type: inaction_within_time, did: X, did_not: Y, within: 20m}\n"
		date    = "trigger: {type: date_time_property, on: X, property: when, key: k}\n"
		anyDate = "trigger: {type: date_time_property, on: X, property: when}\n"
		cancel  = "pending: cancel\n"
	)
	slot := fmt.Sprintf("0s@%d", start+300*second)
	for name, row := range map[string]struct {
		play []string
		want []string
	}{
		"a timer keeps its deadline": {
			[]string{cart, "at 0 event X e1", slower, "clock 303", "at 310 event X e2", "clock 700", "clock 1600"},
			[]string{"fire e1 inaction", "fire e2 inaction"},
		},
		"held, then resumed in time": {
			[]string{cart, "at 0 event X e1", cart + "status: paused", "clock 1000", cart, "clock 1000"},
			[]string{"fire e1 inaction"},
		},
		"held, then resumed too late": {
			[]string{cart, "at 0 event X e1", cart + "status: paused", "clock 90000", cart, "clock 90001"},
			[]string{"past_due e1 inaction"},
		},
		"held, then resumed: an event that comes out of order settles it": {
			[]string{cart, "at 0 event X e1", cart + "status: paused", "clock 1000", cart, "at 900 event Z z"},
			[]string{"fire e1 inaction"},
		},
		"held, and cancelled by an event from before its deadline": {
			[]string{cart, "at 0 event X e1", cart + "status: paused", "clock 1000", "at 299 event Y y", cart, "clock 2000"},
			[]string{"cancelled e1 inaction"},
		},
		"held, then deleted": {
			[]string{cart, "at 0 event X e1", cart + "status: paused", "clock 1000", "", "clock 1001"},
			[]string{"stopped e1 inaction"},
		},
		"pending: cancel": {
			[]string{cart, "at 0 event X e1", slower + cancel, "clock 303"},
			[]string{"edited e1 inaction"},
		},
		"pending: cancel, and drained: that is no edit": {
			[]string{cart + cancel, "at 0 event X e1", cart + cancel + "status: draining", "at 100 event X e2", "clock 303"},
			[]string{"draining e2 inaction", "fire e1 inaction"},
		},
		"a date stays one, whatever the trigger is now": {
			[]string{date, "at 0 event X e1", cart, "clock 303", date, "at 304 event X e2"},
			[]string{"fire e1 " + slot, "duplicate_fire e2 " + slot},
		},
		"a start of another trigger is no date": {
			[]string{"trigger: {type: single_action, did: X, delay: 5m}", "at 0 event X e1", "at 1 event X e2", anyDate, "clock 400"},
			[]string{"fire e1 delay", "fire e2 delay"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdits(t, row.play[0])
			for _, line := range row.play[1:] {
				e.play(line)
			}
			if diff := cmp.Diff(row.want, e.told); diff != "" {
				t.Error(diff)
			}
		})
	}
}
