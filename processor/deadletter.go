package processor

import (
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/event"
)

// What a dead letter carries at most, in bytes; its topic takes 2 MiB. A record that the topic refused would stop its
// partition.
const (
	maxDeadValue   = 1_900_000
	maxDeadKey     = 64 << 10
	maxDeadHeaders = 64 << 10 // names and values together; beyond it all are left out
)

// codeFault is the reason of a record on which the engine itself failed.
const codeFault = "engine_fault"

// faults are the records on which an engine panicked in the life of this process.
type faults struct {
	mu  sync.Mutex
	ids map[fault]bool // guarded by mu
	any atomic.Bool
}

type fault struct {
	topic     string
	partition int32
	offset    int64
}

func (f *faults) add(r *kgo.Record) {
	if r == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ids == nil {
		f.ids = map[fault]bool{}
	}
	f.ids[fault{r.Topic, r.Partition, r.Offset}] = true
	f.any.Store(true)
}

func (f *faults) has(r *kgo.Record) bool {
	if !f.any.Load() {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ids[fault{r.Topic, r.Partition, r.Offset}]
}

// deadLetter sends a record that is no event to the dead letters as it was, with where it stood and why (interface 3).
func (p *partition) deadLetter(r *kgo.Record, why *event.Error) {
	p.metrics.deadLetters.WithLabelValues(why.Code).Inc()
	p.cfg.Log.Warn().Str("topic", r.Topic).Int32("partition", r.Partition).Int64("offset", r.Offset).
		Str("reason", why.Code).Msg("record is no event")
	dead := &kgo.Record{
		Topic: p.cfg.Topics.DeadEvents, Partition: p.id, Timestamp: r.Timestamp,
		Key: r.Key[:min(len(r.Key), maxDeadKey)], Value: r.Value[:min(len(r.Value), maxDeadValue)],
	}
	headers := headerBytes(r)
	if headers <= maxDeadHeaders {
		dead.Headers = append(dead.Headers, r.Headers...)
	}
	add := func(name, value string) {
		dead.Headers = append(dead.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	add("__connect.errors.topic", r.Topic)
	add("__connect.errors.partition", strconv.Itoa(int(r.Partition)))
	add("__connect.errors.offset", strconv.FormatInt(r.Offset, 10))
	add("__connect.errors.exception.message", why.Msg)
	add("x-reason-code", why.Code)
	if over := size(dead) - p.topics.largest(dead.Topic); over > 0 { // it takes less than vigil asks for
		dead.Value = dead.Value[:max(len(dead.Value)-over, 0)]
	}
	if len(dead.Key) < len(r.Key) || len(dead.Value) < len(r.Value) || headers > maxDeadHeaders {
		add("x-truncated-from-bytes", strconv.Itoa(len(r.Key)+len(r.Value)+headers))
	}
	p.send(dead)
}

func headerBytes(r *kgo.Record) int {
	n := 0
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value)
	}
	return n
}
