package model

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"vigil/campaign"
)

// History is a random run: campaigns as JSON objects, the lines of a simulation file, and the end. A seed makes the
// same one for ever, as long as this file is not edited.
type History struct {
	Seed      uint64
	Campaigns []map[string]any
	Lines     []string
	Until     string // "", "drain" or RFC 3339
	Lateness  int64  // ms, as the next two
	Age       int64
	MaxDelay  int64
}

// Compiled is a history made ready to run.
type Compiled struct {
	Campaigns []*campaign.Campaign
	Options   Options
	Until     Until
	File      string // the lines
}

// Compile parses the campaigns of a history.
func (h *History) Compile() (Compiled, error) {
	c := Compiled{Options: Options{h.Lateness, h.Age, h.MaxDelay, map[string]Cron{}}}
	for _, fields := range h.Campaigns {
		parsed, err := h.parse(fields)
		if err != nil {
			return c, err
		}
		c.Campaigns = append(c.Campaigns, parsed)
		c.Options.addCron(fields, parsed)
	}
	c.File = strings.Join(h.Lines, "\n") + "\n"
	c.Until.Drain = h.Until == "drain"
	if h.Until != "" && !c.Until.Drain {
		t, err := time.Parse(time.RFC3339Nano, h.Until)
		if err != nil {
			return c, err
		}
		c.Until.To = t.UnixMilli()
	}
	return c, nil
}

func (h *History) parse(fields map[string]any) (*campaign.Campaign, error) {
	text, err := json.Marshal(fields)
	if err != nil {
		return nil, err
	}
	c, problems := campaign.Parse("c.json", text)
	if c == nil {
		return nil, fmt.Errorf("seed %d: %s: %v", h.Seed, text, problems)
	}
	return c, nil
}

// addCron notes the schedule of a campaign, if it has one.
func (o *Options) addCron(fields map[string]any, c *campaign.Campaign) {
	trigger, _ := fields["trigger"].(map[string]any)
	evaluate, _ := trigger["evaluate"].(map[string]any)
	expr, ok := evaluate["cron"].(string)
	if !ok {
		return
	}
	zone := c.Zone
	if name, ok := evaluate["timezone"].(string); ok {
		zone, _ = time.LoadLocation(name)
	}
	o.Crons[c.ID] = Cron{expr, zone}
}

// gen makes one history.
type gen struct {
	*rand.Rand
	h        *History
	spans    []int64 // durations of the campaigns
	marks    []int64 // instants at which something may be decided
	rt       int64
	flood    bool  // many events at nearly one time
	plain    bool  // nothing that is not about the campaigns
	lastDate int64 // the last date property
}

type object = map[string]any

// Generate makes the history of a seed.
func Generate(seed uint64) *History {
	g := &gen{Rand: rand.New(rand.NewPCG(seed, 7)), h: &History{Seed: seed}}
	begin := pick(g, "2025-06-02T10:00:00Z", "2025-06-02T10:00:00Z", "2025-06-02T10:00:00Z", "2025-03-30T00:30:00Z", "2025-10-26T00:10:00Z")
	t, _ := time.Parse(time.RFC3339, begin)
	g.rt = t.UnixMilli()
	g.h.Lateness = pick[int64](g, 2000, 2000, 0, 30_000)
	g.h.Age = pick[int64](g, 2*hour, 10*minute, 5*minute, minute)
	g.h.MaxDelay = pick[int64](g, day, day, 10*minute, minute)
	g.campaigns()
	g.lines()
	switch {
	case g.chance(55):
		g.h.Until = "drain"
	case g.chance(40):
		g.h.Until = stamp(g.rt + pick[int64](g, 0, 1, minute, 30*minute, 3*hour))
	}
	return g.h
}

func pick[T any](g *gen, of ...T) T { return of[g.IntN(len(of))] }

func (g *gen) chance(percent int) bool { return g.IntN(100) < percent }

func stamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z") }

// span picks a duration and remembers it for the times of events.
func (g *gen) span(of ...string) string {
	text := pick(g, of...)
	d, _ := time.ParseDuration(text)
	if text == "1d" {
		d = 24 * time.Hour
	}
	g.spans = append(g.spans, d.Milliseconds())
	return text
}

