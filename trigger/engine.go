// Package trigger is the decision core: one Engine judges one partition. It is a function of campaigns, user records,
// events and the clock it is given; it reads no clock of its own, does no I/O, starts no goroutine and logs nothing.
package trigger

import (
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"vigil/campaign"
	"vigil/event"
)

// PartitionKey is the key of the record in which an Engine keeps what belongs to no user: the clock and the cursors of
// schedules. It is no valid UTF-8, so no user has it.
const PartitionKey = "\xffpartition"

// Options are the times of semantics 2, in ms, and the name of a backfill (2.9).
type Options struct {
	AllowedLateness int64
	MaxEventAge     int64
	MaxFireDelay    int64
	Run             string
	BareSkips       bool // skips are handed over without FireID, for those who only count them
}

// Engine decides for one partition. It has one caller at a time.
type Engine struct {
	cat   *campaign.Catalog
	opt   Options
	emit  func(*Decision)
	table table
	part  partition // the clock and the cursors
	saved partition // part at the last Commit
	stats Stats

	unstored bool   // the store lacks saved
	print    uint16 // of the record of PartitionKey that the store has
	known    known
	present  *Engine // the one that this is the past of; nil: none

	ev      *event.Event    // in hand; nil while the clock alone settles
	snap    *event.Snapshot // of ev, made when first needed
	matches []campaign.Match
	round   round
	batch   []settlement
	over    []settlement // of ended
	scratch scratch

	near    []uint32 // of Expect
	nearest int64    // means nothing; without it what Expect reads would not be read
	reader  event.Reader
	out     Decision
}

// New makes an engine without any state. Every decision is handed to emit, in order, while Apply or Advance runs.
func New(cat *campaign.Catalog, opt Options, emit func(*Decision)) *Engine {
	e := &Engine{cat: cat, opt: opt, emit: emit, part: partition{clock: none, next: never}}
	e.table.prune = e.pruneUser
	e.saved = e.part.copy()
	return e
}

// Apply moves the clock to the event's rt, settles what that makes due, then processes the event (semantics 2.3, 2.4).
// It errs only where a user record cannot be read; the engine is then unusable.
func (e *Engine) Apply(ev *event.Event) error {
	e.table.park()
	if err := e.Advance(ev.RT); err != nil {
		return err
	}
	e.stats.Events++
	if ev.Skewed {
		e.stats.ClockSkew++
	}
	if !e.cat.Named(ev.Type) && !e.cat.HasSession() {
		return nil
	}
	u, err := e.table.touch(e.table.id(ev.User))
	if err != nil {
		return err
	}
	if e.present != nil {
		if err := e.inherit(u); err != nil {
			return err
		}
	}
	e.ev, e.snap = ev, nil
	e.take(u)
	e.ev = nil
	return nil
}

// take is one event, in the order of semantics 2.4.
func (e *Engine) take(u *user) {
	ev := e.ev
	if u.erased >= ev.TS {
		e.stats.Ignored++
		return
	}
	if e.wasSeen(u, xxhash.Sum64String(ev.ID)) {
		e.tell(&Decision{Reason: Duplicate, User: u.name, AnchorID: ev.ID, At: ev.TS})
		return
	}
	u.changed = true
	switch ev.Type {
	case event.TypeErase:
		e.erase(u)
	case event.TypeProfile:
		e.mergeProfile(u)
	default:
		e.matches = e.cat.Match(ev, e.matches[:0])
		e.cancels(u)
		e.starts(u)
	}
	e.table.retime(u)
}

// mergeProfile applies a $profile event; one that would make the profile larger than any event is left out.
func (e *Engine) mergeProfile(u *user) {
	merged := event.MergeProfile(u.profile, e.ev.Props.Get("set"), e.ev.Props.Get("unset"))
	if len(merged) > event.MaxValueBytes {
		e.stats.HistoryTruncated++
		return
	}
	u.profile = merged
}

