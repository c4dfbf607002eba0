package model

import (
	"cmp"
	"slices"

	"vigil/campaign"
)

// set is 3.2: the event is kept, and where it completes the slots the set fires.
func (r *run) set(c *campaign.Campaign, e *Event, key string) {
	kept := r.keptForSet(c, e.User, key)
	if !slices.Contains(kept, e) {
		return
	}
	t, found := completes(c, kept, e)
	if !found {
		return
	}
	slot := ""
	if c.Trigger.Delay > 0 {
		slot = "delay"
	}
	f := newFiring(c, e, key, slot)
	if reason := r.once(c, e, key); reason != "" {
		r.skip(reason, f, e.TS)
		return
	}
	p := r.person(e.User)
	for _, k := range kept {
		if k.TS <= t {
			p.consumed = append(p.consumed, use{c.ID, k})
		}
	}
	r.launch(f, t)
}

// keptForSet are the events that the thread keeps: clock <= ts + W + age, not consumed, at most 1,000.
func (r *run) keptForSet(c *campaign.Campaign, user, key string) []*Event {
	p := r.person(user)
	var kept []*Event
	for _, e := range p.history {
		k, ok := keyOf(c, e)
		if !ok || k != key || !anyMatches(c.Trigger.Did, e) || r.clock > e.TS+c.Trigger.Within+r.opt.MaxEventAge {
			continue
		}
		if !slices.Contains(p.consumed, use{c.ID, e}) {
			kept = append(kept, e)
		}
	}
	return newestOf(kept)
}

// slotsOf repeats every step as often as its count says.
func slotsOf(c *campaign.Campaign) []campaign.Step {
	var slots []campaign.Step
	for _, s := range c.Trigger.Did {
		for range max(1, s.Count) {
			slots = append(slots, s)
		}
	}
	return slots
}

// completes looks for the smallest t at which kept events, e among them, fill all slots.
func completes(c *campaign.Campaign, kept []*Event, e *Event) (int64, bool) {
	times := []int64{}
	for _, k := range kept {
		if k.TS >= e.TS {
			times = append(times, k.TS)
		}
	}
	slices.Sort(times)
	for _, t := range slices.Compact(times) {
		var in []*Event // in the order of ts, equal ones in that of arrival
		for _, k := range kept {
			if t-c.Trigger.Within <= k.TS && k.TS <= t {
				in = append(in, k)
			}
		}
		slices.SortStableFunc(in, func(a, b *Event) int { return cmp.Compare(a.TS, b.TS) })
		s := search{slots: slotsOf(c), events: in, sequence: c.Trigger.Sequence, used: make([]bool, len(in))}
		s.accept = func() bool {
			with, newest := false, false
			for i, k := range in {
				with = with || s.used[i] && k == e
				newest = newest || s.used[i] && k.TS == t
			}
			return with && newest
		}
		if s.fill(0, 0) {
			return t, true
		}
	}
	return 0, false
}

// search tries every assignment of distinct events to slots.
type search struct {
	slots    []campaign.Step
	events   []*Event
	sequence bool
	used     []bool
	accept   func() bool
}

// fill fills the slots from the given one on; a sequence looks only at events from index from on, others look from
// there only while the step repeats, for slots of one step are alike.
func (s *search) fill(slot, from int) bool {
	if slot == len(s.slots) {
		return s.accept()
	}
	for i := from; i < len(s.events); i++ {
		if s.used[i] || !stepMatches(s.slots[slot], s.events[i]) {
			continue
		}
		s.used[i] = true
		next := 0
		alike := slot+1 < len(s.slots) && s.slots[slot+1] == s.slots[slot]
		if s.sequence || alike {
			next = i + 1
		}
		if s.fill(slot+1, next) {
			return true
		}
		s.used[i] = false
	}
	return false
}
