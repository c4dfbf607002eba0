package model

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"strings"

	"vigil/campaign"
	"vigil/event"
)

// Memory of semantics 2.2 and 2.11, and the skew of 2.1, in ms.
const (
	minute     = 60_000
	hour       = 60 * 60 * 1000
	day        = 24 * hour
	maxSkew    = 2 * 60 * 1000
	idMemory   = day
	maxIDs     = 10_000
	maxKept    = 1000
	maxPending = 100
)

// newFiring names a firing; in 3.5 the anchor is no part of the hash (semantics 2.9).
func newFiring(c *campaign.Campaign, e *Event, key, slot string) firing {
	f := firing{c: c, user: e.User, key: key, anchor: e.ID, anchorTS: e.TS, slot: slot}
	hashed := e.ID
	if c.Trigger.Shape == campaign.Date {
		hashed = ""
	}
	f.fireID = fireID(c.ID, e.User, key, hashed, slot)
	return f
}

func fireID(campaignID, user, key, anchor, slot string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{campaignID, "", user, key, anchor, slot}, "\x1f")))
	return hex.EncodeToString(sum[:16])
}

// record takes in one record: the clock first, then the event (semantics 2.3).
func (r *run) record(e *Event) {
	if e.TS > e.RT+maxSkew {
		e.TS = e.RT
	}
	if r.clock == math.MinInt64 {
		r.firstInstants(e.RT)
	}
	r.advance(e.RT)
	r.current = e
	r.take(e)
	r.current = nil
}

func (r *run) take(e *Event) {
	p := r.person(e.User)
	if e.TS <= p.erased || !r.named(e.Type) {
		return
	}
	if p.knows(e) {
		r.skip("duplicate", firing{user: e.User, anchor: e.ID}, e.TS)
		return
	}
	p.seen = append(p.seen, sighting{e.ID, e.RT})
	switch e.Type {
	case event.TypeErase:
		r.erase(e)
		return
	case event.TypeProfile:
		p.apply(e.Props)
		return
	}
	p.newest = max(p.newest, e.TS)
	p.history = append(p.history, e)
	for _, c := range r.campaigns {
		r.cancels(c, e)
	}
	for _, c := range r.campaigns {
		r.starts(c, e)
	}
}

// named tells whether any campaign names the type (semantics 2.2).
func (r *run) named(eventType string) bool {
	if eventType == event.TypeErase || eventType == event.TypeProfile {
		return true
	}
	for _, c := range r.campaigns {
		if c.Trigger.Shape == campaign.Session {
			return true
		}
		for _, s := range slices.Concat(c.Trigger.Did, c.Trigger.DidNot) {
			if s.Event == eventType {
				return true
			}
		}
	}
	return false
}

// knows tells whether the id was seen in the last 24 h of rt, from the first sight.
func (p *person) knows(e *Event) bool {
	for _, s := range p.seen[max(0, len(p.seen)-maxIDs):] {
		if s.id == e.ID && e.RT-s.rt <= idMemory {
			return true
		}
	}
	return false
}

// erase ends all timers of the user and forgets everything else (semantics 2.6).
func (r *run) erase(e *Event) {
	for _, c := range r.campaigns {
		var ends []*timer
		for _, t := range r.timers {
			if t.c == c && t.user == e.User {
				ends = append(ends, t)
			}
		}
		slices.SortFunc(ends, byDeadline)
		for _, t := range ends {
			r.drop(t)
			r.skip("erased", t.firing, e.TS)
		}
	}
	r.people[e.User] = nobody(e.TS)
}

func stepMatches(s campaign.Step, e *Event) bool {
	return s.Event == e.Type && s.Where.Match(e.Props, e.TS)
}

func anyMatches(steps []campaign.Step, e *Event) bool {
	return slices.ContainsFunc(steps, func(s campaign.Step) bool { return stepMatches(s, e) })
}

