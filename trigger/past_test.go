package trigger_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vigil/campaign"
	"vigil/trigger"
)

// past is a history of three users: all that the campaigns of TestPast make something of.
var past = []string{
	`{"user":"ada","type":"$profile","id":"p1","time":%d,"properties":{"set":{"country":"CA"}}}`,
	`{"user":"ada","type":"X","id":"e1","time":%d,"properties":{"k":1,"when":"2026-11-25T10:30:00Z"}}`,
	`{"user":"bob","type":"X","id":"e2","time":%d,"properties":{"k":1,"when":"2026-11-25T10:31:00Z"}}`,
	`{"user":"ada","type":"Y","id":"e3","time":%d,"properties":{"k":1}}`,
	`{"user":"ada","type":"X","id":"e4","time":%d,"properties":{"k":2,"when":"2026-11-25T10:02:00Z"}}`,
	`{"user":"ada","type":"X","id":"e4","time":%d,"properties":{"k":2}}`,
	`{"user":"bob","type":"$erase","id":"e5","time":%d}`,
	`{"user":"bob","type":"X","id":"e6","time":%d,"properties":{"k":1}}`,
	`{"user":"cid","type":"X","id":"e7","time":%d,"properties":{"k":1,"when":"2026-11-25T10:40:00Z"}}`,
	`{"user":"cid","type":"X","id":"e8","time":%d,"properties":{"k":1,"when":"2026-11-25T10:41:00Z"}}`,
	`{"user":"ada","type":"Z","id":"e9","time":%d}`,
	`{"user":"cid","type":"Y","id":"e10","time":%d,"properties":{"k":1}}`,
	`{"user":"ada","type":"X","id":"e11","time":%d,"properties":{"k":1,"when":"2026-11-25T10:42:00Z"}}`,
	`{"user":"ada","type":"X","id":"e1","time":%d,"properties":{"k":1}}`,
	`{"user":"cid","type":"X","id":"e12","time":%d,"properties":{"k":1}}`,
}

func (e *edits) line(engine *trigger.Engine, i int) {
	e.t.Helper()
	ev, err := e.lines.Decode(fmt.Appendf(nil, past[i], start+int64(i)*60*second), int64(i))
	if err == nil {
		err = engine.Apply(ev)
	}
	if err != nil {
		e.t.Fatal(err)
	}
}

// A campaign that is adopted with its history decides from then on what it would have decided had it been there from the
// beginning, wherever in the history that is (semantics 2.10).
func TestPast(t *testing.T) {
	for _, text := range []string{
		"trigger: {type: single_action, key: k, did: X, occurrence: first}",
		"trigger: {type: single_action, did: {event: X, count: 3}}",
		"trigger: {type: single_action, did: X, delay: 5m}",
		"trigger: {type: actions, key: k, did: [X, Y], within: 1h}",
		"trigger: {type: actions, match: sequence, did: [{event: X, count: 2}, Y], within: 1h}",
		"trigger: {type: inaction_within_time, did: X, did_not: Y, within: 4m}",
		"trigger: {type: inaction_within_time, did: X, did_not: [X, Z], within: 10m, on_repeat: first}",
		"trigger: {type: inaction_within_time, key: k, did: X, did_not: Y, within: 7m, on_repeat: each}",
		"trigger: {type: inaction, did: X, did_not: Y, evaluate: {on: action, lookback: 5m}}",
		"trigger: {type: inaction, did: X, did_not: Y, evaluate: {on: session_end, session_gap: 3m}}",
		"trigger: {type: inaction, did: X, did_not: Y, evaluate: {on: schedule, cron: \"*/5 * * * *\", lookback: 15m}}",
		"trigger: {type: date_time_property, key: k, on: X, property: when, cancel_on: Y}",
		"who: {country: CA}\ntrigger: {type: inaction_within_time, did: X, did_not: Y, within: 4m}",
		"quiet_hours: {from: \"10:05\", to: \"10:20\", then: defer}\ntrigger: {type: single_action, did: X, delay: 2m}",
	} {
		text = "history: 30d\n" + text + "\n"
		for cut := range len(past) + 1 {
			want, got := whole(t, text, cut), adopted(t, text, cut)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s, adopted before event %d:\n%s", text, cut, diff)
			}
		}
	}
}

