package trigger

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"time"

	"vigil/campaign"
	"vigil/event"
)

// Slots of the types that have a fixed one (semantics 3).
const (
	slotDelay    = "delay"
	slotInaction = "inaction"
	slotSession  = "session"
)

const minute = 60 * 1000

// start is what a decision is about: an event that starts, or once started, a firing of a thread.
type start struct {
	u      *user
	c      *campaign.Campaign
	s      *section
	t      *thread
	anchor string
	slot   string
}

// firing is a start at the moment of its fire.
type firing struct {
	at       int64 // logical time of the fire, ms
	t0       int64 // of the timer
	anchor   *event.Snapshot
	events   []*event.Snapshot
	timed    bool // a late cancel may find it (2.10)
	deferred bool // the gates were asked before
}

// tell hands a decision over, with what its moment adds: how late the data made it (2.8).
func (e *Engine) tell(d *Decision) {
	if e.ev != nil {
		d.LateBy = max(0, e.ev.RT-d.At)
	}
	e.out = *d
	e.emit(&e.out)
}

func (e *Engine) skip(c *campaign.Campaign, st start, reason Reason, at int64) {
	id := ""
	switch {
	case c != nil:
		id = c.ID
	case st.s != nil:
		id = st.s.id
	}
	d := Decision{Reason: reason, CampaignID: id, Campaign: c, User: st.u.name, AnchorID: st.anchor, Slot: st.slot, At: at}
	if st.t != nil {
		d.Key = st.t.key
		if !e.opt.BareSkips {
			d.FireID = e.fireID(id, c, st)
		}
	}
	e.tell(&d)
}

// fireID is 2.9; in 3.5 the anchor is left out.
func (e *Engine) fireID(id string, c *campaign.Campaign, st start) string {
	anchor := st.anchor
	if ofDate(st.slot) || st.slot == "" && c != nil && c.Trigger.Shape == campaign.Date {
		anchor = ""
	}
	return FireID(id, e.opt.Run, st.u.name, st.t.key, anchor, st.slot)
}

// ofDate tells whether a slot is one of 3.5. Only the slot says so: the trigger may be another one since its start.
func ofDate(slot string) bool { return strings.Contains(slot, "@") }

// refused asks what every start is asked first (2.4); it is empty where the start stands.
func (e *Engine) refused(st start) Reason {
	switch st.c.Status {
	case campaign.Paused:
		return IsPaused
	case campaign.Draining:
		return IsDraining
	case campaign.Stopped:
		return IsStopped
	}
	if e.ev.RT-e.ev.TS > e.opt.MaxEventAge {
		return TooOld
	}
	if st.c.WhoAt&campaign.AtTrigger != 0 && !e.who(st.c, st.u, e.ev.TS) {
		return WhoAtTrigger
	}
	return ""
}

func (e *Engine) who(c *campaign.Campaign, u *user, now int64) bool {
	return c.Who == nil || c.Who.Match(e.profile(u), now)
}

func (e *Engine) profile(u *user) event.Value {
	if u.profile == nil {
		return e.reader.Parse([]byte("{}"))
	}
	return e.reader.Parse(u.profile)
}

// judge asks the gates (2.8) and decides: a fire, or a skip that consumes the start.
func (e *Engine) judge(st start, f firing) {
	c := st.c
	if ofDate(st.slot) && !f.deferred {
		e.prune(st.t, c)
		if st.t.wasDecided(st.slot) { // by a lapsed timer of the same slot
			e.skip(c, st, DuplicateFire, f.at)
			return
		}
		st.t.decided = append(st.t.decided, decidedSlot{st.slot, e.part.clock})
	}
	st.u.changed = true
	reason := e.gate(st, f)
	switch {
	case reason == "":
		e.fire(st, f)
	case reason == Quiet && c.Quiet.Defer:
		e.deferFire(st, f)
	default:
		e.skip(c, st, reason, f.at)
	}
}

