package core

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	defaultCap    = 64                    // attempts in flight at one endpoint
	leastQueue    = 64                    // deliveries that a lane always takes
	mostQueue     = maxQueued / 2         // and at most: one endpoint alone does not stop the reading
	firstLatency  = 10 * time.Millisecond // of an endpoint that has not answered yet: a burst is no reason to park
	latencyWeight = 0.2
	patience      = 250 * time.Millisecond // without an answer before an endpoint is suspect; or 4 times its latency
	stuckAttempt  = time.Second            // a failure that took so long holds places that others need
	tiny          = 1e-9                   // what a share may lack for it is no decimal number
)

// SpillAfter is how long a delivery may wait for a place at its endpoint before it is parked (delivery 2).
const SpillAfter = 2 * time.Second

// Queue is one of the two queues of a lane.
type Queue int

// The queues: first attempts, and everything that comes from a retry or parked topic.
const (
	First Queue = iota
	Rest
	queueCount
)

// Limits are what an endpoint may be asked to bear.
type Limits struct {
	InFlight int     // attempts at a time; 0: 64
	Rate     float64 // attempts a second; 0: no limit
	Address  string  // where it is: once it is mended, what was learnt of it says nothing more
}

// shared are the limits of this instance: at least one attempt at a time, and rounded down, so that all instances together
// keep the limit.
func (l Limits) shared(share float64) (inFlight int, rate float64) {
	inFlight, rate = defaultCap, l.Rate
	if l.InFlight > 0 {
		inFlight = l.InFlight
	}
	if share > 0 && share < 1 {
		inFlight, rate = max(1, int(float64(inFlight)*share+tiny)), rate*share
	}
	return inFlight, rate
}

// Result is what an attempt told of its endpoint; the zero value where none was made.
type Result struct {
	At       time.Time     // when it ended
	Took     time.Duration // 0: no attempt was made
	Health   Health
	TimedOut bool
	Address  string // of the endpoint: once it is mended, its failures count anew
}

// Lane is one endpoint: two queues under one cap, one rate and one hold.
type Lane[P any] struct {
	key      string
	limits   Limits  // of the endpoint
	limit    int     // attempts at a time that this instance may make
	rate     float64 // attempts a second; 0: no limit
	ceiling  ceiling // the cap below the limit
	pace     pace
	queues   [queueCount][]Entry[P]
	ringed   [queueCount]bool // the queue is in the ring of its Lanes, or benched
	asleep   bool             // an alarm is set
	inFlight int
	limiter  *rate.Limiter // nil: no limit
	held     time.Time     // no attempt before
	latency  time.Duration // moving average of attempts
	heard    time.Time     // newest answer, or the first attempt since none was in flight
	failing  bool          // the newest attempts took long and failed
	suspect  bool          // counted among those that may hold up the others
	ill      time.Time     // the first failure since a success; zero: none
	ills     int           // failures from then on
	address  string        // that they were at
}

// Key is the name of the lane.
func (l *Lane[P]) Key() string { return l.key }

// Held is until when no attempt may begin; the zero time where nothing is held.
func (l *Lane[P]) Held() time.Time { return l.held }

// Ill is when the endpoint began to do nothing but fail, and how often it failed since then; the zero time where it does
// not.
func (l *Lane[P]) Ill() (since time.Time, failures int) { return l.ill, l.ills }

// Arrived takes note of a new delivery for the endpoint: that is its normal rate.
func (l *Lane[P]) Arrived(now time.Time) { l.pace.arrived(now) }

// Slot is when a delivery that comes back to the endpoint may enter the lane; false where it is to be parked again.
func (l *Lane[P]) Slot(now time.Time) (time.Time, bool) { return l.pace.next(now) }

// Troubled says that the endpoint is, or was until now, left alone: what comes back must not flood it.
func (l *Lane[P]) Troubled(now time.Time) { l.pace.sick = now }

// Book is when a delivery that is parked now is to come back: not before from, and spread as the endpoint can bear it.
func (l *Lane[P]) Book(from, now time.Time, chance float64) time.Time {
	perSecond := float64(l.cap()) / max(l.latency, time.Millisecond).Seconds()
	if l.pace.troubled(now) {
		perSecond = min(perSecond, l.pace.normal(now))
	}
	perSecond = max(paceLeast, perSecond)
	if l.limiter != nil {
		perSecond = min(perSecond, l.rate)
	}
	return l.pace.book(from, now, perSecond, chance)
}

