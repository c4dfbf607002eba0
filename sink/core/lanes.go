package core

import (
	"slices"
	"time"
)

const (
	maxQueued  = 4096     // deliveries in all lanes before there is no room
	maxBytes   = 64 << 20 // of their values
	maxLanes   = 4096     // lanes before idle ones are forgotten
	retryShare = 30       // per cent of all places that Rest gets while First waits
)

// Lanes are all endpoints: they say which delivery is attempted next. Lanes that have something to do take turns, each
// within its own limits and all within one hard limit. They have one owner and know no time but the one they are given.
type Lanes[P any] struct {
	max    int // attempts at a time
	lanes  map[string]*Lane[P]
	ring   [queueCount][]*Lane[P]
	flying [queueCount]int
	queued int
	bytes  int64
	asleep Alarms[*Lane[P]]
	turn   int
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
		l = &Lane[P]{key: key, latency: firstLatency}
		ls.lanes[key] = l
	}
	l.use(limits)
	return l
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
		l.begin(now)
		ls.flying[q]++
		w := ls.pop(l, q)
		ls.offer(l, q)
		return Turn[P]{w.Parcel, l, q}, true
	}
	return t, false
}

// End gives a place back after an attempt that took so long; 0 where none was made.
func (ls *Lanes[P]) End(t Turn[P], took time.Duration) {
	ls.flying[t.queue]--
	t.Lane.inFlight--
	if took > 0 {
		t.Lane.learn(took)
	}
	ls.offer(t.Lane, First)
	ls.offer(t.Lane, Rest)
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
func (ls *Lanes[P]) Spill(now time.Time, park func(P)) {
	for _, l := range ls.lanes {
		if l.waiting() == 0 {
			continue
		}
		if free, _ := l.free(now); free {
			continue
		}
		for q := range queueCount {
			for len(l.queues[q]) > 0 && now.Sub(l.queues[q][0].Since) >= SpillAfter {
				park(ls.pop(l, q).Parcel)
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

// pick says which ring is served: Rest gets every second place, up to its share, while First waits.
func (ls *Lanes[P]) pick() (q Queue, any bool) {
	first, rest := len(ls.ring[First]) > 0, len(ls.ring[Rest]) > 0
	if first && rest {
		ls.turn++
		if ls.turn%2 == 0 && (ls.flying[Rest]+1)*100 <= ls.max*retryShare {
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
