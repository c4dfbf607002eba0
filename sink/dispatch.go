package sink

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"vigil/sink/core"
	"vigil/sink/egress"
	"vigil/sink/meter"
	"vigil/sink/standing"
	"vigil/webhook"
)

const (
	maxWaitBytes = 64 << 20               // of values that wait for their time
	tick         = 200 * time.Millisecond // how often lanes are looked over while something waits in them
	flowPause    = 20 * time.Millisecond  // how often paused partitions are looked over
)

// dispatcher owns everything that waits. Its goroutine decides which attempt comes next, workers make it.
type dispatcher struct {
	s        *Sink
	lanes    *core.Lanes[*parcel]
	breakers *core.Breakers
	waits    core.Alarms[*parcel] // deliveries that are not due
	waiting  int64                // bytes of their values
	leaving  []*leave
	work     chan *try
	done     chan *try
	next     time.Time // of the next tick
	grown    bool      // something came in since flow looked
	paused   int       // partitions
	look     time.Time // when flow looks again at what is paused
}

// try is one attempt in flight.
type try struct {
	core.Turn[*parcel]
	endpoint *egress.Endpoint
	ticket   core.Ticket // of the breaker
	hold     *time.Time
	result   core.Result
	gone     bool // the receiver wants no more
}

func newDispatcher(s *Sink) *dispatcher {
	return &dispatcher{
		s: s, lanes: core.NewLanes[*parcel](s.cfg.MaxInFlight), breakers: core.NewBreakers(),
		work: make(chan *try), done: make(chan *try, s.cfg.MaxInFlight),
	}
}

