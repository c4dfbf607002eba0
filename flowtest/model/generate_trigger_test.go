package model

import "slices"

func (g *gen) trigger() object {
	kind := pick(g, g.single, g.single, g.actions, g.actions, g.absence, g.absence, g.absence, g.inaction, g.session, g.session,
		g.date, g.date, g.schedule)
	t := kind()
	if g.chance(25) || t["on"] != nil && g.chance(75) {
		t["key"] = "k"
	}
	return t
}

// step is a name, or a step with a filter; count 0 is none.
func (g *gen) step(count int, names ...string) any {
	name := pick(g, names...)
	if count == 0 && g.chance(65) {
		return name
	}
	s := object{"event": name}
	if g.chance(40) {
		s["where"] = pick(g, object{"v": 1}, object{"v": object{"gte": 2}}, object{"v": object{"exists": false}})
	}
	if count > 0 {
		s["count"] = count
	}
	return s
}

func (g *gen) did() any { return g.step(0, "A", "A", "A", "B", "C") }

// didNot is one step, now and then two.
func (g *gen) didNot() any {
	if g.chance(80) {
		return g.step(0, "B", "B", "B", "A", "C")
	}
	return []any{g.step(0, "A", "B"), g.step(0, "B", "C")}
}

func (g *gen) single() object {
	t := object{"type": "single_action", "did": g.did()}
	switch g.IntN(6) {
	case 0:
		t["occurrence"] = "first"
	case 1:
		t["did"] = g.step(2+g.IntN(2), "A", "B")
	case 2:
		t["did"] = g.step(2+g.IntN(2), "A", "B")
		t["within"] = g.span("1m", "5m", "10m", "30m")
		if g.chance(30) {
			t["occurrence"] = "first"
		}
		if g.chance(70) {
			return t
		}
	case 3:
		t["did"] = g.step(2, "A", "B")
		t["occurrence"] = "first"
	}
	if g.chance(50) {
		t["delay"] = g.span("1s", "1m", "5m", "10m", "30m")
	}
	return t
}

func (g *gen) actions() object {
	match := pick(g, "all", "all", "sequence", "sequence", "any")
	t := object{"type": "actions", "match": match}
	var steps []any
	for range 2 + g.IntN(2) {
		count := 0
		if match != "any" && g.chance(20) {
			count = 2
		}
		steps = append(steps, g.step(count, "A", "B", "C"))
	}
	t["did"] = steps
	if match != "any" {
		t["within"] = g.span("1m", "5m", "10m", "30m")
	}
	return t
}

func (g *gen) absence() object {
	return object{
		"type": "inaction_within_time", "did": g.did(), "did_not": g.didNot(), "within": g.span("1s", "1m", "5m", "10m", "30m"),
		"on_repeat": pick(g, "restart", "restart", "first", "each"),
	}
}

func (g *gen) inaction() object {
	evaluate := object{"on": "action", "lookback": g.span("1m", "5m", "10m", "30m")}
	return object{"type": "inaction", "did": g.did(), "did_not": g.didNot(), "evaluate": evaluate}
}

func (g *gen) session() object {
	evaluate := object{"on": "session_end", "session_gap": g.span("1m", "5m", "10m")}
	return object{"type": "inaction", "did": g.did(), "did_not": g.didNot(), "evaluate": evaluate}
}

func (g *gen) date() object {
	t := object{"type": "date_time_property", "on": g.did(), "property": "date"}
	if g.chance(80) {
		offsets := []string{"0s", "-1m", "-5m", "10m", "-1d", "1d", "24h", "1d1h"}
		g.Shuffle(len(offsets), func(i, j int) { offsets[i], offsets[j] = offsets[j], offsets[i] })
		t["offsets"] = slices.Clone(offsets[:1+g.IntN(3)])
	}
	if g.chance(25) {
		t["at"] = pick(g, "02:30", "03:00", "10:10", "12:00")
	}
	if g.chance(30) {
		t["timezone"] = pick(g, zoneNames...)
	}
	if g.chance(40) {
		t["timezone_property"] = "tz"
	}
	if g.chance(60) {
		t["cancel_on"] = g.didNot()
	}
	if g.chance(40) {
		t["past"] = pick(g, "fire", "fire", "skip")
	}
	return t
}

func (g *gen) schedule() object {
	evaluate := object{
		"on":       "schedule",
		"cron":     pick(g, "*/5 * * * *", "0 * * * *", "30 2 * * *", "*/10 9-11 * * MON", "0 9-12 1 * MON", "*/30 10 */1 * MON", "5/15 * * * *", "*/30 1-3 * * *", "15,45 10 2 6 *"),
		"lookback": g.span("1m", "5m", "10m", "30m", "1h", "1d"),
	}
	if g.chance(40) {
		evaluate["timezone"] = pick(g, zoneNames...)
	}
	t := object{"type": "inaction", "evaluate": evaluate}
	if g.chance(30) {
		t["type"] = "actions"
		t["did"] = []any{g.step(0, "A", "B"), g.step(1+g.IntN(2), "A", "B", "C")}
		return t
	}
	t["did"] = g.did()
	if g.chance(30) {
		t["did"] = g.step(2, "A")
	}
	t["did_not"] = g.didNot()
	if g.chance(40) {
		evaluate["after_action"] = true
	}
	return t
}
