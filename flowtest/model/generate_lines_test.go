package model

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// line is a line of a simulation file being made.
type line struct {
	User       string          `json:"user"`
	Type       string          `json:"type"`
	ID         any             `json:"id,omitempty"`
	Time       any             `json:"time,omitempty"`
	Received   any             `json:"received,omitempty"`
	Properties json.RawMessage `json:"properties,omitempty"`
}

func (g *gen) lines() {
	received := g.chance(88)
	count := 3 + g.IntN(28)
	if g.flood {
		count = 150
	}
	var made []line
	for n := range count {
		if n == 0 && g.chance(50) {
			g.h.Lines = append(g.h.Lines, fmt.Sprintf(`{"user":"u1","type":"$profile","id":"p","time":%q,"properties":{"set":{"plan":"gold","n":1}}}`, stamp(g.rt)))
		}
		g.move(received)
		l := line{User: pick(g, "u1", "u1", "u1", "u1", "u1", "u1", "u2", "u3"), ID: fmt.Sprint("e", g.IntN(3), n)}
		l.Type = pick(g, "A", "A", "A", "A", "B", "B", "B", "C", "C", "N", "$profile")
		if g.plain {
			l.User = pick(g, "u1", "u1", "u1", "u1", "u1", "u2")
			l.Type = pick(g, "A", "A", "A", "A", "A", "B", "B", "C", "$profile")
		}
		if g.chance(2) {
			l.Type = "$erase"
		}
		if g.flood && g.chance(98) {
			l.User, l.Type = "u1", "A"
		}
		ts := g.ts()
		g.properties(&l, ts)
		l.Time = stamp(ts)
		if received {
			l.Received = stamp(g.rt)
		}
		l = g.odd(l, made, n)
		made = append(made, l)
		text, _ := json.Marshal(l)
		g.h.Lines = append(g.h.Lines, string(text))
		g.mark(ts)
	}
}

// odd makes some lines duplicates, or says their times and ids in another way.
func (g *gen) odd(l line, made []line, n int) line {
	switch g.IntN(40) {
	case 0, 1:
		if n > 0 {
			again := made[g.IntN(n)]
			again.Received = l.Received
			return again
		}
	case 2, 3:
		if n > 0 {
			l.ID = made[g.IntN(n)].ID
		}
	case 4:
		l.ID = nil
	case 5:
		if l.Received != nil {
			l.Time = nil
		}
	case 6:
		if t, err := time.Parse(time.RFC3339Nano, l.Time.(string)); err == nil {
			l.Time = t.UnixMilli()
		}
	case 7:
		l.ID = g.IntN(3)
	}
	return l
}

// move moves the record time: a little, or to about an instant at which something may be decided.
func (g *gen) move(received bool) {
	if g.flood && g.chance(97) {
		g.rt += int64(g.IntN(50))
		return
	}
	switch n := g.IntN(100); {
	case n < 15:
	case n < 25:
		g.rt += pick[int64](g, 1, 1000, g.h.Lateness, g.h.Lateness+1)
	case n < 55:
		g.rt += pick[int64](g, 20_000, minute, 5*minute, 10*minute)
	case n < 94:
		g.rt = max(g.rt, g.near(g.rt, g.rt+3*hour))
	case n < 98 || !received: // no days, for what rt going back by a day means for seen ids is open
		g.rt += pick[int64](g, 30*minute, 2*hour, g.h.Age, g.h.Age+1)
	default:
		g.rt += pick[int64](g, day, day+1, day-1, 3*day)
	}
}

// ts is an event time about the present record time.
func (g *gen) ts() int64 {
	switch n := g.IntN(100); {
	case n < 62:
		return g.rt
	case n < 85:
		return g.near(g.rt-3*hour, g.rt+2*minute)
	case n < 89:
		return g.rt - g.h.Age - pick[int64](g, 0, 1, -1)
	case n < 93:
		return g.rt + pick[int64](g, 1, minute, 2*minute, 2*minute+1)
	}
	return g.rt - pick[int64](g, 1, 1000, 30_000, minute, 5*minute, 10*minute)
}

