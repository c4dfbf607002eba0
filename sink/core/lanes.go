package core

import (
	"cmp"
	"slices"
	"time"
)

const (
	maxQueued  = 16_384   // deliveries in all lanes before there is no room
	maxBytes   = 64 << 20 // of their values
	maxLanes   = 4096     // lanes before idle ones are forgotten
	retryShare = 30       // per cent of all places that Rest gets while First waits
	stuckShare = 25       // per cent that all endpoints together hold that do not answer

	lateWeight = 0.2
	lateLeast  = 20 * time.Millisecond // lateness of ours that says anything
)

// Lanes are all endpoints: they say which delivery is attempted next. Lanes that have something to do take turns, each
// within its own limits and all within one hard limit. They have one owner and know no time but the one they are given.
type Lanes[P any] struct {
	max    int     // attempts at a time
	share  float64 // of the limits of all endpoints that this instance may use: that of its partitions; 0: all
	lanes  map[string]*Lane[P]
	ring   [queueCount][]*Lane[P]
	flying [queueCount]int
	queued int
	bytes  int64
	asleep Alarms[*Lane[P]]
	turn   int

	suspects int           // places held by endpoints that do not answer
	benched  []seat[P]     // queues that wait for one of those places
	late     time.Duration // moving average of our own lateness
}

// seat is one queue of one lane.
type seat[P any] struct {
	lane  *Lane[P]
	queue Queue
}

// Turn is one place given to one delivery.
type Turn[P any] struct {
	Parcel P
	Lane   *Lane[P]
	queue  Queue
}

// NewLanes makes lanes for at most max attempts at a time.
func NewLanes[P any](max int) *Lanes[P] { return &Lanes[P]{max: max, lanes: map[string]*Lane[P]{}} }

// Lane is the lane with this key, under these limits from now on.
func (ls *Lanes[P]) Lane(key string, limits Limits, now time.Time) *Lane[P] {
	l := ls.lanes[key]
	if l == nil {
		ls.forgetIdle(now)
		l = &Lane[P]{key: key, latency: firstLatency, ceiling: newCeiling()}
		ls.lanes[key] = l
	}
	l.use(limits, ls.share, now)
	return l
}

// Share says which part of all limits is ours from now on, for what waits already too.
func (ls *Lanes[P]) Share(share float64, now time.Time) {
	if share == ls.share {
		return
	}
	ls.share = share
	for _, l := range ls.lanes {
		l.use(l.limits, share, now)
	}
}

func (ls *Lanes[P]) forgetIdle(now time.Time) {
	if len(ls.lanes) < maxLanes {
		return
	}
	for key, l := range ls.lanes {
		if l.idle(now) {
			delete(ls.lanes, key)
		}
	}
}

// Entry is a delivery about to wait.
type Entry[P any] struct {
	Parcel P
	Queue  Queue
	Size   int64     // bytes of memory it holds
	Since  time.Time // now
}

// Enter queues a delivery.
func (ls *Lanes[P]) Enter(l *Lane[P], e Entry[P]) {
	l.queues[e.Queue] = append(l.queues[e.Queue], e)
	ls.queued++
	ls.bytes += e.Size
	ls.offer(l, e.Queue)
}

// Waiting is the number of deliveries in all lanes.
func (ls *Lanes[P]) Waiting() int { return ls.queued }

// InFlight is the number of places taken.
func (ls *Lanes[P]) InFlight() int { return ls.flying[First] + ls.flying[Rest] }

// Crowded tells whether nothing more should be read; Relaxed, whether half of the room is free again.
func (ls *Lanes[P]) Crowded() bool { return ls.queued >= maxQueued || ls.bytes >= maxBytes }

// Relaxed tells whether half of the room is free.
func (ls *Lanes[P]) Relaxed() bool { return ls.queued < maxQueued/2 && ls.bytes < maxBytes/2 }

