package trigger

import (
	"cmp"
	"slices"

	"vigil/event"
)

const (
	maxRecordBytes = 4 << 20 // of a record in vigil.state, whose topic takes 8 MiB
	largeProps     = 4 << 10 // bytes of properties that a record of that size no longer keeps
)

// shed forgets a part of a user whose record does not fit its topic, which would stop the partition; false where nothing
// is left to forget. It happens to a user with thousands of large events or keys at once. First go large properties of
// kept events, then all of them: decisions do not need them, only what a webhook says of an event does. With every
// further step goes half of the threads: those with the least to lose, and of those the ones that nothing happened to
// for longest.
func (u *user) shed(step int) bool {
	switch step {
	case 0:
		u.shedProps(largeProps)
		return true
	case 1:
		u.shedProps(0)
		return true
	}
	var all []shedThread
	for _, s := range u.sections {
		for _, t := range s.threads {
			all = append(all, shedThread{t, t.weight(), t.newest()})
		}
	}
	slices.SortStableFunc(all, func(a, b shedThread) int {
		return cmp.Or(cmp.Compare(a.weight, b.weight), cmp.Compare(a.newest, b.newest))
	})
	gone := map[*thread]bool{}
	for _, t := range all[:(len(all)+1)/2] {
		gone[t.thread] = true
	}
	for _, s := range u.sections {
		s.threads = slices.DeleteFunc(s.threads, func(t *thread) bool { return gone[t] })
	}
	return len(all) > 0
}

type shedThread struct {
	thread *thread
	weight int
	newest int64
}

// weight is what is lost with a thread: history, a pending decision, or what holds for the life of the campaign.
func (t *thread) weight() int {
	switch {
	case t.spent || t.count > 0:
		return 2
	case len(t.timers) > 0:
		return 1
	}
	return 0
}

// newest is the latest time that a thread remembers.
func (t *thread) newest() int64 {
	at := max(t.cycleEnd, t.dateTS, t.cancelTS)
	for _, tm := range t.timers {
		at = max(at, tm.t0)
	}
	for _, f := range t.fired {
		at = max(at, f.due)
	}
	for _, d := range t.decided {
		at = max(at, d.clock)
	}
	if n := len(t.kept); n > 0 {
		at = max(at, t.kept[n-1].ev.TS)
	}
	if n := len(t.dones); n > 0 {
		at = max(at, t.dones[n-1])
	}
	return at
}

// shedProps drops the properties of kept events that have more than so many bytes.
func (u *user) shedProps(most int) {
	drop := func(ev *event.Snapshot) {
		if ev != nil && len(ev.Props) > most {
			ev.Props = []byte("{}")
		}
	}
	for _, s := range u.sections {
		for _, t := range s.threads {
			for _, m := range t.kept {
				drop(m.ev)
			}
		}
	}
	u.eachTimer(func(_ *section, _ *thread, tm *timer) {
		drop(tm.anchor)
		for _, ev := range tm.events {
			drop(ev)
		}
	})
}
