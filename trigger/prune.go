package trigger

import (
	"slices"

	"vigil/campaign"
)

// pruneUser forgets all of a user that can have no effect any more (2.11).
func (e *Engine) pruneUser(u *user) {
	for len(u.seen) > 0 && !u.unsorted && e.expired(u.seen[0].rt, day+seenSlack) {
		u.forgetSeen(0)
	}
	if u.unsorted {
		u.seen = slices.DeleteFunc(u.seen, func(s seenID) bool { return e.expired(s.rt, day+seenSlack) })
		u.seenAt = nil
	}
	for _, s := range u.sections {
		c := e.campaign(s.id)
		if c == nil {
			s.orphan()
		} else {
			e.pruneFires(s, c)
			if e.expired(s.cancelTS, day) {
				s.cancelTS = none
			}
		}
		for _, t := range s.threads {
			if c != nil {
				e.prune(t, c)
			}
		}
		s.threads = slices.DeleteFunc(s.threads, (*thread).empty)
	}
	u.sections = slices.DeleteFunc(u.sections, func(s *section) bool {
		return len(s.fires) == 0 && s.cancelTS == none && len(s.threads) == 0
	})
}

// orphan leaves only the timers of a campaign that is gone.
func (s *section) orphan() {
	s.fires, s.cancelTS = s.fires[:0], none
	for _, t := range s.threads {
		timers := t.timers
		t.timers = nil
		t.reset(t.key)
		t.timers = timers
	}
}

// prune forgets what a thread can make no use of at the present clock.
func (e *Engine) prune(t *thread, c *campaign.Campaign) {
	tr, age := &c.Trigger, e.opt.MaxEventAge
	switch tr.Shape {
	case campaign.Set:
		t.kept = t.kept[e.expiredMarks(t, func(ts int64) bool { return e.expired(ts, tr.Within+age) }):]
	case campaign.Schedule:
		next := int64(never)
		if cur := e.part.find(c.ID); cur != nil {
			next = cur.next
		}
		t.kept = t.kept[e.expiredMarks(t, func(ts int64) bool { return ts <= next-tr.Lookback }):]
	case campaign.Absence, campaign.Session, campaign.OnAction:
		i := 0
		for i < len(t.dones) && e.expired(t.dones[i], tr.Lookback+age) {
			i++
		}
		t.dones = t.dones[i:]
	}
	if e.expired(t.cycleEnd, age) {
		t.cycleT0, t.cycleEnd = none, none
	}
	if e.expired(t.dateTS, age) && t.pending() == 0 {
		t.dateTS = none
	}
	if e.expired(t.cancelTS, day) {
		t.cancelTS = none
	}
	if len(t.decided) > 0 {
		t.decided = slices.DeleteFunc(t.decided, func(d decidedSlot) bool { return e.expired(d.clock, decidedSpan) })
	}
	if len(t.fired) > 0 {
		t.fired = slices.DeleteFunc(t.fired, func(f firedTimer) bool { return e.expired(f.due, age) })
	}
}

func (e *Engine) expiredMarks(t *thread, over func(ts int64) bool) int {
	i := 0
	for i < len(t.kept) && over(t.kept[i].ev.TS) {
		i++
	}
	return i
}