// erase forgets the user and remembers that (2.6).
func (e *Engine) erase(u *user) {
	for _, s := range u.sections {
		var pending []settlement
		for _, t := range s.threads {
			for _, tm := range t.timers {
				pending = append(pending, settlement{s: s, t: t, tm: tm})
			}
		}
		slices.SortFunc(pending, settlement.compare)
		for _, p := range pending {
			e.skip(e.campaign(s.id), start{u: u, s: s, t: p.t, anchor: p.tm.anchorID(), slot: p.tm.slot}, Erased, e.ev.TS)
		}
	}
	u.reset()
	u.erased, u.changed = e.ev.TS, true
}

// cancels is phase 2: did_not and cancel_on, in every campaign.
func (e *Engine) cancels(u *user) {
	for i := range e.matches {
		m := &e.matches[i]
		c := e.cat.At(m.Index)
		shape := c.Trigger.Shape
		if !m.DidNot || shape != campaign.Absence && shape != campaign.Session && shape != campaign.Date {
			continue
		}
		key, ok := e.key(c)
		if !ok {
			e.skip(c, start{u: u, anchor: e.ev.ID}, KeyMissing, e.ev.TS)
			m.Did, m.DidNot = 0, false
			continue
		}
		if shape == campaign.Date {
			e.cancelDates(u, c, key)
			continue
		}
		if s := u.find(c.ID); s != nil {
			if t := s.find(key); t != nil {
				e.cancel(u, s, []*thread{t}, func(t0, due int64) bool { return t0 <= e.ev.TS && e.ev.TS <= due })
			}
		}
	}
}

// starts is phase 3: session extensions, starts and set updates.
func (e *Engine) starts(u *user) {
	if e.cat.HasSession() {
		u.newest = max(u.newest, e.ev.TS)
		e.extendSessions(u)
	}
	for _, m := range e.matches {
		if m.Did == 0 && !m.DidNot {
			continue
		}
		c := e.cat.At(m.Index)
		key, ok := e.key(c)
		switch {
		case !ok:
			e.skip(c, start{u: u, anchor: e.ev.ID}, KeyMissing, e.ev.TS)
			continue
		case c.Trigger.Shape == campaign.Date && m.Did == 0:
			e.rememberCancel(u, c, key)
			continue
		}
		s := u.section(c)
		st := start{u: u, c: c, s: s, t: s.thread(key), anchor: e.ev.ID}
		e.prune(st.t, c)
		switch c.Trigger.Shape {
		case campaign.Single:
			e.single(st)
		case campaign.Set:
			e.set(st, m)
		case campaign.Absence:
			e.absence(st, m)
		case campaign.OnAction:
			e.onAction(st, m)
		case campaign.Session:
			e.session(st, m)
		case campaign.Date:
			e.date(st)
			if m.DidNot {
				e.rememberCancel(u, c, key)
			}
		case campaign.Schedule:
			e.keep(st, m)
		}
	}
}

// key is the thread that the event in hand belongs to (2.7).
func (e *Engine) key(c *campaign.Campaign) (string, bool) {
	switch {
	case c.Trigger.Key != "":
		return e.ev.Props.Get(c.Trigger.Key).KeyText()
	case c.Trigger.Shape == campaign.Date:
		return strings.Clone(e.ev.ID), true
	default:
		return "", true
	}
}

// snapshot is the event in hand as it is kept.
func (e *Engine) snapshot() *event.Snapshot {
	if e.snap == nil {
		e.snap = e.scratch.snapshot(e.ev)
	}
	return e.snap
}

func (e *Engine) campaign(id string) *campaign.Campaign {
	if i := e.cat.Find(id); i >= 0 {
		return e.cat.At(i)
	}
	return nil
}

// ReplaceProfile is a record of a profiles topic: it moves the clock to rt as Apply does and makes profile, a JSON
// object, the user's whole profile; nil unsets all.
func (e *Engine) ReplaceProfile(name string, rt int64, profile []byte) error {
	if err := e.Advance(rt); err != nil {
		return err
	}
	u, err := e.table.touch(e.table.id(name))
	if err != nil {
		return err
	}
	if profile == nil {
		profile = []byte("{}")
	}
	u.profile, u.changed = slices.Clone(profile), true
	e.table.retime(u)
	return nil
}

// Clock is the partition's clock in ms; math.MinInt64 before the first record.
func (e *Engine) Clock() int64 { return e.part.clock }

