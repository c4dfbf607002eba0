package model

import (
	"slices"

	"vigil/campaign"
)

// find returns the number of a thread, and whether there is one.
func find(threads []*thread, campaignID, key string) *thread {
	for _, t := range threads {
		if t.campaign == campaignID && t.key == key {
			return t
		}
	}
	return nil
}

// single is 3.1, and `match: any` of 3.2.
func (r *run) single(c *campaign.Campaign, e *Event, key string) {
	p := r.person(e.User)
	slot := ""
	if c.Trigger.Delay > 0 {
		slot = "delay"
	}
	f := newFiring(c, e, key, slot)
	if n := int64(c.Trigger.Did[0].Count); n > 1 {
		count := find(p.counts, c.ID, key)
		if count == nil {
			count = &thread{campaign: c.ID, key: key}
			p.counts = append(p.counts, count)
		}
		count.n++
		if count.n%n != 0 {
			return
		}
	}
	if reason := r.once(c, e, key); reason != "" {
		r.skip(reason, f, e.TS)
		return
	}
	r.launch(f, e.TS)
}

// once is what refuses a start, `occurrence: first` included, which it spends otherwise.
func (r *run) once(c *campaign.Campaign, e *Event, key string) string {
	reason := r.refusal(c, e)
	if reason != "" || !c.Trigger.First {
		return reason
	}
	p := r.person(e.User)
	if find(p.spent, c.ID, key) != nil {
		return "not_first"
	}
	p.spent = append(p.spent, &thread{campaign: c.ID, key: key})
	return ""
}

// launch fires at t, or arms the delay that begins there.
func (r *run) launch(f firing, t int64) {
	if delay := f.c.Trigger.Delay; delay > 0 {
		r.arm(f, t+delay)
		return
	}
	r.gates(f, t, false)
}

// arm makes a timer; one whose deadline is past is judged at once (semantics 2.10).
func (r *run) arm(f firing, d int64) {
	if r.clock <= d+r.opt.AllowedLateness {
		r.timers = append(r.timers, &timer{firing: f, d: d})
		return
	}
	r.addCycle(f, d)
	if r.clock-d > r.opt.MaxFireDelay {
		r.skip("past_due", f, d)
		return
	}
	r.gates(f, d, false)
}

// span is from <= ts <= to, and how long what lies in it is remembered.
type span struct{ from, to, memory int64 }

// known tells whether the thread remembers a did_not event, other than e, in the span; each Y is remembered while
// clock <= ts + memory.
func (r *run) known(c *campaign.Campaign, e *Event, key string, in span) bool {
	var ys []*Event
	for _, y := range r.person(e.User).history {
		if y == e || !anyMatches(c.Trigger.DidNot, y) || r.clock > y.TS+in.memory {
			continue
		}
		if k, ok := keyOf(c, y); ok && k == key {
			ys = append(ys, y)
		}
	}
	return slices.ContainsFunc(newestOf(ys), func(y *Event) bool { return in.from <= y.TS && y.TS <= in.to })
}

// newestOf keeps the 1,000 newest by ts (semantics 2.11).
func newestOf(events []*Event) []*Event {
	events = slices.Clone(events)
	for len(events) > maxKept {
		oldest := 0
		for i, e := range events {
			if e.TS < events[oldest].TS {
				oldest = i
			}
		}
		events = slices.Delete(events, oldest, oldest+1)
	}
	return events
}

// lastCycle is the last cycle of a thread, nil where it is forgotten.
func (r *run) lastCycle(user, campaignID, key string) *cycle {
	for _, l := range r.person(user).cycles {
		if l.campaign == campaignID && l.key == key && r.clock <= l.end+r.opt.MaxEventAge {
			return l
		}
	}
	return nil
}

// addCycle remembers that a cycle of 3.3 or of session_end is over.
func (r *run) addCycle(f firing, end int64) {
	if s := f.c.Trigger.Shape; s != campaign.Absence && s != campaign.Session {
		return
	}
	p := r.person(f.user)
	last := r.lastCycle(f.user, f.c.ID, f.key)
	if last == nil {
		p.cycles = slices.DeleteFunc(p.cycles, func(l *cycle) bool { return l.campaign == f.c.ID && l.key == f.key })
		p.cycles = append(p.cycles, &cycle{f.c.ID, f.key, f.anchorTS, end})
		return
	}
	last.t0, last.end = max(last.t0, f.anchorTS), max(last.end, end)
}

// absence is a start of 3.3.
func (r *run) absence(c *campaign.Campaign, e *Event, key string) {
	f := newFiring(c, e, key, "inaction")
	d := e.TS + c.Trigger.Within
	reason := r.refusal(c, e)
	if reason == "" && r.superseded(c, e, key) {
		reason = "superseded"
	}
	if reason == "" && r.known(c, e, key, span{e.TS, d, r.opt.MaxEventAge}) {
		reason = "already_done"
	}
	pending := r.pending(c, e.User, only(key))
	if reason == "" && c.Trigger.Repeat == campaign.Each && len(pending) >= maxPending {
		reason = "too_many_pending"
	}
	if reason != "" {
		r.skip(reason, f, e.TS)
		return
	}
	for _, t := range pending {
		if c.Trigger.Repeat == campaign.Restart && e.TS <= t.d {
			r.drop(t)
			r.skip("restarted", t.firing, e.TS)
		}
	}
	r.arm(f, d)
}

// superseded asks the armed timer and the last cycle, as on_repeat wants.
func (r *run) superseded(c *campaign.Campaign, e *Event, key string) bool {
	last := r.lastCycle(e.User, c.ID, key)
	for _, t := range r.pending(c, e.User, only(key)) {
		if e.TS > t.d { // it only awaits its lateness
			continue
		}
		if c.Trigger.Repeat == campaign.FirstOnly || c.Trigger.Repeat == campaign.Restart && e.TS <= t.anchorTS {
			return true
		}
	}
	switch c.Trigger.Repeat {
	case campaign.Restart:
		return last != nil && e.TS <= last.t0
	case campaign.FirstOnly:
		return last != nil && e.TS <= last.end
	}
	return false
}

// onAction is a start of 3.4 on: action.
func (r *run) onAction(c *campaign.Campaign, e *Event, key string) {
	f := newFiring(c, e, key, "")
	reason := r.refusal(c, e)
	l := c.Trigger.Lookback
	if reason == "" && r.known(c, e, key, span{e.TS - l, e.TS, l + r.opt.MaxEventAge}) {
		reason = "already_done"
	}
	if reason != "" {
		r.skip(reason, f, e.TS)
		return
	}
	r.gates(f, e.TS, false)
}

// session is a start of 3.4 on: session_end.
func (r *run) session(c *campaign.Campaign, e *Event, key string) {
	f := newFiring(c, e, key, "session")
	d := max(r.person(e.User).newest, e.TS) + c.Trigger.Gap
	reason := r.refusal(c, e)
	if reason == "" {
		last := r.lastCycle(e.User, c.ID, key)
		armed := slices.ContainsFunc(r.pending(c, e.User, only(key)), func(t *timer) bool { return e.TS <= t.d })
		switch {
		case armed || last != nil && e.TS <= last.end:
			reason = "superseded"
		case r.known(c, e, key, span{e.TS, d, r.opt.MaxEventAge}):
			reason = "already_done"
		}
	}
	if reason != "" {
		r.skip(reason, f, e.TS)
		return
	}
	r.arm(f, d)
}
