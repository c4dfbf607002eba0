package model

import (
	"maps"
	"math"
	"slices"
	"strconv"

	"vigil/campaign"
)

// firstInstants sets every schedule to its first instant that the partition's first record has not passed.
func (r *run) firstInstants(rt int64) {
	for _, c := range r.campaigns {
		if c.Trigger.Shape == campaign.Schedule {
			r.next[c.ID] = r.opt.Crons[c.ID].next(rt - 1)
		}
	}
}

// next is the first instant after the given one.
func (c Cron) next(after int64) int64 {
	for days := 3; days < 1000; days *= 4 {
		for _, t := range c.instants(after, days) {
			if t > after {
				return t
			}
		}
	}
	return math.MaxInt64 / 2
}

// evaluate judges every thread at the instant t (semantics 3.7).
func (r *run) evaluate(c *campaign.Campaign, t int64) {
	r.next[c.ID] = r.opt.Crons[c.ID].next(t)
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
	threads := map[string][]*Event{}
	for _, e := range r.people[user].history {
		if e.TS <= t-c.Trigger.Lookback || e.TS > t || e.TS < c.Starts {
			continue
		}
		if key, ok := keyOf(c, e); ok && (anyMatches(c.Trigger.Did, e) || anyMatches(c.Trigger.DidNot, e)) {
			threads[key] = append(threads[key], e)
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
