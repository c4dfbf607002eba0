package trigger

import (
	"cmp"
	"encoding/binary"
	"slices"
	"strings"

	"vigil/campaign"
)

// A round is all that has one deadline, settled in the order of semantics 2.3. It may last over several commits, for a
// million timers that are due at once are more than a transaction holds. Meanwhile the clock stands 1 ms past the
// deadline + allowed lateness, and whatever moves the clock next, in this process or in another that restored what was
// committed, ends the round before anything else: a round in pieces decides what one in one piece does.
type round struct {
	open     bool
	due      int64
	ids      []string // of the campaigns that members name
	indices  map[string]uint32
	members  []member // while gathering, as found; then in order
	gathered bool
	next     int // in members

	visiting   bool // population is of the instant in hand
	population []member
	visited    int
}

// member is the timers of one user and campaign that are due, or the instant of a campaign.
type member struct {
	campaign uint32 // index in ids; once sorted, the rank
	slot     uint32 // of the user; instantSlot: an instant
	prefix   uint64 // of the name, behind what all names have in common
}

const (
	instantSlot = 1<<32 - 1
	gatherSlice = 100_000 // users looked at in one call of Settle
	parkEvery   = 64
)

// Advance moves the clock, without a record, to the given instant if that is later, and settles what becomes due, one
// by one in the order of semantics 2.3. While something with deadline D settles the clock stands 1 ms past D +
// allowed lateness.
func (e *Engine) Advance(clock int64) error {
	for done := false; !done; {
		var err error
		if done, err = e.Settle(clock, func() bool { return false }); err != nil {
			return err
		}
	}
	return nil
}

// Settle is Advance in pieces: after each user whom it settled something of it asks whether that is enough. It tells
// whether all is settled and the clock has arrived; if not, a Commit may come between, and another Settle, Advance or
// Apply goes on where this one stopped.
func (e *Engine) Settle(clock int64, enough func() bool) (done bool, err error) {
	if e.part.clock == none {
		e.part.clock = clock
		e.resetCursors()
	}
	clock = max(clock, e.part.clock) // what a piece left behind is due at the clock that is reached already
	for {
		d := e.earliest()
		if d > never-e.opt.AllowedLateness-1 || clock <= d+e.opt.AllowedLateness {
			break
		}
		e.part.clock = max(e.part.clock, d+e.opt.AllowedLateness+1)
		if done, err := e.settleAt(d, enough); !done || err != nil {
			return false, err
		}
		e.table.park()
	}
	e.part.clock = clock
	return true, nil
}

// earliest is the smallest deadline of what is pending, or never.
func (e *Engine) earliest() int64 {
	if e.round.open {
		return e.round.due
	}
	return min(e.table.earliest(), e.part.next)
}

// settleAt settles what has the deadline d until there is no more or it is enough.
func (e *Engine) settleAt(d int64, enough func() bool) (done bool, err error) {
	r := &e.round
	if !r.open {
		e.openRound(d)
	}
	if !r.gathered {
		if err := e.gather(); err != nil || !r.gathered {
			return false, err
		}
	}
	for ; r.next < len(r.members); r.next++ {
		m, id := r.members[r.next], r.ids[r.members[r.next].campaign]
		switch {
		case m.slot == instantSlot:
			if done, err := e.instant(e.campaign(id), d, enough); !done || err != nil {
				return false, err
			}
			continue
		case r.next%parkEvery == parkEvery-1:
			e.table.park()
		}
		if err := e.settleUser(id, m.slot, d); err != nil {
			return false, err
		}
		if enough() {
			r.next++
			r.open = r.next < len(r.members)
			return false, nil
		}
	}
	r.open = false
	return true, nil
}

func (e *Engine) openRound(d int64) {
	r := &e.round
	clear(r.indices)
	*r = round{
		open: true, due: d, ids: r.ids[:0], indices: r.indices, members: r.members[:0], population: r.population[:0],
	}
	if cap(r.members) > gatherSlice {
		r.members, r.population = nil, nil // of a round that was a large one
	}
	for _, i := range e.cat.Schedules() {
		id := e.cat.At(i).ID
		if c := e.part.find(id); c != nil && c.next == d {
			r.members = append(r.members, member{campaign: r.campaign(id), slot: instantSlot})
		}
	}
}

// closeRound gives up a round: what it has not settled is found anew.
func (e *Engine) closeRound() {
	r := &e.round
	if !r.open {
		return
	}
	r.open = false
	for _, m := range r.members {
		if m.slot != instantSlot {
			e.table.setDue(m.slot, e.table.slots[m.slot].due)
		}
	}
}

// gather takes those users off the heap of whom something has the round's deadline, and sorts once it has all.
func (e *Engine) gather() error {
	r, t := &e.round, &e.table
	for range gatherSlice {
		if t.earliest() != r.due {
			r.gathered = true
			r.sort(t)
			return nil
		}
		i := t.heap[0].slot
		u, err := t.peek(i)
		if err != nil {
			return err
		}
		t.heap.pop()
		t.slots[i].heaped = never
		for _, s := range u.sections {
			if s.hasDue(r.due) {
				r.members = append(r.members, member{campaign: r.campaign(s.id), slot: i})
			}
		}
	}
	return nil
}

