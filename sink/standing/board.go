package standing

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// PauseAfter is how long an endpoint does nothing but fail before it is paused (delivery 4).
const PauseAfter = 24 * time.Hour

const (
	markAfter   = 5 * time.Minute    // of failures before they are written down
	forgetAfter = 7 * 24 * time.Hour // for a failing one: nobody uses it, or it would be paused or well by then
	fewFailures = 10                 // that an instance must have seen itself before it pauses
	readyWithin = 10 * time.Second
	againAfter  = time.Minute // a topic that cannot be read is tried again
	maxOutgoing = 1024        // changes that wait to be written
)

// Board is all marks as one sink knows them. Make it with New, run it once. Note has one caller at a time; everything
// else may be called at any time.
type Board struct {
	topic    string
	opts     []kgo.Opt
	log      zerolog.Logger
	ready    chan struct{} // closed when all that was there at the start is read, or cannot be
	outgoing chan *kgo.Record

	mu    sync.Mutex // serialises changes of marks
	marks atomic.Pointer[map[string]Mark]
}

// New makes a board that knows nothing before Run; opts are how to reach the brokers.
func New(topic string, opts []kgo.Opt, log zerolog.Logger) *Board {
	b := &Board{topic: topic, opts: opts, log: log, ready: make(chan struct{}), outgoing: make(chan *kgo.Record, maxOutgoing)}
	b.marks.Store(&map[string]Mark{})
	return b
}

// Run follows the topic and writes to it until ctx ends. A topic that is missing is created; while that is not possible,
// marks live and die with this process.
func (b *Board) Run(ctx context.Context) {
	given := sync.OnceFunc(func() { close(b.ready) })
	defer given()
	for ctx.Err() == nil {
		if err := b.follow(ctx, given); err != nil && ctx.Err() == nil {
			b.log.Warn().Err(err).Str("topic", b.topic).Msg("pauses of endpoints are not shared: their topic cannot be read")
		}
		given()
		select {
		case <-time.After(againAfter):
		case <-ctx.Done():
		}
	}
}

// follow reads the topic as long as it can.
func (b *Board) follow(ctx context.Context, given func()) error {
	client, err := reader(b.opts, b.topic)
	if err != nil {
		return err
	}
	defer client.Close()
	end, err := endOf(ctx, client, b.topic)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		compact := "compact"
		_, err = kadm.NewClient(client).CreateTopic(ctx, 1, -1, map[string]*string{"cleanup.policy": &compact}, b.topic)
		if errors.Is(err, kerr.TopicAlreadyExists) {
			err = nil
		}
	}
	if err != nil {
		return err
	}
	if err := follow(ctx, client, end, b.take); err != nil {
		return err
	}
	given()
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() { b.write(ctx, client) })
	for ctx.Err() == nil {
		client.PollFetches(ctx).EachRecord(b.take)
	}
	return nil
}

func (b *Board) write(ctx context.Context, client *kgo.Client) {
	for {
		select {
		case r := <-b.outgoing:
			if err := client.ProduceSync(ctx, r).FirstErr(); err != nil && ctx.Err() == nil {
				b.log.Error().Err(err).Str("endpoint", string(r.Key)).Msg("what is known of an endpoint was not written: other instances do not know")
			}
		case <-ctx.Done():
			return
		}
	}
}

// Ready waits until the marks that were there at the start are known, for a few seconds at most.
func (b *Board) Ready(ctx context.Context) {
	select {
	case <-b.ready:
	case <-ctx.Done():
	case <-time.After(readyWithin):
		b.log.Warn().Str("topic", b.topic).Msg("which endpoints are paused is not known yet")
	}
}

// State is what stands against an endpoint at this address; empty where nothing does.
func (b *Board) State(endpoint, address string) State {
	if m, ok := (*b.marks.Load())[endpoint]; ok && m.Stands(address) {
		return m.State
	}
	return ""
}

// Count is the number of endpoints in a state; address tells where one points now.
func (b *Board) Count(s State, address func(endpoint string) string) (n int) {
	for name, m := range *b.marks.Load() {
		if m.State == s && m.Stands(address(name)) {
			n++
		}
	}
	return n
}

func (b *Board) take(r *kgo.Record) {
	if r.Attrs.IsControl() {
		return
	}
	b.set(func(marks map[string]Mark) {
		apply(marks, r)
		if name := string(r.Key); marks[name] == (Mark{}) {
			marks[name] = Mark{Since: r.Timestamp}
		}
	})
}

// set changes a copy of the marks: readers take no lock.
func (b *Board) set(change func(map[string]Mark)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := maps.Clone(*b.marks.Load())
	change(next)
	b.marks.Store(&next)
}
