package processor

import (
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/event"
	"vigil/trigger"
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

// codeState is the reason of a record of vigil.state that cannot be read.
const codeState = "state_unreadable"

// faults are what an engine failed on in the life of this process: records on which it panicked, and users whose record it
// could not read, with how often.
type faults struct {
	mu    sync.Mutex
	ids   map[fault]bool // guarded by mu
	users map[string]int // guarded by mu
	any   atomic.Bool    // there are ids
	bad   atomic.Bool    // there are users
}

// addUser notes a user whose record could not be read, if that is what err is about. A record of a newer version is
// another matter: there are programs that can read it.
func (f *faults) addUser(err error) {
	var bad *trigger.RecordError
	if !errors.As(err, &bad) || errors.Is(err, trigger.ErrNewer) {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.users == nil {
		f.users = map[string]int{}
	}
	f.users[bad.User]++
	f.bad.Store(true)
}

// user is how often a user's record could not be read.
func (f *faults) user(name string) int {
	if !f.bad.Load() {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.users[name]
}

// setAside is what becomes of a record of the changelog that cannot be read: a dead letter. Its user begins anew.
func (p *partition) setAside() {
	for _, user := range slices.Sorted(maps.Keys(p.aside)) {
		r := p.aside[user]
		p.cfg.Log.Error().Str("topic", r.Topic).Int32("partition", r.Partition).Int64("offset", r.Offset).Str("user", user).
			Msg("the state of a user cannot be read: it goes to the dead letters, the user begins anew")
		p.deadLetter(r, &event.Error{Code: codeState, Msg: "the state of a user cannot be read"})
	}
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
