package campaign_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"vigil/campaign"
	"vigil/source"
)

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(campaign.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("campaign.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("campaign.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// validates asks the schema about a file, read as the parser reads it.
func validates(t *testing.T, s *jsonschema.Schema, src []byte) error {
	t.Helper()
	n, r := source.Parse("f", src)
	if n == nil {
		t.Fatal(r.Problems())
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(n.AppendJSON(nil)))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}

func TestSchemaTakesValidFiles(t *testing.T) {
	s := compileSchema(t)
	for _, file := range inputs(t, "testdata/valid") {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := validates(t, s, src); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestSchemaAgrees breaks a campaign in every way that a schema can see; parser and schema must both refuse it.
func TestSchemaAgrees(t *testing.T) {
	const (
		head = "id: c\nwebhook: {endpoint: e}\ntrigger: "
		fine = "{type: single_action, did: a}"
	)
	s := compileSchema(t)
	for _, src := range append(brokenTriggers(head), brokenCampaigns(head+fine)...) {
		c, problems := campaign.Parse("f", []byte(src))
		err := validates(t, s, []byte(src))
		if c != nil || err == nil {
			t.Errorf("%s\nparser: %v\nschema: %v", src, problems, err)
		}
	}
	for _, more := range []string{"", "\ncontrol: 0.01", "\ncontrol: 99.99", "\ncontrol: 33.33", "\nname: ''", "\nwho: {}", "\ndata: {}", "\nlimits: {}"} {
		c, problems := campaign.Parse("f", []byte(head+fine+more))
		if err := validates(t, s, []byte(head+fine+more)); c == nil || err != nil {
			t.Errorf("%s\nparser: %v\nschema: %v", more, problems, err)
		}
	}
}

func brokenTriggers(head string) []string {
	var all []string
	for _, trigger := range strings.Split(strings.TrimSpace(`
a
{}
{type: no_such}
{type: single_action}
{type: single_action, did: []}
{type: single_action, did: [a, b]}
{type: single_action, did: $erase}
{type: single_action, did: ""}
{type: single_action, did: {where: {a: 1}}}
{type: single_action, did: {event: a, count: 0}}
{type: single_action, did: {event: a, count: 101}}
{type: single_action, did: {event: a, count: 1.5}}
{type: single_action, did: {event: a, more: 1}}
{type: single_action, did: a, within: 1h}
{type: single_action, did: a, occurrence: once}
{type: single_action, did: a, delay: 1}
{type: single_action, did: a, key: ""}
{type: single_action, did: a, match: any}
{type: single_action, did: a, evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1d}}
{type: actions, did: [a], within: 1h}
{type: actions, did: a, within: 1h}
{type: actions, did: [a, b]}
{type: actions, did: [a, b, c, d, e, f, g, h, i, j, k], within: 1h}
{type: actions, did: [{event: a, count: 2}, b], match: any}
{type: actions, did: [a, b], within: 1h, evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1d}}
{type: actions, did: [a, b], match: all, evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1d}}
{type: actions, did: [a, b], evaluate: {on: action, lookback: 1d}}
{type: actions, did: [a, b], evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1d, after_action: true}}
{type: actions, did: [a, b], did_not: c, within: 1h}
{type: inaction_within_time, did: a, did_not: b}
{type: inaction_within_time, did: a, within: 1h}
{type: inaction_within_time, did_not: a, within: 1h}
{type: inaction_within_time, did: [a, b], did_not: c, within: 1h}
{type: inaction_within_time, did: {event: a, count: 2}, did_not: c, within: 1h}
{type: inaction_within_time, did: a, did_not: {event: c, count: 2}, within: 1h}
{type: inaction_within_time, did: a, did_not: b, within: 1h, on_repeat: all}
{type: inaction, did: a, did_not: b}
{type: inaction, did: a, did_not: b, within: 1h, evaluate: {on: action, lookback: 1h}}
{type: inaction, did: a, did_not: b, on_repeat: each, evaluate: {on: action, lookback: 1h}}
{type: inaction, did: a, did_not: b, evaluate: {lookback: 1h}}
{type: inaction, did: a, did_not: b, evaluate: {on: never}}
{type: inaction, did: a, did_not: b, evaluate: {on: action}}
{type: inaction, did: a, did_not: b, evaluate: {on: action, lookback: 1h, session_gap: 1h}}
{type: inaction, did: a, did_not: b, evaluate: {on: session_end}}
{type: inaction, did: a, did_not: b, evaluate: {on: session_end, session_gap: 1h, lookback: 1h}}
{type: inaction, did: a, did_not: b, evaluate: {on: schedule, lookback: 1h}}
{type: inaction, did: a, did_not: b, evaluate: {on: schedule, cron: 0 9 * * MON}}
{type: inaction, did: a, did_not: b, evaluate: {on: schedule, cron: 0 9 * *, lookback: 1h}}
{type: inaction, did: a, evaluate: {on: action, lookback: 1h}}
{type: inaction, did_not: a, evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1h}}
{type: inaction, did: {event: a, count: 2}, did_not: b, evaluate: {on: action, lookback: 1h}}
{type: inaction, did: [a, b], did_not: c, evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1h}}
{type: date_time_property, property: p}
{type: date_time_property, on: a}
{type: date_time_property, on: [a, b], property: p}
{type: date_time_property, on: {event: a, count: 2}, property: p}
{type: date_time_property, on: a, property: p, offsets: 1d}
{type: date_time_property, on: a, property: p, offsets: []}
{type: date_time_property, on: a, property: p, offsets: [1]}
{type: date_time_property, on: a, property: p, offsets: [1y]}
{type: date_time_property, on: a, property: p, at: "9:00"}
{type: date_time_property, on: a, property: p, at: "24:00"}
{type: date_time_property, on: a, property: p, past: wait}
{type: date_time_property, on: a, property: p, did: a}
{type: actions_with_user_properties, did: a}
`), "\n") {
		all = append(all, head+trigger)
	}
	for _, trigger := range []string{
		"{type: actions_with_user_properties}",
		"{type: actions_with_user_properties, did: a, did_not: b}",
		"{type: actions_with_user_properties, did_not: b}",
		"{type: actions_with_user_properties, did_not: b, within: 1h}",
		"{type: actions_with_user_properties, did_not: b, evaluate: {on: action, lookback: 1h}}",
		"{type: actions_with_user_properties, did_not: b, key: k, evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1h}}",
		"{type: actions_with_user_properties, did_not: b, evaluate: {on: schedule, cron: 0 9 * * MON, lookback: 1h, after_action: true}}",
		"{type: actions_with_user_properties, did: [a, b], did_not: c, within: 1h}",
		"{type: actions_with_user_properties, did: [a, b], did_not: c, evaluate: {on: action, lookback: 1h}}",
		"{type: actions_with_user_properties, did: [a, b]}",
		"{type: actions_with_user_properties, did: a, did_not: c, within: 1h, evaluate: {on: action, lookback: 1h}}",
	} {
		all = append(all, head+trigger+"\nwho: {country: CA}")
	}
	return all
}

func brokenCampaigns(campaign string) []string {
	var all []string
	for _, line := range strings.Split(strings.TrimSpace(`
more: 1
name: 5
status: on
starts: 2026-11-01
starts: 5
timezone: ""
who: []
who: {a: {gtt: 5}}
who: {a: {}}
who: {a: null}
who: {a: [1]}
who: {any: {a: 1}}
who: {not: [1]}
who: {a: {between: [1]}}
who: {a: {in: 5}}
who: {a: {exists: "yes"}}
who: {a: {starts_with: 5}}
who_at: later
control: -1
control: 100.5
control: 0.001
shadow: "true"
history: 5
limits: {gap: 5}
limits: {max: {count: 1}}
limits: {max: {per: 1d}}
limits: {max: {count: 0, per: 1d}}
limits: {most: 1}
quiet_hours: {from: "21:00"}
quiet_hours: {from: "21", to: "08:00"}
quiet_hours: {from: "21:00", to: "08:00", then: wait}
quiet_hours: {from: "21:00", to: "08:00", more: 1}
pending: stop
data: []
`), "\n") {
		all = append(all, campaign+"\n"+line)
	}
	for _, webhook := range []string{
		"{}", "x", "{url: x}", "{url: 'ftp://h/'}", "{url: 'https://{{ user }}/'}", "{url: 'https://h', endpoint: e}", "{url: 'https://h', path: /x}",
		"{endpoint: e, path: x}", "{endpoint: e, path: //x}", "{endpoint: e, method: HEAD}", "{endpoint: e, headers: {a: 5}}", "{endpoint: e, headers: []}",
		"{endpoint: e, body: 5}", "{endpoint: e, body: null}", "{endpoint: e, expires_after: 5}", "{endpoint: e, more: 1}", "{endpoint: ''}",
	} {
		all = append(all, strings.Replace(campaign, "{endpoint: e}", webhook, 1))
	}
	return append(all,
		strings.Replace(campaign, "id: c", "id: C", 1), strings.Replace(campaign, "id: c", "name: c", 1),
		strings.Replace(campaign, "id: c", "id: "+strings.Repeat("c", 65), 1), strings.Replace(campaign, "webhook:", "web:", 1),
	)
}
