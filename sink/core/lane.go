package core

import (
	"time"

	"golang.org/x/time/rate"
)

const (
	defaultCap    = 64                    // attempts in flight at one endpoint
	leastQueue    = 64                    // deliveries that a lane always takes
	mostQueue     = 2 * maxQueued         // and at most: beyond what makes all lanes crowded
	firstLatency  = 10 * time.Millisecond // of an endpoint that has not answered yet: a burst is no reason to park
	latencyWeight = 0.2
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
}

// Lane is one endpoint: two queues under one cap, one rate and one hold.
type Lane[P any] struct {
	key      string
	limits   Limits
	queues   [queueCount][]Entry[P]
	ringed   [queueCount]bool // the queue is in the ring of its Lanes
	asleep   bool             // an alarm is set
	inFlight int
	limiter  *rate.Limiter // nil: no limit
	held     time.Time     // no attempt before
	latency  time.Duration // moving average of attempts
}

// Held is until when no attempt may begin; the zero time where nothing is held.
func (l *Lane[P]) Held() time.Time { return l.held }

// Room tells whether another delivery would be served within SpillAfter at the pace of late: a slow endpoint gets a
// short queue, for what waits there would be parked anyway.
func (l *Lane[P]) Room() bool {
	most := int64(l.cap()) * int64(SpillAfter) / int64(max(l.latency, time.Millisecond))
	if l.limiter != nil {
		most = min(most, int64(l.limits.Rate*SpillAfter.Seconds()))
	}
	return int64(l.waiting()) < max(leastQueue, min(most, mostQueue))
}

func (l *Lane[P]) cap() int {
	if l.limits.InFlight > 0 {
		return l.limits.InFlight
	}
	return defaultCap
}

func (l *Lane[P]) waiting() int { return len(l.queues[First]) + len(l.queues[Rest]) }

// use takes over the newest limits.
func (l *Lane[P]) use(limits Limits) {
	if limits.Rate != l.limits.Rate {
		l.limiter = nil
		if limits.Rate > 0 {
			l.limiter = rate.NewLimiter(rate.Limit(limits.Rate), max(1, int(limits.Rate/10)))
		}
	}
	l.limits = limits
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
	return false, now.Add(time.Duration(missing/l.limits.Rate*float64(time.Second)) + time.Microsecond)
}

// begin spends a token and a place.
func (l *Lane[P]) begin(now time.Time) {
	l.inFlight++
	if l.limiter != nil {
		l.limiter.AllowN(now, 1)
	}
}

// learn adds the time of an attempt to the average.
func (l *Lane[P]) learn(took time.Duration) {
	l.latency += time.Duration(latencyWeight * float64(took-l.latency))
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
