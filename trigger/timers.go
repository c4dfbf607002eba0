package trigger

import (
	"slices"

	"vigil/campaign"
	"vigil/event"
)

// settle ends one timer.
func (e *Engine) settle(p settlement) {
	c, tm := e.campaign(p.s.id), p.tm
	st := start{u: p.u, c: c, s: p.s, t: p.t, anchor: tm.anchorID(), slot: tm.slot}
	if c != nil && c.Status == campaign.Paused {
		tm.held = true
		return
	}
	p.t.remove(tm)
	if !tm.deferred && (tm.slot == slotInaction || tm.slot == slotSession) {
		p.t.closeCycle(tm.t0, tm.due)
	}
	switch {
	case c == nil || c.Status == campaign.Stopped:
		e.skip(c, st, IsStopped, tm.due)
	case c.Edited && tm.rev != c.Edition:
		e.skip(c, st, Edited, tm.due)
	case tm.resumed && e.part.clock-tm.due > e.opt.MaxFireDelay:
		e.skip(c, st, PastDue, tm.due)
	default:
		e.judge(st, firing{at: tm.due, t0: tm.t0, anchor: tm.anchor, events: tm.events, timed: !tm.deferred, deferred: tm.deferred})
	}
}

// arm makes a pending decision for st with the deadline due; where that is past already it is judged at once
// (semantics 2.10).
func (e *Engine) arm(st start, due int64, f firing) {
	if e.part.clock <= due+e.opt.AllowedLateness {
		e.pend(st, &timer{due: due, t0: f.t0, anchor: f.anchor, events: f.events, slot: st.slot})
		return
	}
	if st.slot == slotInaction || st.slot == slotSession {
		st.t.closeCycle(f.t0, due)
	}
	if e.part.clock-due > e.opt.MaxFireDelay {
		e.skip(st.c, st, PastDue, due)
		return
	}
	f.at, f.timed = due, true
	e.judge(st, f)
}

// pend adds a timer to a thread.
func (e *Engine) pend(st start, tm *timer) {
	tm.rev = st.c.Edition
	*next(&st.t.timers) = *tm
	st.u.changed = true
}

// ended lists the timers of threads for which over is true, in the order of 2.3, and takes them off their threads. The
// list is valid until the next call.
func (e *Engine) ended(s *section, threads []*thread, over func(tm *timer) bool) []settlement {
	list := e.over[:0]
	for _, t := range threads {
		for _, tm := range t.timers {
			if !tm.deferred && over(tm) {
				list = append(list, settlement{s: s, t: t, tm: tm})
			}
		}
	}
	slices.SortFunc(list, settlement.compare)
	for _, p := range list {
		p.t.remove(p.tm)
	}
	e.over = list
	return list
}

// cancel ends the timers of threads whose start and deadline the event in hand hits, and tells of those that fired too
// early for it (2.10).
func (e *Engine) cancel(u *user, s *section, threads []*thread, hits func(t0, due int64) bool) {
	c := e.campaign(s.id)
	ts := e.ev.TS
	for _, p := range e.ended(s, threads, func(tm *timer) bool { return hits(tm.t0, tm.due) }) {
		if c.Trigger.Shape != campaign.Date {
			p.t.closeCycle(p.tm.t0, ts)
		}
		e.skip(c, start{u: u, s: s, t: p.t, anchor: p.tm.anchorID(), slot: p.tm.slot}, Cancelled, ts)
	}
	var late []settlement
	for _, t := range threads {
		e.prune(t, c)
		for _, f := range t.fired {
			if hits(f.t0, f.due) {
				anchor := &event.Snapshot{ID: f.anchor}
				late = append(late, settlement{s: s, t: t, tm: &timer{due: f.due, t0: f.t0, slot: f.slot, anchor: anchor}})
			}
		}
		t.fired = slices.DeleteFunc(t.fired, func(f firedTimer) bool { return hits(f.t0, f.due) })
	}
	slices.SortFunc(late, settlement.compare)
	for _, p := range late {
		e.skip(c, start{u: u, s: s, t: p.t, anchor: p.tm.anchorID(), slot: p.tm.slot}, LateCancel, ts)
	}
}