// roomy tells whether another delivery would be served within SpillAfter at the pace of late: a slow endpoint gets a
// short queue, for what waits there would be parked anyway.
func (l *Lane[P]) roomy() bool {
	most := int64(l.cap()) * int64(SpillAfter) / int64(max(l.latency, time.Millisecond))
	if l.limiter != nil {
		most = min(most, int64(l.rate*SpillAfter.Seconds()))
	}
	return int64(l.waiting()) < max(leastQueue, min(most, mostQueue))
}

func (l *Lane[P]) cap() int { return l.ceiling.at(l.limit) }

// ramping tells whether the cap is still our caution and nothing that the endpoint has shown.
func (l *Lane[P]) ramping() bool {
	return l.cap() < l.limit && l.ceiling.places < l.ceiling.ramp && l.latency <= latencyTarget
}

func (l *Lane[P]) waiting() int { return len(l.queues[First]) + len(l.queues[Rest]) }

// At tells whether the endpoint is still at this address.
func (l *Lane[P]) At(address string) bool { return l.limits.Address == address }

// use takes over the newest limits, and the share of them that is ours. What was saved up is not given anew.
func (l *Lane[P]) use(limits Limits, share float64, now time.Time) {
	if !l.At(limits.Address) {
		l.held, l.latency, l.failing, l.ceiling = time.Time{}, firstLatency, false, newCeiling()
	}
	inFlight, perSecond := limits.shared(share)
	burst := max(1, int(perSecond/10))
	switch {
	case perSecond <= 0:
		l.limiter = nil
	case l.limiter == nil:
		l.limiter = rate.NewLimiter(rate.Limit(perSecond), burst)
	case perSecond != l.rate:
		l.limiter.SetLimitAt(now, rate.Limit(perSecond))
		l.limiter.SetBurstAt(now, burst)
	}
	l.limits, l.limit, l.rate = limits, inFlight, perSecond
}

// free tells whether an attempt may begin now; where only time is in the way, wake is when to ask again.
func (l *Lane[P]) free(now time.Time) (ok bool, wake time.Time) {
	switch {
	case l.inFlight >= l.cap():
		return false, time.Time{}
	case now.Before(l.held):
		return false, l.held
	case l.limiter == nil:
		return true, time.Time{}
	}
	missing := 1 - l.limiter.TokensAt(now)
	if missing <= 0 {
		return true, time.Time{}
	}
	return false, now.Add(time.Duration(missing/l.rate*float64(time.Second)) + time.Microsecond)
}

// begin spends a token and a place.
func (l *Lane[P]) begin(now time.Time) {
	if l.inFlight == 0 {
		l.heard = now
	}
	l.inFlight++
	if l.limiter != nil {
		l.limiter.AllowN(now, 1)
	}
}

// end gives the place back and learns from the attempt; strained says that its latency is our own doing.
func (l *Lane[P]) end(r *Result, strained bool) {
	full := l.inFlight >= l.cap()
	l.inFlight--
	if r.Took <= 0 || r.Health == Silent {
		return
	}
	switch {
	case r.Health == Well:
		l.ill, l.ills = time.Time{}, 0
	case r.Health == Ill && (l.ills == 0 || r.Address != l.address):
		l.ill, l.ills, l.address = r.At.Add(-r.Took), 1, r.Address
	case r.Health == Ill:
		l.ills++
	}
	l.latency += time.Duration(latencyWeight * float64(r.Took-l.latency))
	l.failing = r.Health == Ill && r.Took >= stuckAttempt
	if !l.failing {
		l.heard = r.At
	}
	latency := l.latency
	if strained {
		latency = 0
	}
	l.ceiling.learn(r, l.limit, full, latency)
}

// stuck tells whether attempts hold places for long without an answer; strain is what our own lateness explains.
func (l *Lane[P]) stuck(now time.Time, strain time.Duration) bool {
	return l.failing || l.inFlight > 0 && now.Sub(l.heard) > max(patience, 4*l.latency, strain)
}

// pop takes the oldest delivery of a queue.
func (l *Lane[P]) pop(q Queue) Entry[P] {
	queue := l.queues[q]
	w := queue[0]
	queue[0] = Entry[P]{}
	if l.queues[q] = queue[1:]; len(queue) == 1 {
		l.queues[q] = nil
	}
	return w
}

// idle tells whether the lane can be forgotten.
func (l *Lane[P]) idle(now time.Time) bool {
	return l.waiting() == 0 && l.inFlight == 0 && !l.asleep && !l.ringed[First] && !l.ringed[Rest] && now.After(l.held)
}