// Next gives a place to the next delivery; false where none may begin now.
func (ls *Lanes[P]) Next(now time.Time) (t Turn[P], ok bool) {
	ls.wake(now)
	for ls.InFlight() < ls.max {
		q, any := ls.pick()
		if !any {
			return t, false
		}
		l := ls.ring[q][0]
		ls.ring[q] = ls.ring[q][1:]
		l.ringed[q] = false
		if len(l.queues[q]) == 0 {
			continue
		}
		if free, wake := l.free(now); !free {
			ls.sleep(l, wake)
			continue
		}
		if ls.judge(l, now); ls.barred(l) {
			l.ringed[q] = true
			ls.benched = append(ls.benched, seat[P]{l, q})
			continue
		}
		l.begin(now)
		if l.suspect {
			ls.suspects++
		}
		ls.flying[q]++
		w := ls.pop(l, q)
		ls.offer(l, q)
		return Turn[P]{w.Parcel, l, q}, true
	}
	return t, false
}

// End gives a place back; r is the zero value where no attempt was made.
func (ls *Lanes[P]) End(t Turn[P], r Result) {
	ls.flying[t.queue]--
	if t.Lane.suspect {
		ls.suspects--
	}
	t.Lane.end(&r, ls.strained(t.Lane))
	if r.Took > 0 {
		ls.judge(t.Lane, r.At)
	}
	ls.unbench()
	ls.offer(t.Lane, First)
	ls.offer(t.Lane, Rest)
}

// Late tells how late we were at something that was to be done at a known time: where it is much, it is we who are slow
// and not the endpoints.
func (ls *Lanes[P]) Late(by time.Duration) {
	ls.late += time.Duration(lateWeight * float64(max(by, 0)-ls.late))
}

// strained tells whether our own lateness explains the latency of an endpoint.
func (ls *Lanes[P]) strained(l *Lane[P]) bool {
	return ls.late >= lateLeast && l.latency < strainFactor*ls.late
}

// Room tells whether another delivery may wait in the lane. Only where the endpoint is what its deliveries wait for is
// there none: where the common limit is, or this machine, parking would only add work.
func (ls *Lanes[P]) Room(l *Lane[P], now time.Time) bool {
	return l.roomy() || !ls.bottleneck(l, now)
}

// bottleneck tells whether the endpoint, and not the common limit or this machine, is what its deliveries wait for.
func (ls *Lanes[P]) bottleneck(l *Lane[P], now time.Time) bool {
	ls.judge(l, now)
	free, wake := l.free(now)
	switch {
	case free:
		return ls.barred(l)
	case !wake.IsZero(): // held, or no token
		return true
	}
	return l.cap() < ls.max && (l.suspect || !l.ramping()) && !ls.strained(l)
}

// judge counts the places of an endpoint among those of the suspects while it does not answer.
func (ls *Lanes[P]) judge(l *Lane[P], now time.Time) {
	if stuck := l.stuck(now, strainFactor*ls.late); stuck != l.suspect {
		l.suspect = stuck
		if stuck {
			ls.suspects += l.inFlight
		} else {
			ls.suspects -= l.inFlight
		}
	}
}

// barred tells whether the suspects hold all the places that they may have; a handful of places is not divided.
func (ls *Lanes[P]) barred(l *Lane[P]) bool {
	quota := ls.max * stuckShare / 100
	return l.suspect && quota > 0 && ls.suspects >= quota
}

// unbench lets queues try again that were barred and are not any more.
func (ls *Lanes[P]) unbench() {
	ls.benched = slices.DeleteFunc(ls.benched, func(s seat[P]) bool {
		if ls.barred(s.lane) {
			return false
		}
		s.lane.ringed[s.queue] = false
		ls.offer(s.lane, s.queue)
		return true
	})
}

// Hold keeps a lane from trying before the given time and hands what waits in it to park.
func (ls *Lanes[P]) Hold(l *Lane[P], until, now time.Time, park func(P)) {
	if until.After(l.held) {
		l.held = until
	}
	if l.held.Sub(now) <= SpillAfter {
		return
	}
	for q := range queueCount {
		for len(l.queues[q]) > 0 {
			park(ls.pop(l, q).Parcel)
		}
	}
}

