package flowtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/flowtest/live"
)

const (
	feedUsers = 3000
	feedBeat  = 50 * time.Millisecond
	feedRound = 40 // users who do something in a beat
	// feedAhead is how far the time of a record is ahead of the wall clock when it is written. A clock that follows the wall
	// clock comes there later, however slow the machine is: the records alone decide, and all that is decided is known.
	feedAhead = 12 * time.Second
	feedAfter = 3 * time.Second // of the last records, after which no timer is pending

	busyPartitions = 4 // those in which no topic is ever quiet for long
	quietInput     = 4 // the partition whose second input stays empty
	quietProfiles  = 5 // the partition that has profiles in the beginning only
)

// profileProperties are all that a profile may have.
var profileProperties = []string{"tier", "country"}

// feed writes what users do to all inputs at once, in the order of the records' times, until it is stopped.
type feed struct {
	*live.Stage
	rand   *rand.Rand
	began  time.Time
	last   time.Time   // of the records
	sent   *kgo.Record // a copy of the last event
	ids    int
	ending context.CancelFunc
	ended  sync.WaitGroup

	mu      sync.Mutex
	written int   // guarded by mu
	late    int   // records that came when their time was over; guarded by mu
	err     error // guarded by mu
}

func newFeed(s *live.Stage, seed uint64) *feed {
	return &feed{Stage: s, rand: rand.New(rand.NewPCG(seed, 2))}
}

// start writes until the feed is stopped or the test ends.
func (f *feed) start() {
	ctx, cancel := context.WithCancel(f.T.Context())
	f.ending = cancel
	f.began = time.Now()
	f.last = f.began.Add(feedAhead).Truncate(time.Millisecond)
	f.ended.Go(func() {
		ticker := time.NewTicker(feedBeat)
		defer ticker.Stop()
		for ctx.Err() == nil {
			f.beat()
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
	f.T.Cleanup(f.ended.Wait)
	f.T.Cleanup(cancel)
}

// stop ends the feed with a record of each topic and partition that moves the clocks behind all timers.
func (f *feed) stop() {
	f.T.Helper()
	f.ending()
	f.ended.Wait()
	f.last = f.last.Add(feedAfter)
	for id := range int32(mergePartitions) {
		for i, topic := range f.Inputs {
			value := []byte(`{"type":"tick"}`)
			if i == 0 {
				value = []byte(`{"tier":"none"}`)
			}
			f.put(topic, id, fmt.Sprint("tick-", id), value)
		}
	}
	if err := f.Client.Flush(f.Within(patience)); err != nil {
		f.T.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err != nil || f.late > 0 {
		f.T.Fatalf("of %d records %d were written when their time was over: the machine is too slow for this test; %v", f.written, f.late, f.err)
	}
}

// beat writes what came to pass since the last one.
func (f *feed) beat() {
	span := max(time.Since(f.last.Add(-feedAhead)).Milliseconds(), 0) // usually a beat's
	times := make([]int64, feedRound)
	for i := range times {
		times[i] = f.rand.Int64N(span + 1)
	}
	slices.Sort(times)
	from := f.last
	for _, ms := range times {
		f.last = from.Add(time.Duration(ms) * time.Millisecond)
		f.act(f.rand.IntN(feedUsers))
	}
}

// act is what one user does in one millisecond.
func (f *feed) act(user int) {
	id, name := int32(user%mergePartitions), userName(user)
	switch p := f.rand.IntN(100); {
	case p < 20:
		f.profile(id, name)
	case p < 24 && f.sent != nil && f.sent.Partition != quietInput: // a producer tries again, with the other topic
		topic := f.Inputs[1]
		if f.sent.Topic == topic {
			topic = f.Inputs[2]
		}
		f.put(topic, f.sent.Partition, string(f.sent.Key), f.sent.Value)
	case p < 50: // something on each topic, all at once
		f.profile(id, name)
		f.event(f.Inputs[1], id, name)
		f.event(f.Inputs[2], id, name)
	default:
		f.event(f.Inputs[1+f.rand.IntN(2)], id, name)
	}
}

func (f *feed) profile(id int32, name string) {
	if id == quietProfiles && time.Since(f.began) > 2*time.Second {
		return
	}
	tier, country := []string{"gold", "silver", "none"}[f.rand.IntN(3)], []string{"CA", "FR"}[f.rand.IntN(2)]
	value := fmt.Appendf(nil, `{"tier":%q,"country":%q}`, tier, country)
	switch f.rand.IntN(10) {
	case 0:
		value = nil
	case 1:
		value = fmt.Appendf(nil, `{"country":%q}`, country)
	}
	f.put(f.Inputs[0], id, name, value)
}

func (f *feed) event(topic string, id int32, name string) {
	if id == quietInput {
		topic = f.Inputs[1]
	}
	kind := []string{"view", "view", "add", "buy"}[f.rand.IntN(4)]
	f.ids++
	value := fmt.Appendf(nil, `{"type":%q,"id":"e%06d"}`, kind, f.ids)
	if f.rand.IntN(20) == 0 {
		value = fmt.Appendf(nil, `{"type":%q}`, kind) // its place is its id
	}
	f.sent = &kgo.Record{Topic: topic, Partition: id, Key: []byte(name), Value: value}
	f.put(topic, id, name, value)
}

func (f *feed) put(topic string, id int32, user string, value []byte) {
	r := &kgo.Record{Topic: topic, Partition: id, Key: []byte(user), Value: value, Timestamp: f.last}
	f.Client.Produce(context.WithoutCancel(f.T.Context()), r, f.note)
}

// note takes in what became of a record.
func (f *feed) note(r *kgo.Record, err error) {
	late := time.Now().After(r.Timestamp)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.written++
	if late {
		f.late++
	}
	if err != nil {
		f.err = err
	}
}
