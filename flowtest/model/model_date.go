package model

import (
	"slices"
	"strconv"
	"time"

	"vigil/campaign"
	"vigil/event"
)

// date is a start of 3.5.
func (r *run) date(c *campaign.Campaign, e *Event, key string) {
	if c.Trigger.Key == "" {
		key = e.ID
	}
	zone := r.dateZone(c, e)
	p, wrong := dateOf(c, e, zone)
	reason := r.refusal(c, e)
	if reason == "" {
		reason = wrong
	}
	older := wrong == "" && r.olderDate(c, e, key)
	if reason == "" && older {
		reason = "superseded"
	}
	if wrong == "" && !older {
		r.replace(c, e, key)
	}
	if reason == "" && r.cancelKnown(c, e, key) {
		reason = "already_done"
	}
	if reason != "" {
		r.skip(reason, newFiring(c, e, key, ""), e.TS)
		return
	}
	for _, o := range c.Trigger.Date.Offsets {
		r.armDate(newFiring(c, e, key, o.Text+"@"+strconv.FormatInt(p, 10)), moved(c, p, o, zone))
	}
}

// armDate makes the timer of one offset. What was decided before is told first; past_due does not decide.
func (r *run) armDate(f firing, d int64) {
	past := r.clock > d+r.opt.AllowedLateness
	switch {
	case r.decidedBefore(f):
		r.skip("duplicate_fire", f, d)
	case past && !f.c.Trigger.Date.FirePast:
		r.skip("past_due", f, d)
	case past:
		r.gates(f, d, false)
	default:
		r.timers = append(r.timers, &timer{firing: f, d: d})
	}
}

// decidedBefore tells whether the slot of 3.5 is remembered as decided.
func (r *run) decidedBefore(f firing) bool {
	return slices.ContainsFunc(r.person(f.user).decided, func(s slotDecided) bool {
		return s.fireID == f.fireID && r.clock <= s.clock+7*day
	})
}

// olderDate tells whether the thread remembers a newer date event.
func (r *run) olderDate(c *campaign.Campaign, e *Event, key string) bool {
	newest := find(r.person(e.User).dates, c.ID, key)
	return newest != nil && e.TS < newest.n && r.dateKept(c, e.User, newest)
}

func (r *run) dateKept(c *campaign.Campaign, user string, newest *thread) bool {
	return len(r.pending(c, user, only(newest.key))) > 0 || r.clock <= newest.n+r.opt.MaxEventAge
}

// replace ends the pending timers of the thread for a newer date event, apart from those whose D it is past.
func (r *run) replace(c *campaign.Campaign, e *Event, key string) {
	for _, t := range r.pending(c, e.User, only(key)) {
		if e.TS <= t.d {
			r.drop(t)
			r.skip("rescheduled", t.firing, e.TS)
		}
	}
	p := r.person(e.User)
	if newest := find(p.dates, c.ID, key); newest != nil {
		newest.n = e.TS
		return
	}
	p.dates = append(p.dates, &thread{c.ID, key, e.TS})
}

// cancelKnown tells whether a cancel_on that is not older than e arrived before it.
func (r *run) cancelKnown(c *campaign.Campaign, e *Event, key string) bool {
	for _, y := range r.person(e.User).history {
		if y == e || !anyMatches(c.Trigger.DidNot, y) || r.clock > y.TS+day {
			continue
		}
		k, ok := keyOf(c, y)
		if ok && (c.Trigger.Key == "" || k == key) && e.TS <= y.TS {
			return true
		}
	}
	return false
}

// dateZone is the zone of local dates: the event's, the profile's, the trigger's.
func (r *run) dateZone(c *campaign.Campaign, e *Event) *time.Location {
	rule := c.Trigger.Date
	if rule.ZonePath != "" {
		for _, v := range []event.Value{e.Props, r.person(e.User).value()} {
			if z, ok := r.zoneNamed(v.Get(rule.ZonePath)); ok {
				return z
			}
		}
	}
	return rule.Zone
}

// dateOf reads P, or says what is wrong with it.
func dateOf(c *campaign.Campaign, e *Event, zone *time.Location) (int64, string) {
	v := e.Props.Get(c.Trigger.Date.Property)
	if !v.Present() {
		return 0, "date_missing"
	}
	p, ok := parseDate(v, zone)
	if !ok {
		return 0, "date_invalid"
	}
	if time.UnixMilli(p).UTC().Year() < 2000 || p > e.TS+400*day {
		return 0, "date_out_of_range"
	}
	return p, ""
}

// moved is F: the calendar part of the offset, its exact part, then the stated time of day.
func moved(c *campaign.Campaign, p int64, o campaign.Offset, zone *time.Location) int64 {
	f := p
	if o.Days != 0 {
		local := time.UnixMilli(f).In(zone)
		y, m, d := local.Date()
		f = instant(y, m, d+o.Days, milliOfDay(local), zone)
	}
	f += o.Millis
	if at := c.Trigger.Date.At; at >= 0 {
		y, m, d := time.UnixMilli(f).In(zone).Date()
		f = instant(y, m, d, int64(at), zone)
	}
	return f
}

// parseDate reads the forms of semantics 3.5.
func parseDate(v event.Value, zone *time.Location) (int64, bool) {
	if n, ok := v.Number(); ok {
		return epoch(n), true
	}
	s := v.Text()
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UnixMilli(), true
	}
	if len(s) > 3 && s[:3] == "$D_" {
		n, err := strconv.ParseInt(s[3:], 10, 64)
		return n * 1000, err == nil
	}
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			y, m, d := t.Date()
			return instant(y, m, d, milliOfDay(t), zone), true
		}
	}
	return 0, false
}
