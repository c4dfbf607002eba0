package trigger

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"vigil/campaign"
	"vigil/event"
)

// partition is what belongs to no user.
type partition struct {
	clock   int64
	cursors []cursor // by id
	next    int64    // the smallest of them, or never
}

// cursor is the first instant of a schedule that is not evaluated yet.
type cursor struct {
	id    string
	next  int64
	after string // the last user visited for next; empty: none yet
}

func (p *partition) copy() partition {
	return partition{clock: p.clock, cursors: slices.Clone(p.cursors), next: p.next}
}

func (p *partition) equal(q *partition) bool {
	return p.clock == q.clock && slices.Equal(p.cursors, q.cursors)
}

func (p *partition) find(id string) *cursor {
	i, ok := slices.BinarySearchFunc(p.cursors, id, func(c cursor, id string) int { return strings.Compare(c.id, id) })
	if !ok {
		return nil
	}
	return &p.cursors[i]
}

func (p *partition) encode() []byte {
	b := binary.AppendVarint([]byte{recordVersion}, p.clock)
	b = binary.AppendUvarint(b, uint64(len(p.cursors)))
	for _, c := range p.cursors {
		b = binary.AppendUvarint(b, uint64(len(c.id)))
		b = append(b, c.id...)
		b = binary.AppendVarint(b, c.next)
	}
	for i, c := range p.cursors {
		if c.after != "" { // an evaluation that is under way
			b = binary.AppendUvarint(b, uint64(i))
			b = binary.AppendUvarint(b, uint64(len(c.after)))
			b = append(b, c.after...)
		}
	}
	return b
}

func decodePartition(record []byte) (partition, error) {
	r := reader{b: record}
	if v := r.byte(); r.err == nil && v != recordVersion {
		return partition{}, newer(v)
	}
	p := partition{clock: r.time(), next: never}
	for range r.length(2) {
		r.last = 0
		p.cursors = append(p.cursors, cursor{id: r.text(r.length(1)), next: r.time()})
	}
	for len(r.b) > 0 {
		i, after := r.uint(), r.text(r.length(1))
		if i >= uint64(len(p.cursors)) {
			return partition{}, errRecord
		}
		p.cursors[i].after = after
	}
	p.seek()
	return p, r.err
}

// resetCursors gives every schedule of the catalog a cursor: the one it has, or else the first instant that is
// not before the clock (3.7): the allowed lateness has no say in it. Those of other campaigns go.
func (e *Engine) resetCursors() {
	if e.part.clock == none {
		return
	}
	var cursors []cursor
	for _, i := range e.cat.Schedules() {
		c := e.cat.At(i)
		cur := cursor{id: c.ID, next: c.Trigger.Cron.Next(e.part.clock - 1)}
		if old := e.part.find(c.ID); old != nil && old.next != never && c.Trigger.Cron.Next(old.next-1) == old.next {
			cur.next, cur.after = old.next, old.after
		}
		cursors = append(cursors, cur)
	}
	e.part.cursors = cursors
	e.part.seek()
}

func (p *partition) seek() {
	p.next = never
	for _, c := range p.cursors {
		p.next = min(p.next, c.next)
	}
}

// keep remembers an event for the instants to come (3.7).
func (e *Engine) keep(st start, m campaign.Match) {
	ev := e.scratch.bare(e.ev)
	if m.Did != 0 {
		ev = e.snapshot()
	}
	e.insertMark(st.t, mark{ev: ev, did: m.Did, not: m.DidNot})
	e.prune(st.t, st.c)
}

// concerns tells whether the instant leaves a decision for u: it is in the audience and some thread's did is filled.
func (e *Engine) concerns(c *campaign.Campaign, u *user, at int64) bool {
	if c.WhoAt&campaign.AtTrigger != 0 && !e.who(c, u, at) {
		return false
	}
	if len(c.Trigger.Did) == 0 {
		return u.profile != nil
	}
	s := u.find(c.ID)
	if s == nil || s.print != c.Trigger.Print {
		return false
	}
	return slices.ContainsFunc(s.threads, func(t *thread) bool { return filled(&c.Trigger, window(c, t, at)) })
}

func (e *Engine) evaluate(c *campaign.Campaign, u *user, at int64) {
	u.changed = true
	s := u.section(c)
	if len(c.Trigger.Did) == 0 {
		s.thread("")
	}
	for _, t := range s.threads {
		marks := window(c, t, at)
		if !filled(&c.Trigger, marks) {
			continue
		}
		st := start{u: u, c: c, s: s, t: t, slot: strconv.FormatInt(at, 10)}
		newest := -1
		for i, m := range marks {
			if m.did != 0 {
				newest = i
			}
		}
		var anchor *event.Snapshot
		if newest >= 0 {
			anchor = marks[newest].ev
			st.anchor = anchor.ID
		}
		if notDone(&c.Trigger, marks, newest) {
			e.judge(st, firing{at: at, anchor: anchor})
		} else {
			e.skip(c, st, AlreadyDone, at)
		}
	}
}

// window is what a thread keeps of (T - lookback, T], from the campaign's start on.
func window(c *campaign.Campaign, t *thread, at int64) []mark {
	after := func(ts int64) bool { return ts > at-c.Trigger.Lookback && ts >= c.Starts }
	i := slices.IndexFunc(t.kept, func(m mark) bool { return after(m.ev.TS) })
	if i < 0 {
		return nil
	}
	j := len(t.kept)
	for j > i && t.kept[j-1].ev.TS > at {
		j--
	}
	return t.kept[i:j]
}

// filled tells whether distinct events fill every did slot.
func filled(tr *campaign.Trigger, marks []mark) bool {
	return enough(tr, marks) && (len(tr.Did) < 2 || assign(tr, marks, -1) != nil)
}

// notDone tells whether no did_not event speaks against the fire; with after_action only those at or after the newest
// did count, itself apart.
func notDone(tr *campaign.Trigger, marks []mark, newest int) bool {
	for i, m := range marks {
		if !m.not {
			continue
		}
		if !tr.AfterAction || i != newest && m.ev.TS >= marks[newest].ev.TS {
			return false
		}
	}
	return true
}
