package processor

import (
	"math"
)

// maxQueued is how many records of an input may wait, for another input or because much is to be settled first, before
// it is no longer fetched.
const maxQueued = 100_000

// throttle stops fetching an input of which too much waits, and goes on when little does.
func (s *session) throttle(p *partition) {
	if p.engine == nil {
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
func (p *partition) merge(ends *observed) error {
	p.learn(ends)
	for {
		i := p.earliest()
		if i < 0 {
			return nil
		}
		r := p.queue[i][0]
		if rt := r.Timestamp.UnixMilli(); rt < p.lastRT {
			p.note(move{}) // late: a replay must not sort it among those taken before
		}
		p.lastRT = r.Timestamp.UnixMilli()
		if taken, err := p.take(i, r); !taken || err != nil {
			return err
		}
		p.queue[i] = p.queue[i][1:]
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