// Spill hands to park what has waited for SpillAfter where the endpoint, and not the common limit, is what it waits for.
func (ls *Lanes[P]) Spill(now time.Time, park func(*Lane[P], P)) {
	for _, l := range ls.lanes {
		if l.waiting() == 0 {
			continue
		}
		if !ls.bottleneck(l, now) {
			continue
		}
		for q := range queueCount {
			for len(l.queues[q]) > 0 && now.Sub(l.queues[q][0].Since) >= SpillAfter {
				park(l, ls.pop(l, q).Parcel)
			}
		}
	}
}

// Drop forgets what waits and is gone.
func (ls *Lanes[P]) Drop(gone func(P) bool) {
	for _, l := range ls.lanes {
		for q := range queueCount {
			l.queues[q] = slices.DeleteFunc(l.queues[q], func(w Entry[P]) bool {
				drop := gone(w.Parcel)
				if drop {
					ls.queued--
					ls.bytes -= w.Size
				}
				return drop
			})
		}
	}
}

// NextWake is when Next should be asked again though nothing happened; false where never.
func (ls *Lanes[P]) NextWake() (time.Time, bool) { return ls.asleep.Next() }

// pick says which ring is served: Rest gets every second place, up to its share, while First waits. Where that share is
// less than a place, it gets one every fourth time.
func (ls *Lanes[P]) pick() (q Queue, any bool) {
	first, rest := len(ls.ring[First]) > 0, len(ls.ring[Rest]) > 0
	if first && rest {
		ls.turn++
		if ls.turn%2 == 0 && (ls.flying[Rest]+1)*100 <= ls.max*retryShare || ls.turn%4 == 0 && ls.flying[Rest] == 0 {
			return Rest, true
		}
		return First, true
	}
	if rest {
		return Rest, true
	}
	return First, first
}

// offer puts a queue with something in it into the ring, once.
func (ls *Lanes[P]) offer(l *Lane[P], q Queue) {
	if !l.ringed[q] && len(l.queues[q]) > 0 {
		l.ringed[q] = true
		ls.ring[q] = append(ls.ring[q], l)
	}
}

// sleep sets an alarm for a lane that only time holds back; without one it is offered again when an attempt ends.
func (ls *Lanes[P]) sleep(l *Lane[P], until time.Time) {
	if !until.IsZero() && !l.asleep {
		l.asleep = true
		ls.asleep.Add(until, l)
	}
}

func (ls *Lanes[P]) wake(now time.Time) {
	for {
		l, ok := ls.asleep.Due(now)
		if !ok {
			return
		}
		l.asleep = false
		ls.offer(l, First)
		ls.offer(l, Rest)
	}
}

func (ls *Lanes[P]) pop(l *Lane[P], q Queue) Entry[P] {
	w := l.pop(q)
	ls.queued--
	ls.bytes -= w.Size
	return w
}

// Load is what one endpoint has to bear now.
type Load struct {
	Endpoint string // empty: all others together
	InFlight int
	Waiting  int
	Cap      int // attempts at a time that it gets
}

// Busiest are the loads of the n endpoints with most in flight and waiting, and the sum of all others.
func (ls *Lanes[P]) Busiest(n int) []Load {
	all := make([]Load, 0, len(ls.lanes))
	for key, l := range ls.lanes {
		all = append(all, Load{key, l.inFlight, l.waiting(), l.cap()})
	}
	slices.SortFunc(all, func(a, b Load) int {
		return cmp.Or(cmp.Compare(b.InFlight+b.Waiting, a.InFlight+a.Waiting), cmp.Compare(a.Endpoint, b.Endpoint))
	})
	if len(all) <= n {
		return all
	}
	rest := Load{}
	for _, l := range all[n:] {
		rest.InFlight, rest.Waiting, rest.Cap = rest.InFlight+l.InFlight, rest.Waiting+l.Waiting, rest.Cap+l.Cap
	}
	return append(all[:n], rest)
}
