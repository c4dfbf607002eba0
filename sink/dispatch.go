package sink

import (
	"container/heap"
	"context"
	"slices"
	"sync"
	"time"

	"vigil/webhook"
)

const (
	maxQueued    = 4096                   // deliveries in all lanes before fetching pauses
	maxHeldBytes = 64 << 20               // of values in lanes, and as much of those that wait for their time
	tick         = 200 * time.Millisecond // how often lanes are looked over while something waits in them
	pausedPark   = time.Minute            // how long a delivery of a paused campaign is parked
	maxLanes     = 4096                   // lanes before idle ones are forgotten
	retryShare   = 30                     // per cent of all places that retries get while first attempts wait
)

// dispatcher owns everything that waits. Its goroutine decides which attempt comes next, workers make it.
type dispatcher struct {
	s       *Sink
	lanes   map[string]*lane
	ring    [2][]*lane // lanes that may have something to do: first attempts, retries
	flying  [2]int
	queued  int
	bytes   int64 // of values in lanes
	waits   waits
	waiting int64 // bytes of values in waits
	leaving []*leave
	work    chan *try
	done    chan *try
	next    time.Time // of the next tick
	turn    int
}

// try is one attempt in flight.
type try struct {
	parcel   *parcel
	lane     *lane
	endpoint *endpoint
	queue    int
	hold     *time.Time
	took     time.Duration
}

