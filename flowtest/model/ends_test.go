package model

import (
	"fmt"
	"testing"
)

// TestEngineForgetsInTime compares the engine with the model where something is remembered to the millisecond, in
// places that random histories hardly reach.
func TestEngineForgetsInTime(t *testing.T) {
	const zero, second = 1748858400000, 1000
	date := fmt.Sprintf(`"date":%d`, zero-second)
	absence := func(repeat string) object {
		return object{"type": "inaction_within_time", "did": "A", "did_not": "B", "within": "1m", "on_repeat": repeat}
	}
	lapsed := func(string) []string { // a cycle that is cancelled while an older one awaits its lateness
		return []string{
			eventLine("A", 0, 0, ""), eventLine("A", 61*second, 61*second, ""), eventLine("B", 62*second, 62*second, ""),
			eventLine("A", 61*second, 100*second, ""), eventLine("A", 62*second, 100*second, ""), eventLine("A", 63*second, 101*second, ""),
		}
	}
	for _, c := range []struct {
		name    string
		trigger object
		lines   func(string) []string
	}{
		{"the last cycle, restart", absence("restart"), lapsed},
		{"the last cycle, first", absence("first"), lapsed},
		{
			"decided slots",
			object{"type": "date_time_property", "on": "A", "property": "date", "key": "k", "past": "fire"},
			func(props string) []string {
				return []string{
					eventLine("A", 0, 0, props), eventLine("A", 7*day-1, 7*day-1, props), eventLine("A", 7*day, 7*day, props),
					eventLine("A", 7*day+1, 7*day+1, props), eventLine("A", 7*day+2, 7*day+2, props),
				}
			},
		},
		{
			"cancel_on",
			object{"type": "date_time_property", "on": "A", "property": "date", "key": "k", "past": "fire", "cancel_on": "B"},
			func(props string) []string {
				return []string{
					eventLine("B", 0, 0, props), eventLine("A", -2, day, props), eventLine("A", -1, day+1, props),
				}
			},
		},
	} {
		h := &History{Lateness: 30 * second, Age: 2 * day, MaxDelay: day, Until: "drain", Campaigns: []map[string]any{
			{"id": "c", "webhook": object{"url": "https://example.com/hook"}, "trigger": c.trigger},
		}}
		for n, line := range c.lines(date) {
			h.Lines = append(h.Lines, fmt.Sprintf(line, n))
		}
		if way, diff := difference(t, h); diff != "" {
			t.Errorf("%s, %s: -model +engine\n%s", c.name, way, diff)
		}
	}
}

// eventLine is a line about a time, in ms after 2025-06-02T10:00:00Z; the number of its id is still open.
func eventLine(eventType string, ts, rt int64, props string) string {
	const zero = 1748858400000
	if props != "" {
		props = "," + props
	}
	return fmt.Sprintf(`{"user":"u","type":%q,"id":"e%%d","time":%d,"received":%d,"properties":{"k":"k"%s}}`,
		eventType, zero+ts, zero+rt, props)
}
