package model

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"time"

	"vigil/campaign"
)

// firstInstants sets every schedule to its first instant that the partition's first record has not passed.
func (r *run) firstInstants(rt int64) {
	for _, c := range r.campaigns {
		if c.Trigger.Shape == campaign.Schedule {
			r.next[c.ID] = r.instantAfter(c, rt-1)
		}
	}
}

// instantAfter is the first instant of a schedule after the given one; far away where there is none in three years.
func (r *run) instantAfter(c *campaign.Campaign, after int64) int64 {
	for days := -2; days < 1100; days++ {
		date := time.UnixMilli(after).UTC().Truncate(24*time.Hour).AddDate(0, 0, days)
		name := c.ID + date.Format(time.DateOnly)
		onDate, known := r.instants[name]
		if !known {
			onDate = r.opt.Crons[c.ID].onDate(date)
			r.instants[name] = onDate
		}
		for _, t := range onDate {
			if t > after {
				return t
			}
		}
	}
	return math.MaxInt64 / 2
}

// evaluate judges every thread at the instant t (semantics 3.7).
func (r *run) evaluate(c *campaign.Campaign, t int64) {
	r.next[c.ID] = r.instantAfter(c, t)
	if c.Status != campaign.Active {
		return
	}
	for _, user := range slices.Sorted(maps.Keys(r.people)) {
		if c.WhoAt&campaign.AtTrigger != 0 && !r.audience(c, user, t) {
			continue
		}
		threads := r.threadsAt(c, user, t)
		if len(c.Trigger.Did) == 0 {
			r.evaluateUser(c, user, t, threads[""])
			continue
		}
		for _, key := range slices.Sorted(maps.Keys(threads)) {
			r.evaluateThread(c, threads[key], t)
		}
	}
}

// threadsAt groups the events of (t - L, t] that the campaign looks at by their keys.
func (r *run) threadsAt(c *campaign.Campaign, user string, t int64) map[string][]*Event {
	kept := map[string][]*Event{}
	for _, e := range r.people[user].history {
		if e.TS <= t-c.Trigger.Lookback || e.TS < c.Starts {
			continue
		}
		if key, ok := keyOf(c, e); ok && (anyMatches(c.Trigger.Did, e) || anyMatches(c.Trigger.DidNot, e)) {
			kept[key] = append(kept[key], e)
		}
	}
	threads := map[string][]*Event{}
	for key, events := range kept {
		for _, e := range newestOf(events) {
			if e.TS <= t {
				threads[key] = append(threads[key], e)
			}
		}
	}
	return threads
}

// evaluateUser is `did_not` alone: everyone with a profile.
func (r *run) evaluateUser(c *campaign.Campaign, user string, t int64, events []*Event) {
	if r.people[user].profile == nil {
		return
	}
	slot := strconv.FormatInt(t, 10)
	f := firing{c: c, user: user, anchorTS: math.MaxInt64, slot: slot, fireID: fireID(c.ID, user, "", "", slot)}
	if len(events) > 0 {
		r.skip("already_done", f, t)
		return
	}
	r.gates(f, t, false)
}

func (r *run) evaluateThread(c *campaign.Campaign, events []*Event, t int64) {
	s := search{slots: slotsOf(c), events: events, used: make([]bool, len(events)), accept: func() bool { return true }}
	if !s.fill(0, 0) {
		return
	}
	var newest *Event
	for _, e := range events {
		if anyMatches(c.Trigger.Did, e) && (newest == nil || e.TS >= newest.TS) {
			newest = e
		}
	}
	key, _ := keyOf(c, newest)
	f := newFiring(c, newest, key, strconv.FormatInt(t, 10))
	for _, e := range events {
		if !anyMatches(c.Trigger.DidNot, e) {
			continue
		}
		if !c.Trigger.AfterAction || e != newest && e.TS >= newest.TS {
			r.skip("already_done", f, t)
			return
		}
	}
	r.gates(f, t, false)
}