// run dispatches until ctx ends, then waits for what is in flight: 5 s, after which attempts are cut off.
func (d *dispatcher) run(ctx context.Context) {
	attempts, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	var workers sync.WaitGroup
	for range d.s.cfg.MaxInFlight {
		workers.Go(func() { d.attempt(attempts) })
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for ctx.Err() == nil {
		now := time.Now()
		d.lanes.Share(d.s.share(), now)
		d.fill(now)
		d.flow(now)
		wait := d.sleep(now)
		timer.Reset(wait)
		select {
		case batch := <-d.s.batches:
			d.grown = true
			for _, p := range batch {
				d.arrive(p, time.Now())
			}
		case t := <-d.done:
			d.finished(t)
		case l := <-d.s.leaves:
			d.letGo(l)
		case look := <-d.s.looks:
			look <- d.lanes.Busiest(meter.Busiest)
		case <-timer.C:
			woken := time.Now()
			d.lanes.Late(woken.Sub(now) - wait)
			d.wake(woken)
		case <-ctx.Done():
		}
	}
	d.drain(cut)
	close(d.work)
	workers.Wait()
}

func (d *dispatcher) drain(cut context.CancelFunc) {
	budget := time.NewTimer(drainBudget)
	defer budget.Stop()
	for d.lanes.InFlight() > 0 {
		select {
		case t := <-d.done:
			d.finished(t)
		case l := <-d.s.leaves:
			d.letGo(l)
		case <-budget.C:
			cut()
		}
	}
}

// attempt is one worker. What our stop cuts off leaves no record: its offset stays open.
func (d *dispatcher) attempt(ctx context.Context) {
	for t := range d.work {
		start := time.Now()
		a := d.s.sender.Send(ctx, t.endpoint, t.Parcel.d)
		now := time.Now()
		d.s.meter.Attempted(&a)
		t.result = core.Result{At: now, Took: max(1, now.Sub(start)), Address: t.endpoint.Address()} // a clock may be coarse; 0 is no attempt
		if !a.Failed || ctx.Err() == nil {
			t.result.Health, t.result.TimedOut = core.HealthOf(&a), a.Failed && a.Code == egress.CodeTimeout
			f := core.Decide(t.endpoint.Plan(t.Parcel.d, now), &a)
			t.hold, t.gone = f.Hold, f.Outcome == webhook.Dead && a.Status == http.StatusGone
			d.s.out.settle(t.Parcel, f)
		}
		d.done <- t
	}
}

// fill gives free places to deliveries.
func (d *dispatcher) fill(now time.Time) {
	for {
		turn, ok := d.lanes.Next(now)
		if !ok {
			return
		}
		p := turn.Parcel
		e := d.s.endpoints.Load().Find(p.d.Endpoint)
		if e == nil || expired(p, now) || d.halted(p, e) { // it changed while waiting
			d.lanes.End(turn, core.Result{})
			d.admit(p, now)
			continue
		}
		ticket, reopens, ok := d.breakers.Begin(p.breaker(e), now)
		if !ok {
			d.lanes.End(turn, core.Result{})
			d.parkIn(turn.Lane, p, core.ParkOpen, reopens)
			continue
		}
		p.part.inFlight++
		d.s.flying.Add(1)
		d.s.meter.Flying(1)
		d.work <- &try{Turn: turn, endpoint: e, ticket: ticket}
	}
}

// finished gives the place back, tells the breaker, and holds the lane where the receiver asked for it.
func (d *dispatcher) finished(t *try) {
	d.lanes.End(t.Turn, t.result)
	t.Parcel.part.inFlight--
	d.s.flying.Add(-1)
	d.s.meter.Flying(-1)
	now := time.Now()
	d.lanes.Late(now.Sub(t.result.At))
	opened := d.breakers.End(t.ticket, t.result.Health, now)
	if opened {
		d.s.log.Warn().Str("endpoint", t.Parcel.lane).Str("campaign", t.Parcel.d.Campaign).
			Msg("an endpoint fails: its deliveries are parked for a while")
	}
	d.tell(t, now)
	d.s.meter.Breakers(d.breakers.Open(), opened)
	if t.hold != nil && t.Lane.At(t.result.Address) {
		d.lanes.Hold(t.Lane, *t.hold, now, func(p *parcel) { d.parkIn(t.Lane, p, core.ParkHeld, t.Lane.Held()) })
	}
	d.checkLeaves()
}

// tell lets the board know what an attempt told of its endpoint. Nobody may miss that one was paused.
func (d *dispatcher) tell(t *try, now time.Time) {
	since, failures := t.Lane.Ill()
	reason := d.s.board.Note(standing.News{
		Endpoint: t.Parcel.lane, Address: t.endpoint.Address(), Named: t.Parcel.d.Endpoint != "",
		Well: t.result.Health == core.Well, Ill: t.result.Health == core.Ill, Gone: t.gone,
		Since: since, Failures: failures, At: now,
	})
	if reason != "" {
		d.s.meter.Paused(reason)
		d.s.log.Error().Str("endpoint", t.Parcel.lane).Str("reason", reason).
			Msg("an endpoint is paused: its deliveries are parked until `vigil endpoints resume`, or expire")
	}
}

// sleep is how long nothing can happen by itself.
func (d *dispatcher) sleep(now time.Time) time.Duration {
	wait := time.Hour
	if at, ok := d.waits.Next(); ok {
		wait = at.Sub(now)
	}
	if at, ok := d.lanes.NextWake(); ok {
		wait = min(wait, at.Sub(now))
	}
	if d.lanes.Waiting() > 0 {
		wait = min(wait, d.next.Sub(now))
	}
	if d.paused > 0 { // acks free the window without a word to the dispatcher
		wait = min(wait, d.look.Sub(now))
	}
	return max(wait, 0)
}

// wake brings what is due into its lane and parks what waited too long for a slow endpoint.
func (d *dispatcher) wake(now time.Time) {
	for {
		p, ok := d.waits.Due(now)
		if !ok {
			break
		}
		d.waiting -= p.size()
		d.admit(p, now)
	}
	if d.lanes.Waiting() > 0 && !now.Before(d.next) {
		d.next = now.Add(tick)
		d.lanes.Spill(now, func(l *core.Lane[*parcel], p *parcel) { d.parkIn(l, p, core.ParkSlow, now) })
	}
}

// flow pauses partitions whose window is full, all of them while the lanes are full, and waiting topics while memory
// is; it resumes them when half of that is free.
func (d *dispatcher) flow(now time.Time) {
	if !d.grown && (d.paused == 0 || now.Before(d.look)) {
		return
	}
	d.grown, d.paused, d.look = false, 0, now.Add(flowPause)
	stop, resume := map[string][]int32{}, map[string][]int32{}
	for _, p := range d.s.owned(nil) {
		crowded, relaxed := d.lanes.Crowded(), d.lanes.Relaxed()
		if p.tier != core.TierFirst {
			crowded, relaxed = crowded || d.waiting >= maxWaitBytes, relaxed && d.waiting < maxWaitBytes/2
		}
		span := p.Span()
		switch {
		case !p.paused && (crowded || span >= core.Window-maxPoll):
			p.paused = true
			stop[p.topic] = append(stop[p.topic], p.id)
		case p.paused && relaxed && span < core.Window/2:
			p.paused = false
			resume[p.topic] = append(resume[p.topic], p.id)
		}
		if p.paused {
			d.paused++
		}
	}
	if len(stop) > 0 {
		d.s.client.PauseFetchPartitions(stop)
	}
	if len(resume) > 0 {
		d.s.client.ResumeFetchPartitions(resume)
	}
}

// letGo drops what waits of partitions that leave; their next owner reads it again.
func (d *dispatcher) letGo(l *leave) {
	for _, p := range l.parts {
		p.leaving = true
	}
	gone := func(p *parcel) bool { return p.part.leaving }
	d.lanes.Drop(gone)
	d.waits.Drop(func(p *parcel) bool {
		if gone(p) {
			d.waiting -= p.size()
		}
		return gone(p)
	})
	d.leaving = append(d.leaving, l)
	d.checkLeaves()
}

// checkLeaves tells those who wait that nothing of their partitions is in flight any more.
func (d *dispatcher) checkLeaves() {
	d.leaving = slices.DeleteFunc(d.leaving, func(l *leave) bool {
		busy := slices.ContainsFunc(l.parts, func(p *partition) bool { return p.inFlight > 0 })
		if !busy {
			close(l.idle)
		}
		return !busy
	})
}