// whole is what a campaign that was there from the beginning decides from the event at cut on. It knows of fires that a
// later campaign has not made.
func whole(t *testing.T, text string, cut int) []string {
	t.Helper()
	e := newEdits(t, text)
	for i := range cut {
		e.line(e.engine, i)
	}
	e.told = nil
	e.rest(cut)
	return slices.DeleteFunc(e.told, func(line string) bool { return strings.HasPrefix(line, "late_cancel") })
}

// adopted is what a campaign that reads its past before the event at cut decides.
func adopted(t *testing.T, text string, cut int) []string {
	t.Helper()
	e := newEdits(t, "trigger: {type: single_action, did: nothing}\n")
	for i := range cut {
		e.line(e.engine, i)
	}
	e.adopt(text, cut)
	e.told = nil
	e.rest(cut)
	return e.told
}

func (e *edits) rest(cut int) {
	e.t.Helper()
	for i := cut; i < len(past); i++ {
		e.line(e.engine, i)
	}
	e.play("clock 7200")
}

// adopt is what a processor does: read the past up to here, take it in by pieces, adopt.
func (e *edits) adopt(text string, until int) {
	e.t.Helper()
	cat := e.catalog(text)
	then := e.engine.Past([]*campaign.Campaign{cat.At(0)})
	reader := &edits{t: e.t}
	for i := range until {
		reader.line(then, i)
	}
	if err := then.Arrive(); err != nil {
		e.t.Fatal(err)
	}
	if err := e.engine.SetCatalog(cat); err != nil {
		e.t.Fatal(err)
	}
	for at, done := 0, false; !done; e.commit() {
		var err error
		if at, done, err = e.engine.Graft(then, at, 1); err != nil {
			e.t.Fatal(err)
		}
	}
	e.engine.Adopt()
	e.commit()
}

func (e *edits) commit() {
	e.engine.Changes(func(string, []byte) {})
	e.engine.Commit()
}

// A campaign is fresh until the adoption of it is committed, in this engine and in one that restores its records; and
// again once it was gone (semantics 2.10).
func TestFresh(t *testing.T) {
	e := newEdits(t, "")
	const text = "history: 30d\ntrigger: {type: single_action, did: X}\n"
	cat := e.catalog(text)
	wantFresh := func(want int) {
		t.Helper()
		if got := len(e.engine.Fresh(cat)); got != want {
			t.Errorf("%d campaigns are fresh, want %d", got, want)
		}
	}
	adopt := func(cat *campaign.Catalog) {
		if err := e.engine.SetCatalog(cat); err != nil {
			t.Fatal(err)
		}
		e.engine.Adopt()
	}
	wantFresh(1)
	adopt(cat)
	e.engine.Rollback()
	wantFresh(1)
	adopt(cat)
	e.play("clock 5")
	stored := map[string][]byte{}
	e.engine.Changes(func(key string, record []byte) { stored[key] = record })
	e.engine.Commit()
	e.engine.Rollback()
	wantFresh(0)
	e.engine.Changes(func(key string, _ []byte) { t.Errorf("%q is written again", key) })
	atDisk := map[string]bool{}
	e.engine.Checkpoint(1000, func(key string, _ []byte) { atDisk[key] = true })
	if !atDisk[trigger.KnownKey] {
		t.Error("a checkpoint does not tell what is known")
	}
	digest := e.engine.Digest()

	e = newEdits(t, "")
	for key, record := range stored {
		if err := e.engine.Load(key, record); err != nil {
			t.Fatal(err)
		}
	}
	e.engine.Checkpoint(1000, func(string, []byte) {})
	if e.engine.Digest() != digest || e.engine.Unstored() != 0 {
		t.Errorf("the digest is %d, want %d; %d records are not stored", e.engine.Digest(), digest, e.engine.Unstored())
	}
	wantFresh(0)
	adopt(e.catalog(""))
	wantFresh(1)

	e = newEdits(t, "")
	if err := e.engine.Load(trigger.PartitionKey, stored[trigger.PartitionKey]); err != nil {
		t.Fatal(err)
	}
	wantFresh(0) // the state of before says nothing of campaigns
	var bad *trigger.RecordError
	if err := e.engine.Load(trigger.KnownKey, stored[trigger.KnownKey][:2]); !errors.As(err, &bad) {
		t.Errorf("a record that is cut short is loaded: %v", err)
	}
	if err := e.engine.Load(trigger.KnownKey, nil); err != nil {
		t.Error(err)
	}
}
