package campaign_test

import (
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vigil/campaign"
	"vigil/event"
)

// parse reads a campaign that must be right; warnings are fine.
func parse(t testing.TB, src string) *campaign.Campaign {
	t.Helper()
	c, problems := campaign.Parse("test.yaml", []byte(src))
	if c == nil {
		t.Fatalf("%s\n%v", src, problems)
	}
	return c
}

// of makes a campaign of a trigger in flow style.
func of(trigger string) string {
	return "id: c\nwho: {country: CA}\nwebhook: {endpoint: e}\ntrigger: " + trigger
}

const (
	second = 1000
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

func TestValidFiles(t *testing.T) {
	for _, file := range inputs(t, "testdata/valid") {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		c, problems := campaign.Parse(file, src)
		if c == nil {
			t.Errorf("%s: %v", file, problems)
			continue
		}
		again := parse(t, string(c.JSON()))
		if again.Revision != c.Revision || again.Edition != c.Edition || again.Trigger.Print != c.Trigger.Print {
			t.Errorf("%s: read back from JSON it is another revision", file)
		}
		if _, err := c.Render(campaign.Fire{User: "u"}); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestRuleBookExample(t *testing.T) {
	src, err := os.ReadFile("testdata/valid/rule_book.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c := parse(t, string(src))
	paris, _ := campaign.Zone("Europe/Paris")
	got := *c
	got.Who, got.Trigger, got.Webhook = nil, campaign.Trigger{}, campaign.Webhook{}
	want := campaign.Campaign{
		ID: "abandoned-cart", Name: "Abandoned cart above 100 EUR", Revision: c.Revision, Edition: c.Edition, Status: campaign.Active,
		Starts: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMilli(), Ends: math.MaxInt64, Zone: paris,
		WhoAt: campaign.Both, Control: 1000, Limits: campaign.Limits{Gap: day, Count: 3, Per: 7 * day},
		Quiet: &campaign.QuietHours{From: 21 * hour, To: 8 * hour, Defer: true, ZonePath: "tz", Zone: paris},
	}
	sameZone := cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
	ignore := cmpopts.IgnoreUnexported(campaign.Campaign{}, campaign.Webhook{})
	if diff := cmp.Diff(want, got, sameZone, ignore); diff != "" {
		t.Error(diff)
	}
	if c.Who == nil || len(c.Revision) != 12 || c.Webhook.ExpiresAfter != day || c.Trigger.Did[0].Where == nil {
		t.Errorf("%+v", c)
	}
}

// TestShapes maps the types and fields of section 3 to shapes.
func TestShapes(t *testing.T) {
	one := []campaign.Step{{Event: "a", Count: 1}}
	two := []campaign.Step{{Event: "a", Count: 1}, {Event: "b", Count: 2}}
	not := []campaign.Step{{Event: "n", Count: 1}}
	for trigger, want := range map[string]campaign.Trigger{
		"{type: single_action, did: a}": {Shape: campaign.Single, Did: one},
		"{type: single_action, did: [{event: a}], occurrence: first, key: k.x, delay: 1m}":                                                            {Shape: campaign.Single, Did: one, First: true, Key: "k.x", Delay: minute},
		"{type: single_action, did: {event: b, count: 2}}":                                                                                            {Shape: campaign.Single, Did: two[1:]},
		"{type: single_action, did: {event: b, count: 2}, within: 1s500ms}":                                                                           {Shape: campaign.Set, Did: two[1:], Within: 1500},
		"{type: single_action, did: {event: b, count: 2}, within: 1h, occurrence: first, delay: 1m}":                                                  {Shape: campaign.Set, Did: two[1:], Within: hour, First: true, Delay: minute},
		"{type: actions, did: [a, n], evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1d, after_action: false}}":                                {Shape: campaign.Schedule, Did: append(one[:1:1], not...), Lookback: day},
		"{type: actions, did: [a, {event: b, count: 2}], within: 1h}":                                                                                 {Shape: campaign.Set, Did: two, Within: hour},
		"{type: actions, did: [a, {event: b, count: 2}], within: 1h, match: sequence}":                                                                {Shape: campaign.Set, Did: two, Within: hour, Sequence: true},
		"{type: actions, did: [a, n], match: any}":                                                                                                    {Shape: campaign.Single, Did: append(one[:1:1], not...)},
		"{type: inaction_within_time, did: a, did_not: n, within: 400d}":                                                                              {Shape: campaign.Absence, Did: one, DidNot: not, Within: 400 * day},
		"{type: inaction_within_time, did: a, did_not: [n], within: 1w, on_repeat: each}":                                                             {Shape: campaign.Absence, Did: one, DidNot: not, Within: 7 * day, Repeat: campaign.Each},
		"{type: inaction, did: a, did_not: n, evaluate: {on: action, lookback: 1d}}":                                                                  {Shape: campaign.OnAction, Did: one, DidNot: not, Lookback: day},
		"{type: inaction, did: a, did_not: n, evaluate: {'on': session_end, session_gap: 30m}}":                                                       {Shape: campaign.Session, Did: one, DidNot: not, Gap: 30 * minute},
		"{type: inaction, did: {event: b, count: 2}, did_not: n, evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1d, after_action: true}}":      {Shape: campaign.Schedule, Did: two[1:], DidNot: not, Lookback: day, AfterAction: true},
		"{type: actions, did: [a, {event: b, count: 2}], evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1d}}":                                  {Shape: campaign.Schedule, Did: two, Lookback: day},
		"{type: actions_with_user_properties, did: a, occurrence: first}":                                                                             {Shape: campaign.Single, Did: one, First: true},
		"{type: actions_with_user_properties, did: [a, {event: b, count: 2}], within: 1h}":                                                            {Shape: campaign.Set, Did: two, Within: hour},
		"{type: actions_with_user_properties, did: [a], did_not: n, within: 1h, on_repeat: first}":                                                    {Shape: campaign.Absence, Did: one, DidNot: not, Within: hour, Repeat: campaign.FirstOnly},
		"{type: actions_with_user_properties, did: [a], did_not: n, evaluate: {on: action, lookback: 1h}}":                                            {Shape: campaign.OnAction, Did: one, DidNot: not, Lookback: hour},
		"{type: actions_with_user_properties, did: [a, {event: b, count: 2}], did_not: n, evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1d}}": {Shape: campaign.Schedule, Did: two, DidNot: not, Lookback: day},
		"{type: actions_with_user_properties, did_not: n, evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1d}}":                                 {Shape: campaign.Schedule, DidNot: not, Lookback: day},
		"{type: date_time_property, on: a, property: p.q}": {Shape: campaign.Date, Did: one, Date: &campaign.DateRule{
			Property: "p.q", Offsets: []campaign.Offset{{Text: "0s"}}, At: -1, Zone: time.UTC,
		}},
		"{type: date_time_property, on: a, property: p, offsets: [-1d, 1d12h], at: '09:30', timezone_property: tz, cancel_on: n, past: fire}": {
			Shape: campaign.Date, Did: one, DidNot: not, Date: &campaign.DateRule{
				Property: "p", Offsets: []campaign.Offset{{Text: "-1d", Days: -1}, {Text: "1d12h", Days: 1, Millis: 12 * hour}},
				At: 9*hour + 30*minute, Zone: time.UTC, ZonePath: "tz", FirePast: true,
			},
		},
	} {
		got := parse(t, of(trigger)).Trigger
		if (got.Cron != nil) != (got.Shape == campaign.Schedule) {
			t.Errorf("%s: cron", trigger)
		}
		got.Print, got.Type, got.Cron = 0, "", nil
		sameZone := cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() })
		if diff := cmp.Diff(want, got, sameZone); diff != "" {
			t.Errorf("%s: %s", trigger, diff)
		}
	}
}

// TestPrint pairs triggers with the same history and with another.
func TestPrint(t *testing.T) {
	print := func(trigger string) uint32 { return parse(t, of(trigger)).Trigger.Print }
	first := print("{type: actions, did: [a, {event: b, where: {x: 1}}], within: 1h}")
	for _, same := range []string{
		"{type: actions, did: [{event: a, count: 1}, {where: {x: 1}, event: b}], within: 2h}",
		"{type: actions_with_user_properties, did: [a, {event: b, where: {x: 1}}], within: 1h, match: all}",
	} {
		if print(same) != first {
			t.Errorf("%s: keeps no history", same)
		}
	}
	for _, other := range []string{
		"{type: actions, did: [a, {event: b, where: {x: 2}}], within: 1h}",
		"{type: actions, did: [{event: b, where: {x: 1}}, a], within: 1h}",
		"{type: actions, did: [{event: a, count: 2}, {event: b, where: {x: 1}}], within: 1h}",
		"{type: actions, did: [a, {event: b, where: {x: 1}}], within: 1h, key: k}",
		"{type: actions, did: [a, {event: b, where: {x: 1}}], within: 1h, match: sequence}",
		"{type: actions, did: [a, {event: b, where: {x: 1}}], match: any}",
	} {
		if print(other) == first {
			t.Errorf("%s: keeps the history", other)
		}
	}
}

func TestRevision(t *testing.T) {
	first := parse(t, "id: c\nname: x\ntrigger: {type: single_action, did: a}\nwebhook: {endpoint: e}")
	same := parse(t, `{"webhook":{"endpoint":"e"},"trigger":{"did":"a","type":"single_action"},"name":"x","id":"c"}`)
	other := parse(t, "id: c\nname: y\ntrigger: {type: single_action, did: a}\nwebhook: {endpoint: e}")
	if first.Revision != same.Revision || first.Revision == other.Revision || first.Trigger.Print != other.Trigger.Print {
		t.Errorf("%s %s %s", first.Revision, same.Revision, other.Revision)
	}
}

func TestControl(t *testing.T) {
	for text, want := range map[string]int{"0": 0, "100": 10_000, "0.01": 1, "12.5": 1250, "99.99": 9999, "1.00": 100} {
		if c := parse(t, of("{type: single_action, did: a}\ncontrol: "+text)); c.Control != want {
			t.Errorf("%s: %d", text, c.Control)
		}
	}
	for _, text := range []string{"-1", "100.01", "0.001", "1e1", "\"5\"", "true", "1e999999999"} {
		if c, _ := campaign.Parse("f", []byte(of("{type: single_action, did: a}\ncontrol: "+text))); c != nil {
			t.Errorf("%s is taken for %d", text, c.Control)
		}
	}
}

// TestRender is the way from a file to the bytes of a webhook.
func TestRender(t *testing.T) {
	c := parse(t, of("{type: single_action, did: a}\ndata: {x: '{{ anchor.properties.n }}', who: '{{ campaign.type }}'}"))
	out, err := c.Render(campaign.Fire{FireID: "f", User: "u", At: 1500, Anchor: &event.Snapshot{ID: "1", Type: "a", Props: []byte(`{"n":1.0}`)}})
	want := `{"fire_id":"f","campaign":"c","revision":"` + c.Revision + `","user":"u","key":"","at":"1970-01-01T00:00:01.500Z","late_by_ms":0,` +
		`"trigger":{"type":"single_action","slot":"","anchor":{"id":"1","type":"a","time":"1970-01-01T00:00:00.000Z",` +
		`"properties":{"n":1.0}},"events":[]},"profile":{},"data":{"x":1.0,"who":"single_action"}}`
	if diff := cmp.Diff(want, string(out.Body)); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// FuzzParse wants no panic, a place for every problem, a campaign exactly where there is no error, and one that reads
// back from its JSON and renders.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"testdata/valid", "testdata/lint"} {
		for _, file := range inputs(f, dir) {
			src, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		c, problems := campaign.Parse("f", src)
		if (c == nil) != campaign.Failed(problems) {
			t.Fatalf("%v with %v", c, problems)
		}
		for _, p := range problems {
			if p.Line < 1 || p.Col < 1 || p.Code == "" || p.Message == "" || strings.Contains(p.String(), "\n") {
				t.Errorf("%+v", p)
			}
		}
		if c == nil {
			return
		}
		if again := parse(t, string(c.JSON())); again.Revision != c.Revision {
			t.Errorf("%s is another revision", c.JSON())
		}
		_, _ = c.Render(campaign.Fire{User: "u", Profile: []byte(`{"a":[1,{"b":"c"}]}`)})
	})
}
