package chaos

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	beat        = 50 * time.Millisecond // of the generator
	usersPerHz  = 8                     // users for each event a second: a user comes every 8 s
	quietUsers  = 5                     // of a quiet partition
	quietEvery  = 4 * time.Second       // an event on each quiet partition
	oldest      = 90 * time.Second      // that an event is late by
	ids         = 5                     // carts, tickets and bookings of a user
	remembered  = 1000                  // records that may be sent again
	recordsHeld = 100_000               // while no broker takes them
)

// generator writes events of many users over all partitions but the last two, which are idle most of the time: an event
// every few seconds in one, every tenth of that in the other, each about somebody who may then stay away. The times of
// records are those at which the broker takes them, so none comes later than it says.
type generator struct {
	*run
	dice   *rand.Rand
	client *kgo.Client
	n      int
	recent []*kgo.Record
	erased map[string]bool // users of whom no record is sent again: what was erased may happen anew (semantics 2.6)

	mu    sync.Mutex
	acks  map[int32][]ack // guarded by mu
	fails []error         // guarded by mu
}

// ack is a record that a broker has taken.
type ack struct {
	offset int64
	at     int64 // ms of the wall clock, when we knew
}

func (r *run) generator() *generator {
	return &generator{
		run: r, dice: rand.New(rand.NewPCG(r.seed, 99)), acks: map[int32][]ack{}, erased: map[string]bool{},
		client: r.Connect(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MaxBufferedRecords(recordsHeld), kgo.ProducerLinger(5*time.Millisecond)),
	}
}

// write goes on until ctx ends; then all that was written is in the log, or the run fails.
func (g *generator) write(ctx context.Context) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	quiet := time.NewTicker(quietEvery)
	defer quiet.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-ticker.C:
			for range g.rate * int(beat/time.Millisecond) / 1000 {
				g.send(g.user(g.dice.IntN(g.rate * usersPerHz)))
			}
		case <-quiet.C:
			last := g.partitions - 1
			g.send(fmt.Sprintf("quiet-%d", g.dice.IntN(quietUsers)), last-1)
			if g.dice.IntN(10) == 0 {
				g.send(fmt.Sprintf("rare-%d", g.dice.IntN(quietUsers)), last)
			}
		}
	}
	flushing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
	defer cancel()
	g.must(g.client.Flush(flushing))
}

// user is one of the busy partitions.
func (g *generator) user(i int) (name string, partition int32) {
	return fmt.Sprintf("u%05d", i), int32(i) % (g.partitions - 2)
}

// send writes one record of a user, or one of before again.
func (g *generator) send(user string, partition int32) {
	r := &kgo.Record{Topic: g.Input, Partition: partition, Key: []byte(user), Value: g.value(user)}
	if again := g.again(); again != nil {
		r = &kgo.Record{Topic: again.Topic, Partition: again.Partition, Key: again.Key, Value: again.Value}
	}
	if len(g.recent) < remembered {
		g.recent = append(g.recent, r)
	} else {
		g.recent[g.dice.IntN(remembered)] = r
	}
	g.client.Produce(context.Background(), r, func(r *kgo.Record, err error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		if err != nil {
			g.fails = append(g.fails, err)
			return
		}
		g.acks[r.Partition] = append(g.acks[r.Partition], ack{offset: r.Offset, at: time.Now().UnixMilli()})
	})
}

// again is a record that is to be sent once more, or nil.
func (g *generator) again() *kgo.Record {
	if len(g.recent) == 0 || g.dice.IntN(60) > 0 {
		return nil
	}
	r := g.recent[g.dice.IntN(len(g.recent))]
	if g.erased[string(r.Key)] {
		return nil
	}
	return r
}

// value is one event, seldom one that is none.
func (g *generator) value(user string) []byte {
	g.n++
	if g.dice.IntN(1000) == 0 {
		return []byte(`{"type":"view","time":"yesterday"}`)
	}
	kind, props := g.event(user)
	v := map[string]any{"type": kind, "properties": props}
	if g.dice.IntN(20) > 0 {
		v["id"] = fmt.Sprint("e", g.n)
	}
	switch p := g.dice.IntN(100); {
	case p < 30: // the record's time
	case p < 90:
		v["time"] = time.Now().Add(-g.upTo(1500 * time.Millisecond)).UnixMilli()
	case p < 97:
		v["time"] = time.Now().Add(-g.upTo(12 * time.Second)).UTC().Format("2006-01-02T15:04:05.000Z07:00")
	default:
		v["time"] = time.Now().Add(-g.upTo(oldest)).UnixMilli()
	}
	text, err := json.Marshal(v)
	g.must(err)
	return text
}

func (g *generator) upTo(d time.Duration) time.Duration {
	return time.Duration(g.dice.Int64N(int64(d)))
}

// event is what a user does.
func (g *generator) event(user string) (kind string, props map[string]any) {
	id, value := fmt.Sprint(user, "-", g.dice.IntN(ids)), 1+g.dice.IntN(200)
	switch p := g.dice.IntN(1000); {
	case p < 300:
		return "view", map[string]any{"page": g.dice.IntN(50)}
	case p < 500:
		return "cart_add", map[string]any{"cart_id": id, "value": value}
	case p < 570:
		return "checkout", map[string]any{"cart_id": id}
	case p < 680:
		return "purchase", map[string]any{"cart_id": id, "value": value}
	case p < 740:
		return "ticket_open", map[string]any{"ticket_id": id}
	case p < 780:
		return "ticket_close", map[string]any{"ticket_id": id}
	case p < 830:
		return "booking", map[string]any{"booking_id": id, "starts_at": time.Now().Add(2*time.Second + g.upTo(6*time.Second)).UnixMilli()}
	case p < 845:
		return "booking_cancel", map[string]any{"booking_id": id}
	case p < 920:
		return "launch", nil
	case p < 960:
		return "$profile", map[string]any{"set": map[string]any{
			"country": []string{"CA", "DE", "FR", "US"}[g.dice.IntN(4)], "vip": g.dice.IntN(3) == 0,
		}}
	case p < 962:
		g.erased[user] = true
		return "$erase", nil
	default:
		return "scroll", nil
	}
}
