package trigger

import (
	"math"
	"slices"
	"strings"

	"vigil/campaign"
	"vigil/event"
)

// Limits and spans of semantics 2.11, spans in ms.
const (
	maxSeen     = 10_000
	maxKept     = 1_000
	maxPending  = 100
	day         = 24 * 60 * 60 * 1000
	decidedSpan = 7 * day
	seenSlack   = 60 * 60 * 1000 // how far rt may run backwards before an id of 24 h ago is forgotten early
	none        = math.MinInt64
	never       = math.MaxInt64
)

// user is the record of one user, decoded. It aliases the bytes that it was decoded from.
type user struct {
	name     string
	slot     uint32
	erased   int64 // ts of the erasure, or none
	newest   int64 // newest ts of any event, or none (3.4 session_end)
	profile  []byte
	seen     []seenID
	seenAt   map[uint64]int // seenFrom + index into seen; made once it is long
	seenFrom int
	unsorted bool // seen is not ascending by rt
	sections []*section
	events   []event.Snapshot // those that came with the record; others are on their own
	changed  bool             // since the last Commit
}

type seenID struct {
	hash uint64
	rt   int64 // of the first sight
}

// section is what a campaign remembers of a user.
type section struct {
	id       string
	print    uint32  // of the trigger that the history of the threads belongs to
	fires    []int64 // their `at`, in the order decided; for gap and max
	cancelTS int64   // newest cancel_on of a campaign without key, or none
	threads  []*thread
}

// thread is one (campaign, user, key value).
type thread struct {
	key      string
	spent    bool
	count    uint64
	kept     []mark  // by (ts, arrival): 3.2, 3.7
	dones    []int64 // ts of the did_not events, ascending: 3.3, 3.4
	cycleT0  int64   // of the last cycle, or none
	cycleEnd int64
	dateTS   int64 // newest date event, or none
	cancelTS int64 // newest cancel_on, or none
	decided  []decidedSlot
	fired    []firedTimer
	timers   []*timer
}

// mark is an event kept because it matched steps.
type mark struct {
	ev  *event.Snapshot
	did uint16 // bit i: matches Did[i]
	not bool   // matches did_not
}

type decidedSlot struct {
	slot  string
	clock int64
}

type firedTimer struct {
	t0, due      int64
	anchor, slot string
}

// timer is a pending decision.
type timer struct {
	due, t0  int64
	anchor   *event.Snapshot // nil: none
	events   []*event.Snapshot
	slot     string
	rev      uint32 // the campaign's edition at the start
	deferred bool   // a fire put off by quiet hours
	held     bool   // due while the campaign was paused
	resumed  bool   // was held, and the campaign is no longer paused
}

func (t *timer) anchorID() string {
	if t.anchor == nil {
		return ""
	}
	return t.anchor.ID
}

// next appends an element to s, taking one left over from before if there is one. The element is as it was left.
func next[T any](s *[]*T) *T {
	if n := len(*s); n < cap(*s) {
		*s = (*s)[:n+1]
		if p := (*s)[n]; p != nil {
			return p
		}
		(*s)[n] = new(T)
		return (*s)[n]
	}
	*s = append(*s, new(T))
	return (*s)[len(*s)-1]
}

// insert is next at position i.
func insert[T any](s *[]*T, i int) *T {
	p := next(s)
	copy((*s)[i+1:], (*s)[i:len(*s)-1])
	(*s)[i] = p
	return p
}

func (u *user) reset() {
	*u = user{
		name: u.name, slot: u.slot, erased: none, newest: none,
		seen: u.seen[:0], sections: u.sections[:0], events: u.events[:0],
	}
}

func (s *section) reset(id string, print uint32) {
	*s = section{id: id, print: print, fires: s.fires[:0], cancelTS: none, threads: s.threads[:0]}
}

func (t *thread) reset(key string) {
	*t = thread{
		key: key, kept: t.kept[:0], dones: t.dones[:0], cycleT0: none, cycleEnd: none, dateTS: none, cancelTS: none,
		decided: t.decided[:0], fired: t.fired[:0], timers: t.timers[:0],
	}
}

func (u *user) find(id string) *section {
	i, ok := slices.BinarySearchFunc(u.sections, id, func(s *section, id string) int { return strings.Compare(s.id, id) })
	if !ok {
		return nil
	}
	return u.sections[i]
}

// section is what c remembers of u. History of another trigger than c's present one is forgotten here, timers and
// what is spent are not.
func (u *user) section(c *campaign.Campaign) *section {
	i, ok := slices.BinarySearchFunc(u.sections, c.ID, func(s *section, id string) int { return strings.Compare(s.id, id) })
	if !ok {
		s := insert(&u.sections, i)
		s.reset(c.ID, c.Trigger.Print)
		return s
	}
	s := u.sections[i]
	if s.print != c.Trigger.Print {
		s.print = c.Trigger.Print
		s.cancelTS = none
		for _, t := range s.threads {
			t.kept, t.dones, t.count = t.kept[:0], t.dones[:0], 0
			t.cycleT0, t.cycleEnd, t.dateTS, t.cancelTS = none, none, none, none
		}
	}
	return s
}

