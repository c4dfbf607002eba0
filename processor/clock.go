package processor

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// The caught-up clock (semantics 2.3): at the wall time W the ends of the inputs are asked for; a partition that has
// then read up to them has seen all that was appended before W, so its clock may follow to W - grace. A partition that
// lags stays behind, however late it is.

// observed is an answer to "where do the inputs end", with when it was asked.
type observed struct {
	at   int64 // ms
	ends []kadm.ListedOffsets
}

// end is where topic i of a partition ended; false where the answer does not say.
func (o *observed) end(i int, topics []string, id int32) (int64, bool) {
	for _, ends := range o.ends {
		if l, ok := ends.Lookup(topics[i], id); ok {
			return l.Offset, l.Err == nil
		}
	}
	return 0, false
}

// endOffsets asks for ends in the background, one request at a time.
type endOffsets struct {
	mu     sync.Mutex
	asking bool      // guarded by mu
	answer *observed // guarded by mu
	asked  time.Time // guarded by mu
}

// take gives the newest answer, once.
func (e *endOffsets) take() *observed {
	e.mu.Lock()
	defer e.mu.Unlock()
	answer := e.answer
	e.answer = nil
	return answer
}

// askEnds asks where the inputs end, where the answer could let a clock move: something is due by the wall clock, or
// records wait for another input.
func (s *session) askEnds(ctx context.Context) {
	now := time.Now()
	wall := now.Add(-s.cfg.ClockGrace).UnixMilli()
	needed := false
	for _, part := range s.partitions {
		if part.engine != nil && (part.waits() || part.engine.NextDue() <= wall && part.engine.Clock() < wall) {
			needed = true
		}
	}
	s.ends.mu.Lock()
	defer s.ends.mu.Unlock()
	if !needed || s.ends.asking || now.Sub(s.ends.asked) < tick/2 {
		return
	}
	s.ends.asking, s.ends.asked = true, now
	s.group.Go(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		ends, err := s.adm.ListEndOffsets(ctx, s.inputs...)
		s.ends.mu.Lock()
		defer s.ends.mu.Unlock()
		s.ends.asking = false
		if err != nil {
			s.cfg.Log.Warn().Err(err).Msg("the ends of the inputs are not known, clocks stand still")
			return nil
		}
		s.ends.answer = &observed{at: now.UnixMilli(), ends: []kadm.ListedOffsets{ends}}
		s.tell(change{})
		return nil
	})
}

// settle lets the clock follow the wall clock where the partition has read all there is and something is due.
func (p *partition) settle(ends *observed) error {
	if ends == nil {
		return nil
	}
	wall := ends.at - p.cfg.ClockGrace.Milliseconds()
	if p.engine.NextDue() > wall || p.engine.Clock() == math.MinInt64 {
		return nil
	}
	for i, topic := range p.inputs() {
		end, ok := ends.end(i, p.inputs(), p.id)
		if !ok || p.next[i] < end {
			p.metrics.behind.WithLabelValues(topic).Inc()
			return nil
		}
	}
	p.target = wall
	return p.follow()
}

// follow brings the clock to the target. How far it came is journalled, for the rest may be another's to do: a replay
// that moves it as far settles the same.
func (p *partition) follow() error {
	if p.target == 0 {
		return nil
	}
	arrived, err := p.advance(p.target)
	if err != nil {
		return err
	}
	p.noteClock(p.engine.Clock())
	if arrived {
		p.target = 0
	}
	return nil
}

// advance moves the engine's clock and settles what that makes due until the load is enough; false means that it has
// not arrived.
func (p *partition) advance(clock int64) (arrived bool, err error) {
	p.moved = true
	arrived, err = p.engine.Settle(clock, p.settled)
	p.halfway = !arrived
	p.more = p.more || !arrived
	return arrived, err
}