func newDispatcher(s *Sink) *dispatcher {
	return &dispatcher{s: s, lanes: map[string]*lane{}, work: make(chan *try), done: make(chan *try, s.cfg.MaxInFlight)}
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
		d.fill(now)
		d.flow()
		timer.Reset(d.sleep(now))
		select {
		case batch := <-d.s.batches:
			for _, p := range batch {
				d.arrive(p, time.Now())
			}
		case t := <-d.done:
			d.finished(t)
		case l := <-d.s.leaves:
			d.letGo(l)
		case <-timer.C:
			d.wake(time.Now())
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
	for d.flying[0]+d.flying[1] > 0 {
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

// attempt is one worker.
func (d *dispatcher) attempt(ctx context.Context) {
	for t := range d.work {
		start := time.Now()
		a := d.s.sender.send(ctx, t.endpoint, t.parcel.d)
		now := time.Now()
		t.took = now.Sub(start)
		e := t.endpoint
		f, known := decide(plan{t.parcel.d.Attempt, e.retries, e.delays, t.parcel.d.ExpiresAt, now}, &a)
		if a.err != nil && ctx.Err() != nil {
			known = false // cut off by our stop
		}
		d.s.metrics.attempted(&a)
		if known {
			t.hold = f.hold
			d.s.out.settle(t.parcel, f)
		}
		d.done <- t
	}
}

// arrive takes a record just read: its time of wait is settled here, with jitter.
func (d *dispatcher) arrive(p *parcel, now time.Time) {
	switch {
	case p.part.leaving:
		return
	case p.d == nil:
		d.s.out.poison(p)
		return
	case p.part.tier != tierFirst:
		at, delay := due(p.part.tier, p.record.Timestamp, p.d.NotBefore)
		p.due = at.Add(jitter(delay, d.s.rand.Float64()))
		if e := p.d.ExpiresAt; e != nil && p.due.After(*e) && !at.After(*e) {
			p.due = *e // jitter alone expires nothing
		}
	case p.d.NotBefore != nil:
		p.due = *p.d.NotBefore
	}
	d.admit(p, now)
}

// admit is the row FETCHED of delivery 2.
func (d *dispatcher) admit(p *parcel, now time.Time) {
	switch {
	case expired(p, now):
		d.end(p, webhook.Expired, codeExpired, "expires_at has passed")
	case p.d.RenderError != "":
		d.end(p, webhook.Dead, codeRender, cut(p.d.RenderError, webhook.MaxReasonBytes))
	case now.Before(p.due):
		d.wait(p, now)
	default:
		d.enter(p, now)
	}
}

// enter brings a delivery that is due into its lane.
func (d *dispatcher) enter(p *parcel, now time.Time) {
	switch d.s.campaignStatus(p.d.Campaign) {
	case "stopped", "deleted":
		d.end(p, webhook.Cancelled, codeCancelled, "the campaign is stopped or gone")
		return
	case "paused":
		d.park(p, "paused", now.Add(pausedPark), now)
		return
	}
	set := d.s.endpoints.Load()
	e := set.inline
	if p.d.Endpoint != "" {
		if e = set.named[p.d.Endpoint]; e == nil {
			d.end(p, webhook.Dead, codeEndpoint, "no endpoint has this name")
			return
		}
	}
	l := d.laneOf(p.lane, e, now)
	switch {
	case l.held.Sub(now) > spillAfter:
		d.park(p, "held", l.held, now)
	case !l.room():
		d.park(p, "slow", d.later(p, now), now)
	default:
		q := queueOf(p)
		p.queued = now
		l.queues[q] = append(l.queues[q], p)
		d.queued++
		d.bytes += int64(len(p.record.Value))
		d.offer(l, q)
	}
}

func queueOf(p *parcel) int {
	if p.again {
		return 1
	}
	return 0
}

func expired(p *parcel, now time.Time) bool { return p.d.ExpiresAt != nil && now.After(*p.d.ExpiresAt) }

func (d *dispatcher) laneOf(key string, e *endpoint, now time.Time) *lane {
	l := d.lanes[key]
	if l == nil {
		if len(d.lanes) >= maxLanes {
			for k, old := range d.lanes {
				if old.idle(now) {
					delete(d.lanes, k)
				}
			}
		}
		l = newLane(key, e)
		d.lanes[key] = l
	}
	l.use(e)
	return l
}

// wait keeps a delivery in memory until it is due, or parks it where its tier does not hold that long: nothing blocks
// what is behind it for longer than its tier's delay.
func (d *dispatcher) wait(p *parcel, now time.Time) {
	if hold := p.part.tier.hold(); p.due.Sub(now) > hold+hold/4 {
		d.park(p, "not_due", p.due, now)
		return
	}
	d.waiting += int64(len(p.record.Value))
	heap.Push(&d.waits, alarm{at: p.due, parcel: p})
}

// park hands a delivery to the parked topic without spending an attempt.
func (d *dispatcher) park(p *parcel, code string, until, now time.Time) {
	until = roundUp(until)
	d.s.out.settle(p, fate{
		outcome: webhook.Parked, code: code, reason: code, attempts: p.d.Attempt - 1, next: &until, to: parkTier(until.Sub(now)),
	})
}

// later is until when a delivery for a slow endpoint is parked: 15 s at first, then anywhere up to 5 min, so that a
// backlog comes back spread.
func (d *dispatcher) later(p *parcel, now time.Time) time.Time {
	wait := shortPark
	if p.part.tier >= tierShort {
		wait += time.Duration(d.s.rand.Float64() * float64(longPark-shortPark))
	}
	return now.Add(wait)
}

// end settles a delivery for which no attempt is made.
func (d *dispatcher) end(p *parcel, o webhook.Outcome, code, reason string) {
	d.s.out.settle(p, fate{outcome: o, code: code, reason: reason, attempts: p.d.Attempt - 1})
}

// offer puts a queue with something in it into the ring, once.
func (d *dispatcher) offer(l *lane, q int) {
	if !l.ringed[q] && len(l.queues[q]) > 0 {
		l.ringed[q] = true
		d.ring[q] = append(d.ring[q], l)
	}
}

// fill gives free places to lanes in turn. The limit is hard: no attempt begins above it.
func (d *dispatcher) fill(now time.Time) {
	for d.flying[0]+d.flying[1] < d.s.cfg.MaxInFlight {
		q, any := d.pick()
		if !any {
			return
		}
		l := d.ring[q][0]
		d.ring[q] = d.ring[q][1:]
		l.ringed[q] = false
		if len(l.queues[q]) == 0 {
			continue
		}
		free, wake := l.free(now)
		if !free { // it is offered again when an attempt ends, or then
			if !wake.IsZero() && !l.waking {
				l.waking = true
				heap.Push(&d.waits, alarm{at: wake, lane: l})
			}
			continue
		}
		d.begin(l, q, now)
		d.offer(l, q)
	}
}

// pick says which ring is served: retries get every second place, up to their share, while first attempts wait.
func (d *dispatcher) pick() (q int, any bool) {
	first, rest := len(d.ring[0]) > 0, len(d.ring[1]) > 0
	if first && rest {
		d.turn++
		if d.turn%2 == 0 && (d.flying[1]+1)*100 <= d.s.cfg.MaxInFlight*retryShare {
			return 1, true
		}
		return 0, true
	}
	if rest {
		return 1, true
	}
	return 0, first
}

func (d *dispatcher) begin(l *lane, q int, now time.Time) {
	p := d.unqueue(l, q)
	if expired(p, now) {
		d.end(p, webhook.Expired, codeExpired, "expires_at has passed")
		return
	}
	l.begin(now)
	d.flying[q]++
	p.part.inFlight++
	d.s.metrics.inFlight.Inc()
	d.work <- &try{parcel: p, lane: l, endpoint: l.endpoint, queue: q}
}

func (d *dispatcher) unqueue(l *lane, q int) *parcel {
	p := l.pop(q)
	d.queued--
	d.bytes -= int64(len(p.record.Value))
	return p
}

// finished gives the place back and holds the lane where the receiver asked for it.
func (d *dispatcher) finished(t *try) {
	l := t.lane
	l.end(t.took)
	d.flying[t.queue]--
	t.parcel.part.inFlight--
	d.s.metrics.inFlight.Dec()
	if t.hold != nil {
		l.hold(*t.hold)
		d.spill(l, time.Now())
	}
	d.offer(l, 0)
	d.offer(l, 1)
	d.checkLeaves()
}

// sleep is how long nothing can happen by itself.
func (d *dispatcher) sleep(now time.Time) time.Duration {
	wait := time.Hour
	if len(d.waits) > 0 {
		wait = d.waits[0].at.Sub(now)
	}
	if d.queued > 0 {
		if d.next.Before(now) {
			d.next = now.Add(tick)
		}
		wait = min(wait, d.next.Sub(now))
	}
	return max(wait, 0)
}

// wake brings what is due into its lane and parks what waited too long for a slow endpoint.
func (d *dispatcher) wake(now time.Time) {
	for len(d.waits) > 0 && !now.Before(d.waits[0].at) {
		a := heap.Pop(&d.waits).(alarm)
		if a.lane != nil {
			a.lane.waking = false
			d.offer(a.lane, 0)
			d.offer(a.lane, 1)
			continue
		}
		d.waiting -= int64(len(a.parcel.record.Value))
		d.admit(a.parcel, now)
	}
	if d.queued == 0 || now.Before(d.next) {
		return
	}
	d.next = now.Add(tick)
	for _, l := range d.lanes {
		d.spill(l, now)
	}
}

// spill parks what waits for a held endpoint, and what has waited too long where the endpoint, not the sink, is what
// it waits for.
func (d *dispatcher) spill(l *lane, now time.Time) {
	if l.waiting() == 0 {
		return
	}
	held := l.held.Sub(now) > spillAfter
	if free, _ := l.free(now); free && !held {
		return
	}
	for q := range l.queues {
		for len(l.queues[q]) > 0 && (held || now.Sub(l.queues[q][0].queued) >= spillAfter) {
			p := d.unqueue(l, q)
			if held {
				d.park(p, "held", l.held, now)
				continue
			}
			d.park(p, "slow", d.later(p, now), now)
		}
	}
}

// flow pauses partitions whose window is full, first attempts while the lanes are full, and waiting topics while
// memory is; it resumes them when half of that is free.
func (d *dispatcher) flow() {
	full := d.queued >= maxQueued || d.bytes >= maxHeldBytes
	half := d.queued >= maxQueued/2 || d.bytes >= maxHeldBytes/2
	stop, resume := map[string][]int32{}, map[string][]int32{}
	for _, p := range d.s.owned(nil) {
		crowded, relaxed := full, !half
		if p.tier != tierFirst {
			crowded, relaxed = full || d.waiting >= maxHeldBytes, !half && d.waiting < maxHeldBytes/2
		}
		span := p.span()
		switch {
		case !p.paused && (crowded || span >= window-maxPoll):
			p.paused = true
			stop[p.topic] = append(stop[p.topic], p.id)
		case p.paused && relaxed && span < window/2:
			p.paused = false
			resume[p.topic] = append(resume[p.topic], p.id)
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
	d.waits = slices.DeleteFunc(d.waits, func(a alarm) bool {
		gone := a.parcel != nil && a.parcel.part.leaving
		if gone {
			d.waiting -= int64(len(a.parcel.record.Value))
		}
		return gone
	})
	heap.Init(&d.waits)
	for _, lane := range d.lanes {
		for q := range lane.queues {
			lane.queues[q] = slices.DeleteFunc(lane.queues[q], func(p *parcel) bool {
				if p.part.leaving {
					d.queued--
					d.bytes -= int64(len(p.record.Value))
				}
				return p.part.leaving
			})
		}
	}
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

func (s *Sink) campaignStatus(id string) string {
	if s.cfg.CampaignStatus == nil || id == "" {
		return "active"
	}
	return s.cfg.CampaignStatus(id)
}

// alarm is something to do at a time: a delivery that is due, or a lane that may try again.
type alarm struct {
	at     time.Time
	parcel *parcel
	lane   *lane
}

// waits is the heap of alarms, the earliest first.
type waits []alarm

// Len implements heap.Interface.
func (w waits) Len() int { return len(w) }

// Less implements heap.Interface.
func (w waits) Less(i, j int) bool { return w[i].at.Before(w[j].at) }

// Swap implements heap.Interface.
func (w waits) Swap(i, j int) { w[i], w[j] = w[j], w[i] }

// Push implements heap.Interface.
func (w *waits) Push(x any) { *w = append(*w, x.(alarm)) }

// Pop implements heap.Interface.
func (w *waits) Pop() any {
	old := *w
	a := old[len(old)-1]
	old[len(old)-1] = alarm{}
	*w = old[:len(old)-1]
	return a
}
