package trigger

import (
	"encoding/binary"
	"slices"

	"vigil/campaign"
)

// KnownKey is the key of the record in which an Engine keeps the campaigns that it has adopted. Like PartitionKey it is
// no valid UTF-8.
const KnownKey = "\xffknown"

// known are the ids of the campaigns adopted, in order; nil: nobody said so far.
type known struct {
	ids, saved []string
	unstored   bool   // the store lacks saved
	print      uint16 // of the record that the store has
}

func (k *known) changed() bool {
	return k.ids != nil && (k.saved == nil || !slices.Equal(k.ids, k.saved))
}

// adopt notes that the campaigns of cat are no news any more.
func (k *known) adopt(cat *campaign.Catalog) {
	if len(k.ids) == cat.Len() && k.ids != nil {
		same := true
		for i := range cat.Len() {
			same = same && k.ids[i] == cat.At(i).ID
		}
		if same {
			return
		}
	}
	k.ids = make([]string, 0, cat.Len())
	for i := range cat.Len() {
		k.ids = append(k.ids, cat.At(i).ID)
	}
}

func (k *known) commit() {
	if k.changed() {
		k.saved, k.unstored = k.ids, true
	}
}

func (k *known) encode() []byte {
	b := binary.AppendUvarint([]byte{recordVersion}, uint64(len(k.saved)))
	for _, id := range k.saved {
		b = append(binary.AppendUvarint(b, uint64(len(id))), id...)
	}
	return b
}

// load takes in a record; nil: nothing is known.
func (k *known) load(record []byte) error {
	k.ids, k.saved, k.unstored = nil, nil, record != nil
	if record == nil {
		return nil
	}
	r := reader{b: slices.Clone(record)}
	if v := r.byte(); r.err == nil && v != recordVersion {
		return newer(v)
	}
	ids := []string{}
	for range r.length(1) {
		ids = append(ids, r.text(r.length(1)))
	}
	if r.err != nil {
		return &RecordError{KnownKey, r.err}
	}
	k.ids, k.saved = ids, ids
	return nil
}

// Fresh are the campaigns of cat that ask for history (semantics 2.10) and that this partition has never adopted: between
// SetCatalog(cat) and Adopt their past is to be taken in with Graft.
func (e *Engine) Fresh(cat *campaign.Catalog) []*campaign.Campaign {
	if e.known.ids == nil && e.part.clock != none {
		return nil // state from before this was noted
	}
	var fresh []*campaign.Campaign
	for i := range cat.Len() {
		c := cat.At(i)
		if _, ok := slices.BinarySearch(e.known.ids, c.ID); c.History > 0 && !ok {
			fresh = append(fresh, c)
		}
	}
	return fresh
}

// Adopt notes that all campaigns of the catalog are known from now on: none of them is fresh any more.
func (e *Engine) Adopt() { e.known.adopt(e.cat) }

// Past makes an engine that reads what came before the adoption of campaigns, and tells no decision. A user begins as whom
// e knows: with the profile of now, on which $profile events of the past come once more, and the erasure. e must stand
// still until Graft has taken the other engine in.
func (e *Engine) Past(campaigns []*campaign.Campaign) *Engine {
	p := New(campaign.NewCatalog(campaigns), e.opt, func(*Decision) {})
	p.present = e
	return p
}

// inherit gives a user of a past what is known of that user now.
func (e *Engine) inherit(u *user) error {
	if u.changed || len(u.seen) > 0 || u.erased != none {
		return nil
	}
	now, err := e.present.table.peek(e.present.table.id(u.name))
	if err != nil {
		return err
	}
	u.erased, u.profile = now.erased, slices.Clone(now.profile)
	return nil
}

// Arrive moves the clock of a past to where the other engine's stands, and makes all that is known ready for Graft.
func (e *Engine) Arrive() error {
	if clock := e.present.part.clock; clock != none {
		if err := e.Advance(clock); err != nil {
			return err
		}
	}
	e.Changes(func(string, []byte) {})
	e.Commit()
	return nil
}

// Graft takes in what past, which has arrived, remembers of its campaigns: up to most users, from the from-th on. It
// tells where to go on, and whether that was all; Commits may come between. What was known of these campaigns is
// replaced, so that it can be done again. That they fired in the past is not remembered, for they did not.
func (e *Engine) Graft(past *Engine, from, most int) (next int, done bool, err error) {
	t := &past.table
	for next = from; next < len(t.slots); next++ {
		if most == 0 {
			return next, false, nil
		}
		record, err := t.record(uint32(next))
		if err != nil {
			return next, false, err
		}
		if record == nil {
			continue
		}
		most--
		then := &user{name: t.records.Name(uint32(next))}
		if err := then.decode(record); err != nil {
			return next, false, err
		}
		if err := e.graft(then); err != nil {
			return next, false, err
		}
	}
	if e.part.clock == none {
		e.part.clock = past.part.clock
		e.resetCursors()
	}
	return next, true, nil
}

// graft takes in one user.
func (e *Engine) graft(then *user) error {
	e.table.park()
	u, err := e.table.touch(e.table.id(then.name))
	if err != nil {
		return err
	}
	u.changed = true
	u.erased, u.newest = max(u.erased, then.erased), max(u.newest, then.newest)
	if u.profile == nil {
		u.profile = then.profile
	}
	for _, s := range then.seen {
		if len(u.seen) < maxSeen && u.seenIndex(s.hash) < 0 {
			u.unsorted = true
			u.seen, u.seenAt = append(u.seen, s), nil
		}
	}
	for _, s := range then.sections {
		s.fires = nil
		for _, t := range s.threads {
			t.fired = nil
		}
		i := slices.IndexFunc(u.sections, func(old *section) bool { return old.id >= s.id })
		switch {
		case i < 0:
			u.sections = append(u.sections, s)
		case u.sections[i].id == s.id:
			u.sections[i] = s
		default:
			u.sections = slices.Insert(u.sections, i, s)
		}
	}
	e.table.retime(u)
	return nil
}