// gate is the first gate that stops the fire, or empty.
func (e *Engine) gate(st start, f firing) Reason {
	c := st.c
	switch {
	case f.at >= c.Ends:
		return Ended
	case f.at < c.Starts || f.anchor != nil && f.anchor.TS < c.Starts:
		return NotStarted
	case c.WhoAt&campaign.AtFire != 0 && !e.who(c, st.u, f.at):
		return WhoAtFire
	case heldOut(c, st.u.name):
		return Control
	}
	if c.Limits.Gap > 0 || c.Limits.Count > 0 {
		e.pruneFires(st.s, c)
		if n := len(st.s.fires); c.Limits.Gap > 0 && n > 0 && f.at < st.s.fires[n-1]+c.Limits.Gap {
			return Gap
		}
		recent := 0
		for _, at := range st.s.fires {
			if at > f.at-c.Limits.Per {
				recent++
			}
		}
		if c.Limits.Count > 0 && recent >= c.Limits.Count {
			return Cap
		}
	}
	if c.Quiet != nil && quietAt(c.Quiet, f.at, e.quietZone(c, st.u)) {
		return Quiet
	}
	return ""
}

func (e *Engine) fire(st start, f firing) {
	c := st.c
	if c.Limits.Gap > 0 || c.Limits.Count > 0 {
		st.s.fires = append(st.s.fires, f.at)
	}
	if f.timed && len(c.Trigger.DidNot) > 0 {
		st.t.fired = append(st.t.fired, firedTimer{f.t0, f.at, st.anchor, st.slot})
	}
	profile := st.u.profile
	if profile == nil {
		profile = []byte("{}")
	}
	e.tell(&Decision{
		Fire: true, CampaignID: c.ID, Campaign: c, User: st.u.name, Key: st.t.key, AnchorID: st.anchor, Slot: st.slot,
		At: f.at, FireID: e.fireID(c.ID, c, st), Anchor: f.anchor, Events: f.events, Profile: profile,
	})
}

// deferFire puts a fire off to the first whole minute outside the quiet hours, or judges it again where that is past.
func (e *Engine) deferFire(st start, f firing) {
	e.skip(st.c, st, Deferred, f.at)
	zone := e.quietZone(st.c, st.u)
	due := (floorDiv(f.at, minute) + 1) * minute
	for quietAt(st.c.Quiet, due, zone) {
		due += minute
	}
	if e.part.clock <= due+e.opt.AllowedLateness {
		e.pend(st, &timer{due: due, t0: f.t0, anchor: f.anchor, events: f.events, slot: st.slot, deferred: true})
		return
	}
	f.at, f.timed, f.deferred = due, false, true
	e.judge(st, f)
}

func (e *Engine) quietZone(c *campaign.Campaign, u *user) *time.Location {
	if c.Quiet.ZonePath != "" {
		if zone, ok := campaign.Zone(e.profile(u).Get(c.Quiet.ZonePath).Text()); ok {
			return zone
		}
	}
	return c.Quiet.Zone
}

func quietAt(q *campaign.QuietHours, at int64, zone *time.Location) bool {
	_, offset := time.UnixMilli(at).In(zone).Zone()
	local := int(floorMod(at+int64(offset)*1000, day))
	if q.From < q.To {
		return q.From <= local && local < q.To
	}
	return local >= q.From || local < q.To
}

// heldOut tells whether the user is in the control group (2.8).
func heldOut(c *campaign.Campaign, user string) bool {
	if c.Control == 0 {
		return false
	}
	sum := sha256.Sum256([]byte(c.ID + "\x1f" + user))
	return binary.BigEndian.Uint64(sum[:8])%10_000 < uint64(c.Control)
}

func floorDiv(a, b int64) int64 { return (a - floorMod(a, b)) / b }
func floorMod(a, b int64) int64 { return ((a % b) + b) % b }

// expired tells whether something that is remembered while the clock is at most ts + span is no longer.
func (e *Engine) expired(ts, span int64) bool {
	return ts != none && (ts > math.MaxInt64-span || e.part.clock > ts+span)
}

func (e *Engine) pruneFires(s *section, c *campaign.Campaign) {
	span := max(c.Limits.Gap, c.Limits.Per) + max(e.opt.MaxEventAge, e.opt.MaxFireDelay)
	s.fires = slices.DeleteFunc(s.fires, func(at int64) bool { return e.expired(at, span) })
}
