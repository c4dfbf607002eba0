package trigger

import (
	"slices"

	"vigil/campaign"
	"vigil/event"
)

// set is semantics 3.2: the event in hand joins the kept ones; the smallest t at which they fill all slots fires.
func (e *Engine) set(st start, m campaign.Match) {
	tr := &st.c.Trigger
	if tr.Delay > 0 {
		st.slot = slotDelay
	}
	ev := e.snapshot()
	e.insertMark(st.t, mark{ev: ev, did: m.Did})
	e.prune(st.t, st.c)
	if !slices.ContainsFunc(st.t.kept, func(k mark) bool { return k.ev == ev }) {
		return
	}
	at, events := complete(tr, st.t.kept, ev)
	if events == nil || !e.once(st) {
		return
	}
	st.t.kept = slices.DeleteFunc(st.t.kept, func(k mark) bool { return k.ev.TS <= at })
	e.launch(st, firing{at: at, anchor: ev, events: events})
}

// insertMark keeps an event, behind those with the same ts, and forgets the oldest beyond the limit.
func (e *Engine) insertMark(t *thread, m mark) {
	i := len(t.kept)
	for i > 0 && t.kept[i-1].ev.TS > m.ev.TS {
		i--
	}
	t.kept = slices.Insert(t.kept, i, m)
	if len(t.kept) > maxKept {
		t.kept = slices.Delete(t.kept, 0, 1)
		e.stats.HistoryTruncated++
	}
}

// complete finds the smallest t at or after ev's ts at which events, ev among them, fill all slots within
// [t - within, t], and those events in slot order; nil where there is none.
func complete(tr *campaign.Trigger, kept []mark, ev *event.Snapshot) (t int64, events []*event.Snapshot) {
	self := slices.IndexFunc(kept, func(k mark) bool { return k.ev == ev })
	lo := 0
	for hi := self; hi < len(kept) && kept[hi].ev.TS <= ev.TS+tr.Within; hi++ {
		t := kept[hi].ev.TS
		if hi+1 < len(kept) && kept[hi+1].ev.TS == t {
			continue
		}
		for kept[lo].ev.TS < t-tr.Within {
			lo++
		}
		if !enough(tr, kept[lo:hi+1]) {
			continue
		}
		search := assign
		if tr.Sequence {
			search = sequence
		}
		if events := search(tr, kept[lo:hi+1], self-lo); events != nil {
			return t, events
		}
	}
	return 0, nil
}

// enough rules most windows out cheaply: each step alone must find as many events as it counts.
func enough(tr *campaign.Trigger, window []mark) bool {
	for i := range tr.Did {
		found := 0
		for _, k := range window {
			if k.did>>i&1 != 0 {
				found++
			}
		}
		if found < tr.Did[i].Count {
			return false
		}
	}
	return true
}

// assignment is a matching of events to steps, each step taking up to its count.
type assignment struct {
	window []mark
	room   []int   // per step, what it takes
	taken  [][]int // per step, the events it has
	tried  uint16  // steps on the augmenting path
}

// assign gives every slot an event of its own, window[self] one of them unless self is negative; nil where that cannot
// be.
func assign(tr *campaign.Trigger, window []mark, self int) []*event.Snapshot {
	if self < 0 {
		return fill(tr, window, self, 0)
	}
	for first := range tr.Did {
		if window[self].did>>first&1 == 0 {
			continue
		}
		if events := fill(tr, window, self, first); events != nil {
			return events
		}
	}
	return nil
}

// fill is assign with window[self] in the step first.
func fill(tr *campaign.Trigger, window []mark, self, first int) []*event.Snapshot {
	a := assignment{window: window, room: make([]int, len(tr.Did)), taken: make([][]int, len(tr.Did))}
	need := 0
	for i, step := range tr.Did {
		a.room[i] = step.Count
		need += step.Count
	}
	if self >= 0 {
		a.room[first]--
		need--
	}
	for i := 0; i < len(window) && need > 0; i++ {
		a.tried = 0
		if i != self && a.place(i) {
			need--
		}
	}
	if need > 0 {
		return nil
	}
	if self >= 0 {
		a.taken[first] = append(a.taken[first], self)
	}
	return a.events()
}

// place finds room for event i along an augmenting path.
func (a *assignment) place(i int) bool {
	for s := range a.room {
		if a.window[i].did>>s&1 != 0 && len(a.taken[s]) < a.room[s] {
			a.taken[s] = append(a.taken[s], i)
			return true
		}
	}
	for s := range a.room {
		if a.window[i].did>>s&1 == 0 || a.tried>>s&1 != 0 {
			continue
		}
		a.tried |= 1 << s
		for k, other := range a.taken[s] {
			if a.place(other) {
				a.taken[s][k] = i
				return true
			}
		}
	}
	return false
}

func (a *assignment) events() []*event.Snapshot {
	var events []*event.Snapshot
	for _, taken := range a.taken {
		slices.Sort(taken)
		for _, i := range taken {
			events = append(events, a.window[i].ev)
		}
	}
	return events
}

// sequence is assign for slots that must be filled in the order of the window.
func sequence(tr *campaign.Trigger, window []mark, self int) []*event.Snapshot {
	var slots []int
	for i, step := range tr.Did {
		for range step.Count {
			slots = append(slots, i)
		}
	}
	fits := func(k, slot int) bool { return window[k].did>>slots[slot]&1 != 0 }
	var before []int // events of the slots from the first on, as early as can be
	for k := 0; k < self && len(before) < len(slots); k++ {
		if fits(k, len(before)) {
			before = append(before, k)
		}
	}
	var after []int // events of the slots from the last back, as late as can be
	for k := len(window) - 1; k > self && len(after) < len(slots); k-- {
		if fits(k, len(slots)-1-len(after)) {
			after = append(after, k)
		}
	}
	for slot := range slots {
		rest := len(slots) - 1 - slot
		if !fits(self, slot) || slot > len(before) || rest > len(after) {
			continue
		}
		used := append(slices.Clone(before[:slot]), self)
		tail := slices.Clone(after[:rest])
		slices.Reverse(tail)
		var events []*event.Snapshot
		for _, k := range append(used, tail...) {
			events = append(events, window[k].ev)
		}
		return events
	}
	return nil
}
