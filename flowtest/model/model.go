// Package model judges a whole history of one partition by the letter of the rule book (semantics.md): it keeps every
// event for ever, searches by scanning and sorts on every step. It is the yardstick of the engine in tests, written
// without a look at it, and is never part of a program.
package model

import (
	"cmp"
	"math"
	"slices"
	"time"

	"vigil/campaign"
)

// Decision is one line of `vigil simulate` (semantics 5).
type Decision struct {
	Decision string `json:"decision"`
	Reason   string `json:"reason"`
	Campaign string `json:"campaign"`
	User     string `json:"user"`
	Key      string `json:"key"`
	Anchor   string `json:"anchor"`
	Slot     string `json:"slot"`
	At       int64  `json:"at"`
	FireID   string `json:"fire_id"`
	LateBy   int64  `json:"late_by_ms"`
}

// Options are the times of semantics 2, in ms, and the schedules, which a compiled campaign does not show.
type Options struct {
	AllowedLateness int64
	MaxEventAge     int64
	MaxFireDelay    int64
	Crons           map[string]Cron // by campaign id
}

// Cron is a schedule as it is written (semantics 3.7).
type Cron struct {
	Expr string
	Zone *time.Location
}

// Until says where the clock goes after the last record (semantics 5): nowhere, to an instant, or through all timers.
type Until struct {
	Drain bool
	To    int64 // ms; 0: nowhere
}

// Run is every decision about the events, in the order decided.
func Run(campaigns []*campaign.Campaign, opt Options, events []*Event, until Until) []Decision {
	r := &run{
		opt: opt, clock: math.MinInt64, people: map[string]*person{}, next: map[string]int64{},
		zones: map[string]*time.Location{}, instants: map[string][]int64{},
		campaigns: slices.SortedFunc(slices.Values(campaigns), func(a, b *campaign.Campaign) int { return cmp.Compare(a.ID, b.ID) }),
	}
	for _, e := range events {
		r.record(e)
	}
	if until.To != 0 {
		r.advance(until.To)
	}
	for until.Drain && len(r.timers) > 0 {
		r.advance(slices.MinFunc(r.timers, byDeadline).d + opt.AllowedLateness + 1)
	}
	return r.out
}

// run is a history being judged.
type run struct {
	campaigns []*campaign.Campaign // in the order of ids
	opt       Options
	clock     int64
	people    map[string]*person
	timers    []*timer
	next      map[string]int64 // the next instant of each scheduled campaign
	current   *Event           // the record being processed; nil while the clock settles
	out       []Decision

	zones    map[string]*time.Location // read so far, nil for a name of none
	instants map[string][]int64        // of schedules, by campaign and local date
}

// firing names what may fire: one identity of semantics 2.9.
type firing struct {
	c         *campaign.Campaign
	user, key string
	anchor    string
	anchorTS  int64 // t0; MaxInt64 where there is no anchor
	slot      string
	fireID    string
}

// timer is a pending decision.
type timer struct {
	firing
	d        int64
	deferred bool // by quiet hours: only an erasure ends it
}

// person is all that is known of a user.
type person struct {
	erased   int64 // ts of the erasure
	profile  *profile
	seen     []sighting
	newest   int64     // ts of any event
	history  []*Event  // in arrival order
	consumed []use     // by sets
	counts   []*thread // matches of a step with a count
	spent    []*thread // `first`
	cycles   []*cycle
	dates    []*thread // n is the newest date event's ts
	decided  []slotDecided
	fires    []fired
	settled  []*settledTimer
}

type sighting struct {
	id string
	rt int64
}

// use says that an event was consumed by a set of a campaign.
type use struct {
	campaign string
	event    *Event
}

// thread is a number kept for a thread.
type thread struct {
	campaign, key string
	n             int64
}

// cycle is the last cycle of a thread (semantics 2.11).
type cycle struct {
	campaign, key string
	t0, end       int64
}

type slotDecided struct {
	fireID string
	clock  int64
}

type fired struct {
	campaign string
	at       int64
}

// settledTimer is a timer that fired, for late_cancel.
type settledTimer struct {
	firing
	d    int64
	told bool
}

func nobody(erased int64) *person { return &person{erased: erased, newest: math.MinInt64} }

func (r *run) person(user string) *person {
	if r.people[user] == nil {
		r.people[user] = nobody(math.MinInt64)
	}
	return r.people[user]
}

// byDeadline is the order of semantics 2.3.
func byDeadline(a, b *timer) int {
	return cmp.Or(cmp.Compare(a.d, b.d), cmp.Compare(a.c.ID, b.c.ID), cmp.Compare(a.user, b.user),
		cmp.Compare(a.key, b.key), cmp.Compare(a.anchor, b.anchor), cmp.Compare(a.slot, b.slot))
}

// advance moves the clock in steps and settles what each step makes due.
func (r *run) advance(target int64) {
	for {
		at, settle := r.firstDue(target)
		if settle == nil {
			break
		}
		r.clock = max(r.clock, at+r.opt.AllowedLateness+1)
		settle()
	}
	r.clock = max(r.clock, target)
}

// firstDue finds the timer or instant that is next in order and due once the clock stands at target.
func (r *run) firstDue(target int64) (int64, func()) {
	due := func(d int64) bool { return target > d+r.opt.AllowedLateness }
	var instant *campaign.Campaign // campaigns are in order, so the first of equal instants wins
	for _, c := range r.campaigns {
		if t, ok := r.next[c.ID]; ok && due(t) && (instant == nil || t < r.next[instant.ID]) {
			instant = c
		}
	}
	var first *timer
	for _, t := range r.timers {
		if due(t.d) && (first == nil || byDeadline(t, first) < 0) {
			first = t
		}
	}
	if instant != nil {
		t := r.next[instant.ID]
		if first == nil || t < first.d || t == first.d && instant.ID <= first.c.ID {
			return t, func() { r.evaluate(instant, t) }
		}
	}
	if first == nil {
		return 0, nil
	}
	return first.d, func() { r.settle(first) }
}

// settle decides a timer that is due.
func (r *run) settle(t *timer) {
	r.drop(t)
	if !t.deferred {
		r.addCycle(t.firing, t.d)
		if r.decidedBefore(t.firing) { // a lapsed timer of the same slot was first
			r.skip("duplicate_fire", t.firing, t.d)
			return
		}
	}
	r.gates(t.firing, t.d, t.deferred)
}

func (r *run) drop(t *timer) {
	r.timers = slices.DeleteFunc(r.timers, func(o *timer) bool { return o == t })
}

// pending are the timers of a thread that events can touch, in order.
func (r *run) pending(c *campaign.Campaign, user string, ofThread func(key string) bool) []*timer {
	var found []*timer
	for _, t := range r.timers {
		if t.c == c && t.user == user && !t.deferred && ofThread(t.key) {
			found = append(found, t)
		}
	}
	slices.SortFunc(found, byDeadline)
	return found
}

func only(key string) func(string) bool { return func(k string) bool { return k == key } }

func all(string) bool { return true }

// skip records a decision that is no fire; at and late_by follow semantics 2.8 and 5.
func (r *run) skip(reason string, f firing, at int64) {
	r.decide("skip", reason, f, at)
}

func (r *run) decide(decision, reason string, f firing, at int64) {
	d := Decision{
		Decision: decision, Reason: reason, User: f.user, Key: f.key, Anchor: f.anchor, Slot: f.slot, At: at, FireID: f.fireID,
	}
	if f.c != nil {
		d.Campaign = f.c.ID
	}
	if r.current != nil {
		d.LateBy = max(0, r.current.RT-at)
	}
	r.out = append(r.out, d)
}
