package processor

import (
	"fmt"
	"time"
)

// toldEvery is how often a long restore is told of in the log.
const toldEvery = 5 * time.Second

// reading is how far a restore has come with the changelog.
type reading struct {
	from, end int64
	began     time.Time
	told      time.Time // last
}

// read notes that a restore has come to an offset.
func (s *session) read(r *restored, at *reading) {
	left, now := max(at.end-r.offset, 0), time.Now()
	s.metrics.restoreLag.WithLabelValues(r.part.label()).Set(float64(left))
	rate := float64(r.offset-at.from) / max(now.Sub(at.began).Seconds(), 1e-3)
	eta := time.Duration(float64(left) / max(rate, 1) * float64(time.Second)).Round(100 * time.Millisecond)
	s.status(r.part.id, fmt.Sprintf("restoring, %d of %d records to go, %.0f/s, about %v more", left, at.end-at.from, rate, eta))
	if now.Sub(at.told) >= toldEvery {
		at.told = now
		s.cfg.Log.Info().Int32("partition", r.part.id).Int64("records_to_go", left).Float64("records_per_second", rate).
			Dur("eta", eta).Msg("restoring")
	}
}

// waits notes what a stop waits for.
func (p *Processor) waits(what string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiting = what
}

// Waits tells what a stop waits for, and how far that is; empty while nothing stops. It may be called at any time.
func (p *Processor) Waits() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.waiting
}