// keyOf names the thread of an event; false where the campaign has a key and the event has not (semantics 2.7).
func keyOf(c *campaign.Campaign, e *Event) (string, bool) {
	if c.Trigger.Key == "" {
		return "", true
	}
	return e.Props.Get(c.Trigger.Key).KeyText()
}

// cancelling tells whether did_not and cancel_on end timers in this shape, in phase (2) of semantics 2.4.
func cancelling(c *campaign.Campaign) bool {
	s := c.Trigger.Shape
	return s == campaign.Absence || s == campaign.Session || s == campaign.Date
}

// cancels is phase (2) of semantics 2.4 for one campaign.
func (r *run) cancels(c *campaign.Campaign, e *Event) {
	if !cancelling(c) || !anyMatches(c.Trigger.DidNot, e) {
		return
	}
	key, ok := keyOf(c, e)
	if !ok {
		r.skip("key_missing", firing{c: c, user: e.User, anchor: e.ID}, e.TS)
		return
	}
	ofThread := only(key)
	if c.Trigger.Shape == campaign.Date && c.Trigger.Key == "" {
		ofThread = all
	}
	for _, t := range r.pending(c, e.User, ofThread) {
		if t.anchorTS <= e.TS && e.TS <= t.d {
			r.drop(t)
			r.skip("cancelled", t.firing, e.TS)
			r.addCycle(t.firing, e.TS)
		}
	}
	r.lateCancels(c, e, ofThread)
}

// lateCancels tells of fires that the event would have prevented (semantics 2.10).
func (r *run) lateCancels(c *campaign.Campaign, e *Event, ofThread func(string) bool) {
	var late []*timer
	for _, s := range r.person(e.User).settled {
		within := s.anchorTS <= e.TS && e.TS <= s.d && r.clock-s.d <= r.opt.MaxEventAge
		if s.c == c && ofThread(s.key) && within && !s.told {
			s.told = true
			late = append(late, &timer{firing: s.firing, d: s.d})
		}
	}
	slices.SortStableFunc(late, byDeadline)
	for _, t := range late {
		r.skip("late_cancel", t.firing, e.TS)
	}
}

// starts is phase (3) of semantics 2.4 for one campaign: starts, set updates and session extensions.
func (r *run) starts(c *campaign.Campaign, e *Event) {
	if c.Trigger.Shape == campaign.Session {
		for _, t := range r.pending(c, e.User, all) {
			if e.TS <= t.d {
				t.d = max(t.d, e.TS+c.Trigger.Gap)
			}
		}
	}
	did, didNot := anyMatches(c.Trigger.Did, e), anyMatches(c.Trigger.DidNot, e)
	key, ok := keyOf(c, e)
	told := didNot && cancelling(c)
	if !ok && (did || didNot) && !told {
		r.skip("key_missing", firing{c: c, user: e.User, anchor: e.ID}, e.TS)
	}
	if !ok || !did {
		return
	}
	switch c.Trigger.Shape {
	case campaign.Single:
		r.single(c, e, key)
	case campaign.Set:
		r.set(c, e, key)
	case campaign.Absence:
		r.absence(c, e, key)
	case campaign.OnAction:
		r.onAction(c, e, key)
	case campaign.Session:
		r.session(c, e, key)
	case campaign.Date:
		r.date(c, e, key)
	}
}

// refusal is the first of the reasons that every start is checked for first: status, age, audience (semantics 2.4).
func (r *run) refusal(c *campaign.Campaign, e *Event) string {
	switch {
	case c.Status != campaign.Active:
		return string(c.Status)
	case e.RT-e.TS > r.opt.MaxEventAge:
		return "too_old"
	case c.WhoAt&campaign.AtTrigger != 0 && !r.audience(c, e.User, e.TS):
		return "who_at_trigger"
	}
	return ""
}

func (r *run) audience(c *campaign.Campaign, user string, now int64) bool {
	return c.Who.Match(r.person(user).value(), now)
}