// near is an instant about a mark between two times.
func (g *gen) near(from, to int64) int64 {
	var in []int64
	for _, m := range g.marks[max(0, len(g.marks)-80):] {
		if from <= m && m <= to {
			in = append(in, m)
		}
	}
	if len(in) == 0 {
		return g.rt
	}
	slices.Sort(in)
	if g.chance(60) { // those next to the present
		i, _ := slices.BinarySearch(in, g.rt)
		in = in[max(0, i-3):min(len(in), i+3)]
	}
	l := g.h.Lateness
	at := pick(g, in...) + pick[int64](g, 0, 0, 0, -1, 1, l, l+1, l-1, 1000)
	if to > g.rt+hour && g.chance(12) { // where memory ends; the record time only
		at += pick(g, g.h.Age, g.h.Age+1, g.h.Age-l, min(g.h.MaxDelay, hour), min(g.h.MaxDelay, hour)+1)
	}
	return at
}

// mark notes when the timers and windows of an event end.
func (g *gen) mark(ts int64) {
	g.marks = append(g.marks, ts)
	for _, s := range g.spans {
		g.marks = append(g.marks, ts+s)
	}
}

func (g *gen) properties(l *line, ts int64) {
	switch l.Type {
	case "$profile":
		l.Properties = g.profile(ts)
		return
	case "$erase":
		return
	}
	props := object{}
	if g.chance(93) {
		props["k"] = pick[any](g, "a", "a", "a", "a", "a", "a", "a", "a", "b", "b", "b", "1", 1, json.RawMessage("1.0"), true, nil, []any{1})
	}
	if g.chance(60) {
		props["v"] = pick(g, any(1), 1, 2, 3, "1")
	}
	if g.chance(85) {
		props["date"] = g.dateValue(ts)
	}
	if g.chance(20) {
		props["tz"] = pick(g, any("Europe/Berlin"), "America/New_York", "Asia/Kolkata", "Mars/Base", 5)
	}
	l.Properties, _ = json.Marshal(props)
}

func (g *gen) profile(ts int64) json.RawMessage {
	set := object{}
	if g.chance(75) {
		set["plan"] = pick(g, "gold", "gold", "free")
	}
	if g.chance(40) {
		set["n"] = g.IntN(3)
	}
	if g.chance(40) {
		set["tz"] = pick(g, any("Europe/Berlin"), "America/New_York", "Asia/Kolkata", "Mars/Base", nil)
	}
	if g.chance(30) {
		set["since"] = stamp(ts - pick[int64](g, 0, 3*minute, 5*minute, 10*minute))
	}
	props := object{"set": set}
	if g.chance(30) {
		props["unset"] = []string{pick(g, "plan", "n", "tz", "since")}
	}
	text, _ := json.Marshal(props)
	return text
}

// dateValue is a date property in any form, most often near ts.
func (g *gen) dateValue(ts int64) any {
	p := ts + pick[int64](g, -30*minute, -minute, 0, minute, 2*minute, 10*minute, 10*minute, hour, hour, day, 25*hour, 400*day, 400*day+1)
	if g.lastDate != 0 && g.chance(40) {
		p = g.lastDate
	}
	g.lastDate = p
	p -= p % pick[int64](g, 1, 1000, minute, 10*minute)
	for _, s := range []int64{-5 * minute, -minute, 0, 10 * minute} {
		g.marks = append(g.marks, p+s)
	}
	t := time.UnixMilli(p).UTC()
	switch g.IntN(12) {
	case 0:
		return t.Format("2006-01-02T15:04:05")
	case 1:
		return t.Format("2006-01-02 15:04")
	case 2:
		return t.Format(time.DateOnly)
	case 3:
		return p
	case 4:
		return p / 1000
	case 5:
		return fmt.Sprint("$D_", p/1000)
	case 6:
		return pick(g, any("soon"), nil, true, "1999-12-31T23:59:59Z", "2000-01-01T00:00:00Z", 5)
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}
