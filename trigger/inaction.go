package trigger

import (
	"slices"

	"vigil/campaign"
)

// absence is semantics 3.3: did X, and not Y within N.
func (e *Engine) absence(st start, m campaign.Match) {
	if m.Did != 0 {
		st.slot = slotInaction
		e.startAbsence(st)
	}
	if m.DidNot {
		e.addDone(st.t, e.ev.TS)
	}
}

func (e *Engine) startAbsence(st start) {
	tr, t, ts := &st.c.Trigger, st.t, e.ev.TS
	due := ts + tr.Within
	reason := e.refused(st)
	switch {
	case reason != "":
	case tr.Repeat != campaign.Each && supersedes(tr.Repeat, t, ts):
		reason = Superseded
	case t.doneIn(ts, due):
		reason = AlreadyDone
	case tr.Repeat == campaign.Each && t.pending() >= maxPending:
		reason = TooManyPending
	}
	if reason != "" {
		e.skip(st.c, st, reason, ts)
		return
	}
	if tr.Repeat == campaign.Restart {
		for _, p := range e.ended(st.s, []*thread{t}, func(tm *timer) bool { return tm.t0 < ts && ts <= tm.due }) {
			old := st
			old.anchor, old.slot = p.tm.anchorID(), p.tm.slot
			e.skip(st.c, old, Restarted, ts)
		}
	}
	e.arm(st, due, firing{t0: ts, anchor: e.snapshot()})
}

// supersedes tells whether an armed timer or the last cycle makes another start at ts void. A timer whose D is before
// ts only awaits its lateness and is nothing to it (2.3).
func supersedes(repeat campaign.Repeat, t *thread, ts int64) bool {
	if repeat == campaign.FirstOnly {
		return t.armedAt(ts) || t.cycleEnd != none && ts <= t.cycleEnd
	}
	for _, tm := range t.timers {
		if !tm.deferred && ts <= tm.t0 {
			return true
		}
	}
	return t.cycleT0 != none && ts <= t.cycleT0
}

// armedAt tells whether some timer is pending that an event at ts may change.
func (t *thread) armedAt(ts int64) bool {
	return slices.ContainsFunc(t.timers, func(tm *timer) bool { return !tm.deferred && ts <= tm.due })
}

// onAction is semantics 3.4, on: action: X fires at once unless a Y is known in the lookback.
func (e *Engine) onAction(st start, m campaign.Match) {
	ts := e.ev.TS
	if m.Did != 0 {
		reason := e.refused(st)
		if reason == "" && st.t.doneIn(ts-st.c.Trigger.Lookback, ts) {
			reason = AlreadyDone
		}
		if reason != "" {
			e.skip(st.c, st, reason, ts)
		} else {
			e.judge(st, firing{at: ts, anchor: e.snapshot()})
		}
	}
	if m.DidNot {
		e.addDone(st.t, ts)
	}
}

// session is semantics 3.4, on: session_end.
func (e *Engine) session(st start, m campaign.Match) {
	if m.Did != 0 {
		st.slot = slotSession
		e.startSession(st)
	}
	if m.DidNot {
		e.addDone(st.t, e.ev.TS)
	}
}

func (e *Engine) startSession(st start) {
	t, ts := st.t, e.ev.TS
	due := max(st.u.newest, ts) + st.c.Trigger.Gap
	reason := e.refused(st)
	switch {
	case reason != "":
	case t.armedAt(ts) || t.cycleEnd != none && ts <= t.cycleEnd:
		reason = Superseded
	case t.doneIn(ts, due):
		reason = AlreadyDone
	}
	if reason != "" {
		e.skip(st.c, st, reason, ts)
		return
	}
	e.arm(st, due, firing{t0: ts, anchor: e.snapshot()})
}

// extendSessions moves the armed timers of 3.4 session_end on: any event of the user does.
func (e *Engine) extendSessions(u *user) {
	ts := e.ev.TS
	for _, s := range u.sections {
		c := e.campaign(s.id)
		if c == nil || c.Trigger.Shape != campaign.Session {
			continue
		}
		for _, t := range s.threads {
			t.extend(ts, c.Trigger.Gap)
		}
	}
}

func (t *thread) extend(ts, gap int64) {
	for _, tm := range t.timers {
		if !tm.deferred && tm.slot == slotSession && ts <= tm.due {
			tm.due = max(tm.due, ts+gap)
		}
	}
}

// doneIn tells whether a did_not event is known in [from, to].
func (t *thread) doneIn(from, to int64) bool {
	i, _ := slices.BinarySearch(t.dones, from)
	return i < len(t.dones) && t.dones[i] <= to
}

// addDone remembers a did_not event.
func (e *Engine) addDone(t *thread, ts int64) {
	i, _ := slices.BinarySearch(t.dones, ts)
	t.dones = slices.Insert(t.dones, i, ts)
	if len(t.dones) > maxKept {
		t.dones = slices.Delete(t.dones, 0, 1)
		e.stats.HistoryTruncated++
	}
}
