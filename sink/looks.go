package sink

import (
	"time"

	"vigil/sink/core"
	"vigil/sink/standing"
)

// oldestAge is the age in seconds of the oldest unfinished delivery in a tier; 0 where there is none.
func (s *Sink) oldestAge(t core.Tier) float64 {
	oldest := time.Now().UnixMilli()
	now := oldest
	for _, p := range s.owned(nil) {
		if p.tier != t {
			continue
		}
		if since, any := p.Oldest(); any {
			oldest = min(oldest, since)
		}
	}
	return float64(now-oldest) / 1000
}

// loads asks the dispatcher what the busiest endpoints have to bear; nothing where it does not run or is late.
func (s *Sink) loads() []core.Load {
	answer := make(chan []core.Load, 1)
	select {
	case s.looks <- answer:
		return <-answer
	case <-s.drained:
	case <-time.After(tick):
	}
	return nil
}

// marks counts endpoints in a state. What was known of one that points elsewhere by now is no news.
func (s *Sink) marks(state standing.State) int {
	return s.board.Count(state, s.endpoints.Load().Address)
}
