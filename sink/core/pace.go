package core

import (
	"math"
	"time"
)

// The pace at which deliveries come back to an endpoint after trouble (delivery 4: a recovery surge stays below three
// times the normal rate): new ones come at the normal rate, what was parked or failed is given as much again.
const (
	paceMemory = time.Minute      // over which arrivals are averaged
	paceYoung  = 30 * time.Second // the least time that an average is taken over
	paceFade   = time.Hour        // in which a rate of the past fades to 1/e
	paceLeast  = 1.0              // a second: an endpoint that is not used much takes that
	paceAfter  = 6 * time.Minute  // trouble, or more than fits: whatever was parked has been back by then
)

// pace knows the normal rate of one endpoint: how fast new deliveries arrive for it, or arrived of late.
type pace struct {
	begun  time.Time // of the first arrival
	last   time.Time // arrival
	recent float64   // a second: exponential average
	peak   float64   // a second: the highest average, fading
	slot   time.Time // the next place for what comes back
	sick   time.Time // the newest trouble; zero: none
	booked time.Time // until when parked deliveries are spread
}

// arrived takes note of a new delivery.
func (p *pace) arrived(now time.Time) {
	if p.begun.IsZero() {
		p.begun, p.last = now, now
	}
	since := now.Sub(p.last)
	p.last = now
	p.recent = p.recent*fade(since, paceMemory) + 1/paceMemory.Seconds()
	age := max(paceYoung, now.Sub(p.begun))
	p.peak = max(p.peak*fade(since, paceFade), p.recent/(1-fade(age, paceMemory)))
}

// normal is the rate, a second.
func (p *pace) normal(now time.Time) float64 {
	return max(paceLeast, p.peak*fade(now.Sub(p.last), paceFade))
}

// troubled tells whether what comes back is held to the pace.
func (p *pace) troubled(now time.Time) bool { return !p.sick.IsZero() && now.Sub(p.sick) < paceAfter }

// next takes the next place for a delivery that comes back; false where that is further off than SpillAfter.
func (p *pace) next(now time.Time) (at time.Time, ok bool) {
	if !p.troubled(now) {
		return now, true
	}
	at = later(now, p.slot)
	if at.Sub(now) > SpillAfter {
		p.sick = now
		return at, false
	}
	p.slot = at.Add(spacing(p.normal(now)))
	return at, true
}

// book is when a delivery that is parked now should come back: not before from, nor within ShortPark, and one after the
// other at the given rate, so that a backlog comes back spread. Beyond LongPark it is anywhere within LongPark: by then
// more will be known. Chance is in [0, 1).
func (p *pace) book(from, now time.Time, rate, chance float64) time.Time {
	if from.Before(now.Add(ShortPark)) && !from.After(now) {
		from = now.Add(ShortPark)
	}
	at := later(from, p.booked)
	if at.Sub(from) > LongPark-ShortPark {
		return from.Add(time.Duration(chance * float64(LongPark-ShortPark)))
	}
	p.booked = at.Add(spacing(rate))
	return at
}

func spacing(rate float64) time.Duration { return time.Duration(float64(time.Second) / rate) }

func fade(since, over time.Duration) float64 { return math.Exp(-since.Seconds() / over.Seconds()) }

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
