package trigger

// single is semantics 3.1, and `match: any` of 3.2: every match fires, or every n-th.
func (e *Engine) single(st start) {
	tr := &st.c.Trigger
	if tr.Delay > 0 {
		st.slot = slotDelay
	}
	if n := uint64(tr.Did[0].Count); n > 1 {
		st.t.count++
		if st.t.count%n != 0 {
			return
		}
	}
	if !e.once(st) {
		return
	}
	e.launch(st, firing{at: e.ev.TS, anchor: e.snapshot()})
}

// once refuses a start for the reasons of 2.4 and for `occurrence: first`, which it then spends.
func (e *Engine) once(st start) bool {
	reason := e.refused(st)
	if reason == "" && st.c.Trigger.First {
		if st.t.spent {
			reason = NotFirst
		}
		st.t.spent = true
	}
	if reason != "" {
		e.skip(st.c, st, reason, e.ev.TS)
	}
	return reason == ""
}

// launch fires at once, or after the campaign's delay.
func (e *Engine) launch(st start, f firing) {
	if delay := st.c.Trigger.Delay; delay > 0 {
		f.t0 = f.at
		e.arm(st, f.at+delay, f)
		return
	}
	e.judge(st, f)
}
