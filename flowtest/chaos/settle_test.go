package chaos

import (
	"fmt"
	"time"

	"vigil/flowtest/live"
)

const (
	judgeWithin   = 4 * time.Minute // for the processors to come to the end of the input, once all is well
	deliverWithin = 4 * time.Minute // for the sinks to send the rest
	verifyWithin  = 10 * time.Minute
)

// settle waits until all is judged and every timer has had its time.
func (r *run) settle() {
	r.T.Helper()
	ends := r.Ends()
	r.until("the processors have judged everything", judgeWithin, func() (bool, string) {
		at := r.Committed()
		for id, end := range ends { // a transaction that its producer left may still have got its end
			if at[id] < end {
				return false, fmt.Sprintf("by partition %v of %v", at, ends)
			}
		}
		return true, ""
	})
	pause(r.T.Context(), horizon)
}

// finish stops the processors, waits until every fire is received, and stops the sinks.
func (r *run) finish() {
	r.T.Helper()
	r.drain("processor")
	fired, _ := live.ByID(r.Fired())
	r.until("every webhook is received", deliverWithin, func() (bool, string) {
		missing, _ := r.receiver.Against(fired)
		return len(missing) == 0, fmt.Sprintf("%d of %d missing", len(missing), len(fired))
	})
	r.drain("sink")
}

// until looks until a condition holds. A run goes on where it does not: the verdict says what came of that.
func (r *run) until(what string, most time.Duration, look func() (ok bool, seen string)) {
	r.T.Helper()
	began := time.Now()
	for {
		r.revive()
		ok, seen := look()
		if ok {
			r.T.Logf("%s, %s after it was waited for", what, time.Since(began).Round(100*time.Millisecond))
			return
		}
		if time.Since(began) > most {
			r.unclean(fmt.Errorf("not within %s: %s: %s", most, what, seen))
			return
		}
		pause(r.T.Context(), 200*time.Millisecond)
	}
}

// revive starts those again that have ended, as one that found no broker when the plan was over.
func (r *run) revive() {
	for _, m := range r.members {
		if m.child.Ended() && !m.stopped {
			m.fell(m.child)
			m.start()
		}
	}
}

// drain stops the members of a kind in good order.
func (r *run) drain(command string) {
	for _, m := range r.members {
		if m.command == command {
			m.stopped = true
			m.drain()
		}
	}
}

// tell shows what is wrong, and keeps all of it in the stage's folder.
func (r *run) tell(v *verdict) {
	r.T.Helper()
	for id := range r.partitions {
		r.KeepList(fmt.Sprintf("fired-%d.ndjson", id), v.fired[id])
		r.KeepList(fmt.Sprintf("wanted-%d.ndjson", id), v.wanted[id])
	}
	v.exact.Show(r.T)
	v.simulated.Show(r.T)
	live.Show(r.T, "twice", v.twice)
	live.Show(r.T, "not delivered", v.undelivered)
	_, wrong := r.receiver.Wrong()
	for _, w := range wrong {
		r.T.Logf("received: %s", w)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, text := range append(r.fallen, r.slow...) {
		r.T.Log(text)
	}
}
