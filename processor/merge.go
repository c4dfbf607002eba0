package processor

import (
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
)

// maxQueued is how many records of an input may wait, for another input or because much is to be settled first, before
// it is no longer fetched.
const maxQueued = 100_000

// head is the first record of a queue, with its rt as it was when it came there: it may be far ahead of the wall clock
// (semantics 2.1).
type head struct {
	r  *kgo.Record
	rt int64 // ms
}

// head is the first record of the i-th queue, which is not empty.
func (p *partition) head(i int) head {
	if r := p.queue[i][0]; p.heads[i].r != r {
		p.heads[i] = head{r, p.recordTime(r)}
	}
	return p.heads[i]
}

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

// decide adds what was polled of a partition of an input to batch, as far as the markers in the log tell that it is
// committed: a broker's list of aborted transactions may lack one (kafka.Decided). A transaction of a producer of events may
// be long, and all behind its beginning waits in memory for its marker; where that is too much the broker is believed.
func decide(d *kafka.Decided, polled, batch []*kgo.Record) []*kgo.Record {
	if d.Waiting() == 0 && !slices.ContainsFunc(polled, func(r *kgo.Record) bool { return r.Attrs.IsTransactional() }) {
		return append(batch, polled...)
	}
	for _, r := range polled {
		d.Add(r)
	}
	if d.Waiting() > maxQueued {
		d.Break()
	}
	return slices.AppendSeq(batch, d.Ready())
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
		h := p.head(i)
		if h.rt < p.lastRT || h.rt == p.lastRT && i < p.lastTopic {
			p.note(Move{}) // late: a replay must not sort it among those taken before
		}
		p.lastRT, p.lastTopic = h.rt, i
		if taken, err := p.take(i, h.r, h.rt); !taken || err != nil {
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

// earliest is the topic whose record is next, or -1 where that is not known yet. One for which the clock is on its way
// stays the next.
func (p *partition) earliest() int {
	if p.halfway && len(p.queue[p.lastTopic]) > 0 {
		return p.lastTopic
	}
	best, rt := -1, int64(math.MaxInt64)
	for i, q := range p.queue {
		if len(q) == 0 {
			continue
		}
		if at := p.head(i).rt; at < rt {
			best, rt = i, at
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
