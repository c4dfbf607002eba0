package core

import "time"

const (
	ceilingFirst  = 16          // attempts at a time at an endpoint that is not known yet
	ceilingLeast  = 2           // whatever happens (delivery 4)
	latencyTarget = time.Second // slower than that, an endpoint gets fewer places: they are held for longer
	latencyCut    = 0.7
	strainFactor  = 10 // an average latency below that many times our own lateness is our doing
)

// ceiling is the adaptive cap of one endpoint: it doubles with each round of answers at first, then grows by one a
// round, is halved by timeouts and cut by latency. It never grows beyond what is used.
type ceiling struct {
	places float64
	ramp   float64   // below it, growth is by one an answer
	cut    time.Time // attempts that began before say nothing more
}

func newCeiling() ceiling { return ceiling{places: ceilingFirst, ramp: mostQueue} }

// at is the cap below the limit of the endpoint.
func (c *ceiling) at(limit int) int { return min(limit, int(max(c.places, ceilingLeast))) }

// learn takes in one attempt: r is what came of it, full whether all places were taken, latency the average.
func (c *ceiling) learn(r *Result, limit int, full bool, latency time.Duration) {
	began := r.At.Add(-r.Took)
	slow := max(ceilingLeast, float64(limit)*float64(latencyTarget)/float64(max(latency, 1)))
	switch {
	case r.TimedOut:
		c.shrink(began, r.At, max(ceilingLeast, c.at(limit)/2))
	case latency > latencyTarget && float64(c.at(limit)) > slow:
		c.shrink(began, r.At, int(max(slow, latencyCut*float64(c.at(limit)))))
	case r.Health < Alive || !full || c.places >= float64(limit) || latency > latencyTarget:
	case c.places < c.ramp:
		c.places++
	default:
		c.places += 1 / c.places
	}
}

// shrink cuts the cap, once for all attempts that were under way together.
func (c *ceiling) shrink(began, now time.Time, to int) {
	if began.Before(c.cut) {
		return
	}
	c.places, c.ramp, c.cut = float64(to), float64(to), now
}
