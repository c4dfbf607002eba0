package trigger

import (
	"slices"
	"strconv"
	"time"

	"vigil/campaign"
	"vigil/event"
)

// maxAhead is how far a date may be ahead of its event.
const maxAhead = 400 * day

// date is semantics 3.5: a period before or after a date on the user's event.
func (e *Engine) date(st start) {
	t, ts := st.t, e.ev.TS
	zone := e.dateZone(st)
	p, fault := e.parseDate(st.c.Trigger.Date, zone)
	reason := e.refused(st)
	if fault == "" {
		older := t.dateTS != none && ts < t.dateTS
		if !older {
			e.reschedule(st)
			t.dateTS = ts
		}
		switch {
		case reason != "":
		case older:
			reason = Superseded
		case e.cancelledDates(st) >= ts:
			reason = AlreadyDone
		}
	} else if reason == "" {
		reason = fault
	}
	if reason != "" {
		e.skip(st.c, st, reason, ts)
		return
	}
	for _, offset := range st.c.Trigger.Date.Offsets {
		due := dueOf(st.c.Trigger.Date, p, offset, zone)
		slotted := st
		slotted.slot = offset.Text + "@" + strconv.FormatInt(p, 10)
		e.startDate(slotted, due)
	}
}

// startDate arms one offset, or decides it where its moment is past or its fire_id was decided already.
func (e *Engine) startDate(st start, due int64) {
	switch {
	case st.t.wasDecided(st.slot):
		e.skip(st.c, st, DuplicateFire, due)
	case e.part.clock <= due+e.opt.AllowedLateness:
		e.pend(st, &timer{due: due, t0: e.ev.TS, anchor: e.snapshot(), slot: st.slot})
	case st.c.Trigger.Date.FirePast:
		e.judge(st, firing{at: due, t0: e.ev.TS, anchor: e.snapshot(), timed: true})
	default:
		e.skip(st.c, st, PastDue, due)
	}
}

// wasDecided tells whether the slot is remembered as one that fired or was stopped by a gate.
func (t *thread) wasDecided(slot string) bool {
	return slices.ContainsFunc(t.decided, func(d decidedSlot) bool { return d.slot == slot })
}

// reschedule ends what is pending of the thread: a newer date takes its place.
func (e *Engine) reschedule(st start) {
	ts := e.ev.TS
	for _, p := range e.ended(st.s, []*thread{st.t}, func(tm *timer) bool { return ts <= tm.due && tm.t0 <= ts }) {
		old := st
		old.anchor, old.slot = p.tm.anchorID(), p.tm.slot
		e.skip(st.c, old, Rescheduled, ts)
	}
}

// cancelledDates is the newest cancel_on that counts for the thread.
func (e *Engine) cancelledDates(st start) int64 {
	at := st.t.cancelTS
	if st.c.Trigger.Key == "" {
		at = st.s.cancelTS
	}
	if e.expired(at, day) {
		return none
	}
	return at
}

// cancelDates is an event of cancel_on: it ends the pending dates of its thread, or without a key of the user.
func (e *Engine) cancelDates(u *user, c *campaign.Campaign, key string) {
	ts := e.ev.TS
	s := u.section(c)
	threads := s.threads
	if c.Trigger.Key != "" {
		threads = []*thread{s.thread(key)}
	}
	e.cancel(u, s, threads, func(t0, due int64) bool { return t0 <= ts && ts <= due })
}

// rememberCancel keeps the newest cancel_on. It comes after the event's own start, which does not arrive after it.
func (e *Engine) rememberCancel(u *user, c *campaign.Campaign, key string) {
	s := u.section(c)
	if c.Trigger.Key == "" {
		s.cancelTS = max(s.cancelTS, e.ev.TS)
		return
	}
	t := s.thread(key)
	t.cancelTS = max(t.cancelTS, e.ev.TS)
}

// parseDate reads the date of the event in hand, or says what is wrong with it.
func (e *Engine) parseDate(rule *campaign.DateRule, zone *time.Location) (int64, Reason) {
	v := e.ev.Props.Get(rule.Property)
	if !v.Present() {
		return 0, DateMissing
	}
	p, ok := campaign.ParseDate(v, zone)
	switch {
	case !ok:
		return 0, DateInvalid
	case time.UnixMilli(p).UTC().Year() < 2000 || p > e.ev.TS+maxAhead:
		return 0, DateOutOfRange
	}
	return p, ""
}

// dateZone is the zone of a date: the event's, the profile's, the trigger's.
func (e *Engine) dateZone(st start) *time.Location {
	rule := st.c.Trigger.Date
	if rule.ZonePath != "" {
		for _, of := range []event.Value{e.ev.Props, e.profile(st.u)} {
			if zone, ok := campaign.Zone(of.Get(rule.ZonePath).Text()); ok {
				return zone
			}
		}
	}
	return rule.Zone
}

// dueOf is F = P + offset: calendar days first, then the exact part, then `at` on that local date.
func dueOf(rule *campaign.DateRule, p int64, offset campaign.Offset, zone *time.Location) int64 {
	f := p
	if offset.Days != 0 {
		y, m, d, millis := campaign.Local(f, zone)
		f = campaign.Instant(y, m, d+offset.Days, millis, zone)
	}
	f += offset.Millis
	if rule.At >= 0 {
		y, m, d, _ := campaign.Local(f, zone)
		f = campaign.Instant(y, m, d, rule.At, zone)
	}
	return f
}