// campaigns makes up to six of all kinds; or one or two plain ones, about which everything then turns; or, for a flood
// of events, one that has many timers and one that has not.
func (g *gen) campaigns() {
	names := []string{"a", "b", "c", "d", "e", "f"}
	plain := func(id string, trigger object) object {
		return object{"id": id, "webhook": object{"url": "https://example.com/hook"}, "trigger": trigger}
	}
	switch {
	case g.chance(2):
		g.flood = true
		each := g.absence()
		each["did"], each["within"], each["on_repeat"] = "A", "30m", "each"
		g.h.Campaigns = []map[string]any{plain("a", each), plain("b", g.trigger())}
	case g.chance(40):
		g.plain = true
		for _, id := range names[:1+g.IntN(2)] {
			g.h.Campaigns = append(g.h.Campaigns, plain(id, g.trigger()))
		}
	default:
		for _, id := range names[:1+g.IntN(len(names))] {
			g.h.Campaigns = append(g.h.Campaigns, g.campaign(id))
		}
	}
}

func (g *gen) campaign(id string) object {
	c := object{"id": id, "webhook": object{"url": "https://example.com/hook"}, "trigger": g.trigger()}
	if g.chance(9) {
		c["status"] = pick(g, "paused", "draining", "stopped")
	}
	if g.chance(8) {
		c["starts"] = stamp(g.rt + int64(g.IntN(30))*minute)
	}
	if g.chance(8) {
		c["ends"] = stamp(g.rt + int64(30+g.IntN(60))*minute)
	}
	if g.chance(30) {
		c["timezone"] = pick(g, zoneNames...)
	}
	if g.chance(25) {
		g.who(c)
	}
	if g.chance(10) {
		c["control"] = pick(g, 0, 50, 12.5, 100)
	}
	g.limits(c)
	if g.chance(20) {
		g.quiet(c)
	}
	if g.chance(15) {
		g.withProfile(c)
	}
	return c
}

var zoneNames = []string{"UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"}

func (g *gen) who(c object) {
	c["who"] = pick(g, object{"plan": "gold"}, object{"not": object{"plan": "gold"}}, object{"n": object{"gte": 1}},
		object{"since": object{"before": "now-5m"}})
	if g.chance(60) {
		c["who_at"] = pick(g, "trigger", "fire", "both")
	}
}

func (g *gen) limits(c object) {
	limits := object{}
	if g.chance(15) {
		limits["gap"] = g.span("1m", "5m", "10m", "1h")
	}
	if g.chance(15) {
		limits["max"] = object{"count": 1 + g.IntN(3), "per": g.span("1m", "10m", "30m", "1h")}
	}
	if len(limits) > 0 {
		c["limits"] = limits
	}
}

func (g *gen) quiet(c object) {
	times := []string{"00:00", "02:30", "03:00", "06:10", "09:00", "10:00", "10:05", "10:20", "11:00", "12:00", "12:10", "15:30", "21:00"}
	g.Shuffle(len(times), func(i, j int) { times[i], times[j] = times[j], times[i] })
	q := object{"from": times[0], "to": times[1]}
	if g.chance(70) {
		q["then"] = pick(g, "defer", "defer", "discard")
	}
	if g.chance(40) {
		q["timezone_property"] = "tz"
	}
	if g.chance(30) {
		q["timezone"] = pick(g, zoneNames...)
	}
	c["quiet_hours"] = q
}

// withProfile makes the campaign one of 3.6 where its shape allows.
func (g *gen) withProfile(c object) {
	trigger := c["trigger"].(object)
	switch trigger["type"] {
	case "date_time_property":
		return
	case "inaction_within_time", "inaction", "single_action", "actions":
		trigger["type"] = "actions_with_user_properties"
	}
	if c["who"] == nil {
		g.who(c)
	}
	evaluate, _ := trigger["evaluate"].(object)
	if evaluate["on"] == "schedule" && trigger["did_not"] != nil && g.chance(40) {
		delete(trigger, "did")
		delete(trigger, "key")
		delete(evaluate, "after_action")
	}
}