func (s *section) find(key string) *thread {
	i, ok := slices.BinarySearchFunc(s.threads, key, func(t *thread, key string) int { return strings.Compare(t.key, key) })
	if !ok {
		return nil
	}
	return s.threads[i]
}

func (s *section) thread(key string) *thread {
	i, ok := slices.BinarySearchFunc(s.threads, key, func(t *thread, key string) int { return strings.Compare(t.key, key) })
	if ok {
		return s.threads[i]
	}
	t := insert(&s.threads, i)
	t.reset(key)
	return t
}

func (t *thread) remove(tm *timer) {
	i := slices.Index(t.timers, tm)
	t.timers = slices.Delete(t.timers, i, i+1)
}

// pending counts the timers that no quiet hours put off.
func (t *thread) pending() int {
	n := 0
	for _, tm := range t.timers {
		if !tm.deferred {
			n++
		}
	}
	return n
}

// closeCycle remembers that a start at t0 came to its end (2.11, the last cycle).
func (t *thread) closeCycle(t0, end int64) {
	t.cycleT0, t.cycleEnd = max(t.cycleT0, t0), max(t.cycleEnd, end)
}

func (t *thread) empty() bool {
	return !t.spent && t.count == 0 && len(t.kept) == 0 && len(t.dones) == 0 && t.cycleT0 == none && t.dateTS == none &&
		t.cancelTS == none && len(t.decided) == 0 && len(t.fired) == 0 && len(t.timers) == 0
}

// header says when u must be visited next, and for what.
func (u *user) header() (flags byte, due int64) {
	due = never
	if u.profile != nil {
		flags |= flagProfile
	}
	for _, s := range u.sections {
		for _, t := range s.threads {
			if len(t.kept) > 0 {
				flags |= flagScheduled
			}
			held, next := t.header()
			due = min(due, next)
			if held {
				flags |= flagHeld
			}
		}
	}
	if due != never {
		flags |= flagDue
	}
	return flags, due
}

func (t *thread) header() (held bool, due int64) {
	due = never
	for _, tm := range t.timers {
		if tm.held {
			held = true
		} else {
			due = min(due, tm.due)
		}
	}
	return held, due
}

// eachTimer calls f for every timer of u.
func (u *user) eachTimer(f func(*section, *thread, *timer)) {
	for _, s := range u.sections {
		for _, t := range s.threads {
			for _, tm := range t.timers {
				f(s, t, tm)
			}
		}
	}
}

// wasSeen tells whether the id of the event in hand was first seen within 24 h before its rt; if not, it is from now on
// (2.2). Where rt runs backwards an id is forgotten once the clock is seenSlack past those 24 h.
func (e *Engine) wasSeen(u *user, hash uint64) bool {
	rt := e.ev.RT
	i := u.seenIndex(hash)
	if i >= 0 && rt-u.seen[i].rt <= day && !e.expired(u.seen[i].rt, day+seenSlack) {
		return true
	}
	if i >= 0 {
		u.forgetSeen(i)
	}
	if len(u.seen) >= maxSeen {
		u.forgetSeen(u.oldestSeen())
		e.stats.HistoryTruncated++
	}
	u.unsorted = u.unsorted || len(u.seen) > 0 && u.seen[len(u.seen)-1].rt > rt
	u.seen = append(u.seen, seenID{hash, rt})
	if u.seenAt != nil {
		u.seenAt[hash] = u.seenFrom + len(u.seen) - 1
	}
	return false
}

// forgetSeen drops the id at i; the first one, the usual case, without moving the others.
func (u *user) forgetSeen(i int) {
	if i > 0 {
		u.seen = slices.Delete(u.seen, i, i+1)
		u.seenAt = nil
		return
	}
	delete(u.seenAt, u.seen[0].hash)
	u.seen = u.seen[1:]
	u.seenFrom++
}

func (u *user) oldestSeen() int {
	oldest := 0
	if !u.unsorted {
		return oldest
	}
	for i, s := range u.seen {
		if s.rt < u.seen[oldest].rt {
			oldest = i
		}
	}
	return oldest
}

func (u *user) seenIndex(hash uint64) int {
	if len(u.seen) > 64 && u.seenAt == nil {
		u.seenAt, u.seenFrom = make(map[uint64]int, len(u.seen)), 0
		for i, s := range u.seen {
			u.seenAt[s.hash] = i
		}
	}
	if u.seenAt != nil {
		if i, ok := u.seenAt[hash]; ok {
			return i - u.seenFrom
		}
		return -1
	}
	return slices.IndexFunc(u.seen, func(s seenID) bool { return s.hash == hash })
}
