package model

import (
	"fmt"
	"strings"
	"testing"
)

// TestEngineHoldsLimits compares the engine with the model where the limits of semantics 2.11 bite, and one event before.
func TestEngineHoldsLimits(t *testing.T) {
	step := func(v int) object { return object{"event": "A", "where": object{"v": v}} }
	evaluate := func(on string, more object) object {
		e := object{"on": on}
		for name, value := range more {
			e[name] = value
		}
		return e
	}
	for _, c := range []struct {
		name    string
		trigger object
		many    string // type of the many events
		limit   int
	}{
		{"set", object{"type": "actions", "did": []any{step(1), "C", step(2)}, "within": "1h"}, "A", maxKept},
		{"sequence", object{"type": "actions", "match": "sequence", "did": []any{step(1), "C", step(2)}, "within": "1h"}, "A", maxKept},
		{
			"Y of on: action",
			object{"type": "inaction", "did": "C", "did_not": "A", "evaluate": evaluate("action", object{"lookback": "1h"})},
			"A", maxKept,
		},
		{"Y of an absence", object{"type": "inaction_within_time", "did": "C", "did_not": "A", "within": "1m"}, "A", maxKept},
		{"schedule", object{
			"type": "inaction", "did": step(1), "did_not": "C",
			"evaluate": evaluate("schedule", object{"cron": "0 * * * *", "lookback": "2h"}),
		}, "A", maxKept},
		{"each", object{"type": "inaction_within_time", "did": "A", "did_not": "C", "within": "1h", "on_repeat": "each"}, "A", maxPending},
		{"seen ids", object{"type": "single_action", "did": "A"}, "A", maxIDs},
	} {
		for _, more := range []int{-2, -1, 0} {
			h := &History{Lateness: 2000, Age: 2 * hour, MaxDelay: day, Until: "drain", Campaigns: []map[string]any{
				{"id": "c", "webhook": object{"url": "https://example.com/hook"}, "trigger": c.trigger},
			}}
			h.crowd(c.many, c.limit+more)
			if way, diff := difference(t, h); diff != "" {
				t.Errorf("%s, limit %+d, %s: -model +engine\n%.3000s", c.name, more, way, diff)
			}
		}
	}
}

// crowd is one event with v 1, many with v 2 one ms apart, then a late one, a start, an end, the first again and a tick.
func (h *History) crowd(eventType string, many int) {
	const begin = 1748858400000 + 10*minute
	add := func(what string, ts, rt int64, v int) {
		eventType, id, _ := strings.Cut(what, " ")
		h.Lines = append(h.Lines, fmt.Sprintf(`{"user":"u","type":%q,"id":%q,"time":%d,"received":%d,"properties":{"v":%d}}`,
			eventType, id, ts, rt, v))
	}
	add(eventType+" first", begin, begin, 1)
	for i := range int64(many) {
		add(fmt.Sprint(eventType, " m", i), begin+1+i, begin+1+i, 2)
	}
	end := begin + int64(many) + 1
	add("C late", begin, end, 0)
	add("C c", end, end, 0)
	add("C later", begin+1, end+1, 0)
	add(eventType+" first", begin, end+2, 1)
	add("N tick", end+2*hour, end+2*hour, 0)
}