func (s *section) hasDue(d int64) bool {
	for _, t := range s.threads {
		for _, tm := range t.timers {
			if tm.due == d && !tm.held {
				return true
			}
		}
	}
	return false
}

// campaign is the index of an id.
func (r *round) campaign(id string) uint32 {
	i, ok := r.indices[id]
	if !ok {
		if r.indices == nil {
			r.indices = map[string]uint32{}
		}
		id, i = strings.Clone(id), uint32(len(r.ids))
		r.ids = append(r.ids, id)
		r.indices[id] = i
	}
	return i
}

// sort brings the members into the order (campaign, the instant first, user).
func (r *round) sort(t *table) {
	if len(r.members) < 2 {
		return
	}
	ids := slices.Clone(r.ids)
	slices.Sort(ids)
	rank := make([]uint32, len(ids))
	for i, id := range r.ids {
		at, _ := slices.BinarySearch(ids, id)
		rank[i] = uint32(at)
	}
	for i := range r.members {
		r.members[i].campaign = rank[r.members[i].campaign]
	}
	r.ids = ids
	t.sort(r.members)
}

// sort orders members by campaign and name. Names are compared where they are only if their prefixes are equal, for
// they are spread over memory.
func (t *table) sort(members []member) {
	shared, first := 0, true
	var one string
	for _, m := range members {
		switch {
		case m.slot == instantSlot:
		case first:
			one, first = t.records.Name(m.slot), false
			shared = len(one)
		default:
			shared = sharedPrefix(one[:shared], t.records.Name(m.slot))
		}
	}
	for i := range members {
		if m := &members[i]; m.slot != instantSlot {
			var head [8]byte
			copy(head[:], t.records.Name(m.slot)[shared:])
			m.prefix = binary.BigEndian.Uint64(head[:])
		}
	}
	slices.SortFunc(members, func(a, b member) int {
		if c := cmp.Or(cmp.Compare(a.campaign, b.campaign), -cmp.Compare(a.slot/instantSlot, b.slot/instantSlot), cmp.Compare(a.prefix, b.prefix)); c != 0 {
			return c
		}
		if a.slot == b.slot {
			return 0
		}
		return strings.Compare(t.records.Name(a.slot), t.records.Name(b.slot))
	})
}

func sharedPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// settleUser settles the timers of one user and campaign with the deadline d.
func (e *Engine) settleUser(id string, slot uint32, d int64) error {
	u, err := e.table.touch(slot)
	if err != nil {
		return err
	}
	batch := e.batch[:0]
	u.eachTimer(func(s *section, t *thread, tm *timer) {
		if s.id == id && tm.due == d && !tm.held {
			batch = append(batch, settlement{u: u, s: s, t: t, tm: tm})
		}
	})
	slices.SortFunc(batch, settlement.compare)
	e.batch = batch
	u.changed = true
	for _, p := range batch {
		e.settle(p)
	}
	e.table.retime(u)
	return nil
}

// instant evaluates a schedule at T over its population, in the order (user, key), until it has visited all or it is
// enough.
func (e *Engine) instant(c *campaign.Campaign, at int64, enough func() bool) (done bool, err error) {
	r, cur := &e.round, e.part.find(c.ID)
	if !r.visiting && c.Status == campaign.Active {
		r.population, r.visited = e.populate(c, cur.after, r.population[:0]), 0
		r.visiting = true
	}
	for r.visiting && r.visited < len(r.population) {
		i := r.population[r.visited].slot
		if err := e.visit(c, i, at); err != nil {
			return false, err
		}
		if r.visited++; r.visited%parkEvery == 0 {
			e.table.park()
		}
		cur.after = e.table.records.Name(i)
		if enough() {
			return false, nil
		}
	}
	r.visiting = false
	cur.next, cur.after = c.Trigger.Cron.Next(at), ""
	e.part.seek()
	return true, nil
}

// populate lists the users whom a schedule may concern and who come behind the one visited last, in their order.
func (e *Engine) populate(c *campaign.Campaign, after string, list []member) []member {
	want := byte(flagScheduled)
	if len(c.Trigger.Did) == 0 {
		want = flagProfile
	}
	for i := range e.table.slots {
		if e.table.slots[i].flags&want != 0 && (after == "" || e.table.records.Name(uint32(i)) > after) {
			list = append(list, member{slot: uint32(i)})
		}
	}
	e.table.sort(list)
	return list
}

func (e *Engine) visit(c *campaign.Campaign, i uint32, at int64) error {
	u, err := e.table.peek(i)
	if err != nil || !e.concerns(c, u, at) {
		return err
	}
	if u, err = e.table.touch(i); err != nil {
		return err
	}
	e.evaluate(c, u, at)
	e.table.retime(u)
	return nil
}

// settlement is a timer to be settled, or one that an event ended.
type settlement struct {
	u  *user
	s  *section
	t  *thread
	tm *timer
}

// compare is the order of 2.3 among the timers of one user; the D come first for those of one event.
func (a settlement) compare(b settlement) int {
	return cmp.Or(cmp.Compare(a.tm.due, b.tm.due), cmp.Compare(a.s.id, b.s.id), cmp.Compare(a.t.key, b.t.key),
		cmp.Compare(a.tm.anchorID(), b.tm.anchorID()), cmp.Compare(a.tm.slot, b.tm.slot))
}
