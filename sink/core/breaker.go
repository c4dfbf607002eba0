package core

import "time"

// The breaker of delivery 4.
const (
	tripRow     = 10               // failures one after the other
	tripSample  = 20               // attempts within tripWindow before their share counts
	tripShare   = 50               // per cent of them that failed
	tripBuckets = 10               // of tripWindow
	tripBucket  = 3 * time.Second  // of them
	openLeast   = 10 * time.Second // the first opening; each one that follows a failed probe is twice as long
	openMost    = 5 * time.Minute
	rampRoom    = 8      // attempts at a time at which a half-open breaker closes
	maxBreakers = 16_384 // before those that have nothing to remember are forgotten
	sweepLeast  = time.Second
	sweepMost   = time.Minute  // between two looks at what can be forgotten
	abandoned   = 2 * LongPark // nobody came back to a probe: whatever was parked has been back by then, or has expired
)

// Health is what an attempt says of the endpoint (delivery 3, last column).
type Health uint8

// The states of health. Silent says nothing: the attempt was cut off, or the fault is ours.
const (
	Silent Health = iota
	Ill           // no answer, 5xx or 429
	Alive         // an answer that is neither
	Well          // success
)

// HealthOf reads an answer.
func HealthOf(a *Answer) Health {
	class := a.Class
	if !a.Failed {
		class = StatusClass(a.Status)
	}
	switch {
	case class == Success:
		return Well
	case class == Retryable && (a.Failed || a.Status == 429 || a.Status >= 500 || a.Status < 200):
		return Ill
	case a.Failed:
		return Silent
	}
	return Alive
}

// BreakerKey names a breaker: what one campaign sends to one host:port.
type BreakerKey struct{ Campaign, Host string }

// Breakers keep attempts from endpoints that fail, one breaker a key. They have one owner and no clock of their own.
type Breakers struct {
	all   map[BreakerKey]*breaker
	open  int
	swept time.Time
}

// Ticket is the right to one attempt; End takes it back.
type Ticket struct {
	b          *breaker
	generation uint64
}

type phase uint8

const (
	closed phase = iota
	open
	halfOpen
)

// breaker is one breaker. A generation ends where it opens, and where it lets a probe through: what an attempt of an
// earlier generation says is old news.
type breaker struct {
	phase      phase
	generation uint64
	row        int
	buckets    [tripBuckets]bucket
	opening    time.Duration // the length of the newest opening
	until      time.Time     // of it
	flying     int           // while half-open
	room       int           // attempts at a time while half-open: 1, and one more for each success
	touched    time.Time
}

type bucket struct {
	slot          int64
	total, failed int
}

// NewBreakers makes breakers, all closed.
func NewBreakers() *Breakers { return &Breakers{all: map[BreakerKey]*breaker{}} }

// Open is the number of breakers that are not closed.
func (bs *Breakers) Open() int { return bs.open }

// Look tells whether an attempt could begin now; where not, until is when to come back: the time of the next probe, or
// now where one is under way.
func (bs *Breakers) Look(key BreakerKey, now time.Time) (until time.Time, ok bool) {
	b := bs.all[key]
	switch {
	case b == nil || b.phase == closed:
		return now, true
	case b.phase == open:
		return b.until, !now.Before(b.until)
	}
	return now, b.flying < b.room
}

// Begin gives the right to one attempt, or says when to come back, as Look.
func (bs *Breakers) Begin(key BreakerKey, now time.Time) (t Ticket, until time.Time, ok bool) {
	if until, ok = bs.Look(key, now); !ok {
		return t, until, false
	}
	bs.sweep(now)
	b := bs.all[key]
	if b == nil {
		b = &breaker{}
		bs.all[key] = b
	}
	b.touched = now
	if b.phase == open {
		b.phase, b.flying, b.room = halfOpen, 0, 1
		b.generation++
	}
	if b.phase == halfOpen {
		b.flying++
	}
	return Ticket{b, b.generation}, now, true
}

// End takes in what the attempt said; opened tells that the breaker has opened on it.
func (bs *Breakers) End(t Ticket, h Health, now time.Time) (opened bool) {
	b := t.b
	if b == nil || t.generation != b.generation {
		return false
	}
	if b.phase == halfOpen {
		return bs.probed(b, h, now)
	}
	switch h {
	case Silent:
		return false
	case Ill:
		b.row++
	default:
		b.row = 0
	}
	total, failed := b.count(h, now)
	if b.row < tripRow && (total < tripSample || failed*100 < total*tripShare) {
		return false
	}
	bs.open++
	b.trip(now)
	return true
}

// probed is End while half-open: a failure opens again for twice as long, each success makes room for one more, and
// enough of them close it.
func (bs *Breakers) probed(b *breaker, h Health, now time.Time) (opened bool) {
	b.flying--
	switch h {
	case Silent:
	case Ill:
		b.trip(now)
		return true
	default:
		if b.room++; b.room >= rampRoom {
			bs.open--
			*b = breaker{generation: b.generation + 1, touched: now}
		}
	}
	return false
}

func (b *breaker) trip(now time.Time) {
	b.opening = min(openMost, max(openLeast, 2*b.opening))
	*b = breaker{phase: open, generation: b.generation + 1, opening: b.opening, until: now.Add(b.opening), touched: now}
}

// count adds an attempt to the window and returns what the window holds.
func (b *breaker) count(h Health, now time.Time) (total, failed int) {
	slot := now.UnixNano() / int64(tripBucket)
	at := &b.buckets[slot%tripBuckets]
	if at.slot != slot {
		*at = bucket{slot: slot}
	}
	at.total++
	if h == Ill {
		at.failed++
	}
	for i := range b.buckets {
		if e := &b.buckets[i]; e.slot > slot-tripBuckets {
			total, failed = total+e.total, failed+e.failed
		}
	}
	return total, failed
}

// sweep forgets breakers that nobody comes back to, so that campaigns and hosts of the past take no room: open ones for
// good after a while, and closed ones, whose row of failures may go on after days, where there are too many. A look is at
// all of them, hence not at every attempt.
func (bs *Breakers) sweep(now time.Time) {
	since, full := now.Sub(bs.swept), len(bs.all) >= maxBreakers
	if since < sweepLeast || since < sweepMost && !full {
		return
	}
	bs.swept = now
	for key, b := range bs.all {
		switch {
		case b.phase == closed && full && now.Sub(b.touched) > tripBuckets*tripBucket:
		case b.phase != closed && b.flying == 0 && now.Sub(later(b.touched, b.until)) > abandoned:
			bs.open--
		default:
			continue
		}
		b.generation++ // what is still in flight is old news
		delete(bs.all, key)
	}
}
