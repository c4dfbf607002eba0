package sink

import (
	"time"

	"golang.org/x/time/rate"

	"vigil/webhook"
)

const (
	defaultCap    = 64              // attempts in flight at one endpoint
	leastQueue    = 64              // deliveries that a lane always takes
	mostQueue     = 4096            // and at most
	spillAfter    = 2 * time.Second // a delivery that waited so long for its endpoint is parked
	firstLatency  = 100 * time.Millisecond
	latencyWeight = 0.2
)

// parcel is a delivery in hand: what was read, and where its offset is kept.
type parcel struct {
	d      *webhook.Delivery // nil: the record is no delivery
	bad    error             // why d is nil
	record recordView
	part   *partition
	seq    uint64
	lane   string
	due    time.Time // when it may be tried
	queued time.Time // since when it waits in its lane
	again  bool      // from a retry or parked topic: it waits in the second queue
}

// lane is one endpoint as the dispatcher sees it: two queues, first attempts and the rest, under one cap. It has one
// owner, the dispatcher.
type lane struct {
	key      string
	endpoint *endpoint
	queues   [2][]*parcel // first attempts; retries and what was parked
	ringed   [2]bool      // the queue is in the dispatcher's ring
	waking   bool         // an alarm is set
	inFlight int
	limiter  *rate.Limiter // nil: no limit
	held     time.Time     // no attempt before
	latency  time.Duration // moving average of attempts
}

func newLane(key string, e *endpoint) *lane {
	l := &lane{key: key, latency: firstLatency}
	l.use(e)
	return l
}

// use takes over the newest version of the endpoint.
func (l *lane) use(e *endpoint) {
	if l.endpoint == e {
		return
	}
	if e.rate <= 0 {
		l.limiter = nil
	} else if l.limiter == nil || l.endpoint.rate != e.rate {
		l.limiter = rate.NewLimiter(rate.Limit(e.rate), max(1, int(e.rate/10)))
	}
	l.endpoint = e
}

func (l *lane) cap() int {
	if l.endpoint.inFlight > 0 {
		return l.endpoint.inFlight
	}
	return defaultCap
}

func (l *lane) waiting() int { return len(l.queues[0]) + len(l.queues[1]) }

// room tells whether another delivery would be served within spillAfter at the pace of late: a slow endpoint gets a
// short queue, for what waits there would be parked anyway.
func (l *lane) room() bool {
	most := int64(l.cap()) * int64(spillAfter) / int64(max(l.latency, time.Millisecond))
	if l.limiter != nil {
		most = min(most, int64(l.endpoint.rate*spillAfter.Seconds()))
	}
	return int64(l.waiting()) < max(leastQueue, min(most, mostQueue))
}

// free tells whether an attempt may begin now; where only time is in the way, wake is when to ask again.
func (l *lane) free(now time.Time) (ok bool, wake time.Time) {
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
	return false, now.Add(time.Duration(missing/l.endpoint.rate*float64(time.Second)) + time.Microsecond)
}

// begin spends a token and a place.
func (l *lane) begin(now time.Time) {
	l.inFlight++
	if l.limiter != nil {
		l.limiter.AllowN(now, 1)
	}
}

// end gives the place back.
func (l *lane) end(took time.Duration) {
	l.inFlight--
	l.latency += time.Duration(latencyWeight * float64(took-l.latency))
}

// hold keeps the lane from trying before the given time.
func (l *lane) hold(until time.Time) {
	if until.After(l.held) {
		l.held = until
	}
}

// pop takes the oldest delivery of a queue.
func (l *lane) pop(queue int) *parcel {
	q := l.queues[queue]
	p := q[0]
	q[0] = nil
	if l.queues[queue] = q[1:]; len(q) == 1 {
		l.queues[queue] = nil
	}
	return p
}

// idle tells whether the lane can be forgotten.
func (l *lane) idle(now time.Time) bool {
	return l.waiting() == 0 && l.inFlight == 0 && now.After(l.held) && !l.waking && !l.ringed[0] && !l.ringed[1]
}