// NextDeadline is the smallest D of a pending timer; false where none is pending. Instants of 3.7 and timers held by a
// paused campaign do not count.
func (e *Engine) NextDeadline() (int64, bool) {
	due := e.table.earliest()
	return due, due != never
}

// NextDue is the smallest clock at which Advance would settle something, instants of 3.7 included; math.MaxInt64 where
// there is nothing.
func (e *Engine) NextDue() int64 {
	due := e.earliest()
	if due > never-e.opt.AllowedLateness-1 {
		return never
	}
	return due + e.opt.AllowedLateness + 1
}

// SetCatalog goes by other campaigns from the present clock on (semantics 2.10); Adopt follows. Timers that a campaign no longer holds
// settle with the next move of the clock.
func (e *Engine) SetCatalog(cat *campaign.Catalog) error {
	e.closeRound()
	e.cat = cat
	e.resetCursors()
	for i := range e.table.slots {
		if e.table.slots[i].flags&flagHeld == 0 {
			continue
		}
		e.table.park()
		u, err := e.table.touch(uint32(i))
		if err != nil {
			return err
		}
		u.eachTimer(func(s *section, _ *thread, tm *timer) {
			if c := e.campaign(s.id); tm.held && (c == nil || c.Status != campaign.Paused) {
				tm.held, tm.resumed, u.changed = false, true, true
			}
		})
		e.table.retime(u)
	}
	return nil
}

// SetOptions makes later decisions go by other times, as an engine made with them would that loaded this one's records.
func (e *Engine) SetOptions(opt Options) { e.opt = opt }

// SetFetch says where evicted records are read from.
func (e *Engine) SetFetch(fetch func(key string) ([]byte, error)) { e.table.fetch = fetch }

// Load takes in one record of the changelog, before the first Apply: a user's, that of PartitionKey or of KnownKey. A nil
// record forgets the user. The bytes are copied.
func (e *Engine) Load(key string, record []byte) error {
	switch key {
	case PartitionKey:
	case KnownKey:
		return e.known.load(record)
	default:
		return e.table.load(key, record)
	}
	part, err := decodePartition(slices.Clone(record))
	if err != nil {
		return err
	}
	e.part, e.saved, e.unstored = part, part.copy(), true
	e.resetCursors()
	return nil
}

// Changes hands over every record changed since the last Commit or Rollback, that of PartitionKey last if the clock or
// a cursor moved; nil bytes for a record that is no more. The bytes never change afterwards. The order is that of the
// first touch.
func (e *Engine) Changes(yield func(key string, record []byte)) {
	e.table.changes(yield)
	if e.known.changed() {
		fresh := known{saved: e.known.ids}
		yield(KnownKey, fresh.encode())
	}
	if !e.part.equal(&e.saved) {
		yield(PartitionKey, e.part.encode())
	}
}

// Commit makes the changes since the last Commit permanent: Changes must have been called after the last Apply or
// Advance.
func (e *Engine) Commit() {
	e.table.commit()
	if !e.part.equal(&e.saved) {
		e.saved, e.unstored = e.part.copy(), true
	}
	e.known.commit()
}

// Rollback undoes all changes since the last Commit, the clock included.
func (e *Engine) Rollback() {
	e.table.rollback()
	e.closeRound()
	e.part = e.saved.copy()
	e.known.ids = e.known.saved
}

// Dirty is how many bytes the records changed since the last Commit have, but for the few users touched last.
func (e *Engine) Dirty() int64 { return e.table.dirty }

// Stats counts since New: what the rule book asks to be counted without a decision.
type Stats struct {
	Events           uint64 // applied
	ClockSkew        uint64 // 2.1
	Ignored          uint64 // before an erasure, 2.6
	HistoryTruncated uint64 // 2.11
	Users            int    // with a place in the table
	Timers           int    // users with a pending timer
	Bytes            int64  // of records held in memory
}

// Stats tells the counts so far.
func (e *Engine) Stats() Stats {
	s := e.stats
	s.HistoryTruncated += e.table.truncated
	s.Users, s.Timers, s.Bytes = len(e.table.slots), e.table.timers, e.table.records.Bytes()
	return s
}
