package processor

import (
	"math"

	"github.com/twmb/franz-go/pkg/kgo"
)

// maxQueued is how many records of an input may wait for another input before it is no longer fetched.
const maxQueued = 100_000

// throttle stops fetching an input of which too much waits for another one, and goes on when little does.
func (s *session) throttle(p *partition) {
	if len(s.inputs) == 1 || p.engine == nil {
		return
	}
	for i, topic := range s.inputs {
		which := map[string][]int32{topic: {p.id}}
		switch n := len(p.queue[i]); {
		case n > maxQueued && !p.held[i]:
			p.held[i] = true
			s.kafka.Client().PauseFetchPartitions(which)
		case n < maxQueued/2 && p.held[i]:
			p.held[i] = false
			s.kafka.Client().ResumeFetchPartitions(which)
		}
	}
}

// waits tells whether records wait for another input to be known.
func (p *partition) waits() bool {
	if len(p.next) == 1 {
		return false
	}
	for _, q := range p.queue {
		if len(q) > 0 {
			return true
		}
	}
	return false
}

// merge takes the records of several inputs as one stream, in the order (rt, topic, offset) (semantics 2.1). A record is
// taken once no earlier one can come: every other topic has a record in hand, or ended at a time after the record's.
func (p *partition) merge(batches [][]*kgo.Record, ends *observed) error {
	for i := range batches {
		p.queue[i] = append(p.queue[i], batches[i]...)
		if n := len(batches[i]); n > 0 {
			p.read[i] = batches[i][n-1].Offset + 1
		}
	}
	p.learn(ends)
	for {
		i := p.earliest()
		if i < 0 {
			p.record = nil
			return nil
		}
		r := p.queue[i][0]
		p.queue[i] = p.queue[i][1:]
		if rt := r.Timestamp.UnixMilli(); rt < p.lastRT {
			p.note(move{}) // late: a replay must not sort it among those taken before
		}
		p.lastRT = r.Timestamp.UnixMilli()
		if err := p.take(i, r); err != nil {
			return err
		}
	}
}

// learn notes which topics had been read to their end when the ends were asked for.
func (p *partition) learn(ends *observed) {
	if ends == nil {
		return
	}
	p.knownAt = ends.at - p.cfg.ClockGrace.Milliseconds()
	for i := range p.known {
		end, ok := ends.end(i, p.inputs(), p.id)
		p.known[i] = ok && p.read[i] >= end
	}
}

// earliest is the topic whose record is next, or -1 where that is not known yet.
func (p *partition) earliest() int {
	best, rt := -1, int64(math.MaxInt64)
	for i, q := range p.queue {
		if len(q) > 0 && q[0].Timestamp.UnixMilli() < rt {
			best, rt = i, q[0].Timestamp.UnixMilli()
		}
	}
	if best < 0 {
		return -1
	}
	for i, q := range p.queue {
		if len(q) == 0 && (!p.known[i] || rt > p.knownAt) {
			return -1
		}
	}
	return best
}
