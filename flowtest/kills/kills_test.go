// Package kills kills a sink under load, again and again, on a real Kafka: no delivery may be lost, and no more sent
// twice than were in flight (delivery 5).
package kills

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/flowtest/live"
	"vigil/webhook"
)

const (
	killed     = 10 // unless VIGIL_SINK_KILLS says otherwise
	perSecond  = 400
	partitions = 4
	inFlight   = 32 // sink.max_in_flight
	answerTime = 50 * time.Millisecond
	slack      = 2               // a kill may come between an answer and its note in the completion file, when the place is taken again
	within     = 3 * time.Minute // for a sink to come back, and for the last delivery
)

var site live.Site

func TestMain(m *testing.M) { os.Exit(site.Main(m)) }

// receiver answers after a while, and counts by id.
type receiver struct {
	flying atomic.Int32

	mu    sync.Mutex
	count map[string]int
}

// ServeHTTP implements http.Handler.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.flying.Add(1)
	defer r.flying.Add(-1)
	r.mu.Lock()
	r.count[req.Header.Get(webhook.IDHeader)]++
	r.mu.Unlock()
	select {
	case <-time.After(answerTime):
		w.WriteHeader(http.StatusNoContent)
	case <-req.Context().Done(): // the sender is dead
	}
}

func (r *receiver) received() (ids, repeats int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.count {
		repeats += n - 1
	}
	return len(r.count), repeats
}

// TestSinkKills is `make sink-kills` with 100 kills, and 10 among the other tests.
func TestSinkKills(t *testing.T) {
	times := killed
	if text := os.Getenv("VIGIL_SINK_KILLS"); text != "" {
		var err error
		if times, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() {
		t.Skip("starts Kafka")
	}
	r := &receiver{count: map[string]int{}}
	server := httptest.NewServer(r)
	defer server.Close()
	s := site.Stage(t, live.Plan{Name: "kills", Partitions: partitions, Config: fmt.Sprintf("sink: {max_in_flight: %d}\n", inFlight)})
	s.Endpoint("shop", server.URL, fmt.Sprintf("max_in_flight: %d\n", inFlight))

	producing, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	var sent atomic.Int64
	load.Go(func() { produce(producing, t, s, &sent) })
	defer load.Wait()
	defer stop()

	var flying []int32
	for i := range times {
		sink := s.Sink("sink")
		before, _ := r.received()
		s.Await(fmt.Sprintf("sink %d sends", i+1), within, func() (bool, string) {
			ids, _ := r.received()
			return ids > before+perSecond/4, fmt.Sprint(ids, " received")
		})
		<-time.After(time.Duration(rand.IntN(400)) * time.Millisecond)
		flying = append(flying, r.flying.Load())
		sink.Kill(t)
	}
	stop()
	load.Wait()
	sink := s.Sink("sink")
	s.Await("everything is delivered", within, func() (bool, string) {
		ids, _ := r.received()
		return int64(ids) == sent.Load(), fmt.Sprintf("%d of %d received", ids, sent.Load())
	})
	sink.Stop(t)
	ids, repeats := r.received()
	sum := int32(0)
	for _, n := range flying {
		sum += n
	}
	t.Logf("%d kills: %d sent, %d lost, %d sent twice; %d were in flight at the kills, at most %d each", times, sent.Load(),
		sent.Load()-int64(ids), repeats, sum, inFlight)
	if int64(ids) != sent.Load() {
		t.Errorf("%d of %d received", ids, sent.Load())
	}
	if most := times * (inFlight + slack); repeats > most {
		t.Errorf("%d sent twice, want at most %d", repeats, most)
	}
	if sum == 0 {
		t.Error("nothing was in flight at any kill: this shows nothing")
	}
}

// produce writes deliveries at a steady rate until ctx ends, and waits for all to be acked.
func produce(ctx context.Context, t *testing.T, s *live.Stage, sent *atomic.Int64) {
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		now := time.Now()
		d := &webhook.Delivery{
			V: webhook.Version, FireID: fmt.Sprintf("f%09d", i), Campaign: "cart", User: fmt.Sprint("u", i%1000), Endpoint: "shop",
			Method: http.MethodPost, Body: []byte(`{}`), Attempt: 1, At: now, DecidedAt: now,
		}
		r := &kgo.Record{Topic: s.Topics.Webhooks, Partition: int32(i % partitions), Value: d.Encode()}
		s.Client.Produce(t.Context(), r, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("produce: %v", err)
				return
			}
			sent.Add(1)
		})
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if err := s.Client.Flush(t.Context()); err != nil {
		t.Errorf("flush: %v", err)
	}
}
