package sink_test

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestInstancesShareLimits: three sinks together keep what one endpoint may be asked to bear, and come near it. The limit
// of attempts at a time is no multiple of three: a share is rounded down.
func TestInstancesShareLimits(t *testing.T) {
	const perSecond, atATime = 30, 8
	for name, c := range map[string]struct {
		rate, takes float64 // a second; of an attempt, in seconds
		inFlight    int
	}{
		"rate":          {rate: perSecond},
		"max_in_flight": {inFlight: atATime, takes: 0.4},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				admin := kadm.NewClient(b.client)
				for _, topic := range []string{topics.Webhooks, topics.Retry1, topics.Retry2} {
					if _, err := admin.UpdatePartitions(t.Context(), 6, topic); err != nil {
						t.Fatal(err)
					}
				}
				if _, err := admin.UpdatePartitions(t.Context(), 12, topics.Parked); err != nil {
					t.Fatal(err)
				}
				var flying, most atomic.Int64
				b.respond = func(int, *http.Request) (*http.Response, error) {
					n := flying.Add(1)
					for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
					}
					<-time.After(time.Duration(c.takes * float64(time.Second)))
					flying.Add(-1)
					return answer(200), nil
				}
				b.cfg.Endpoints[0].Rate, b.cfg.Endpoints[0].MaxInFlight = c.rate, c.inFlight
				var stops []func()
				for range 3 {
					stops = append(stops, b.start())
				}
				b.pass(20 * time.Second) // all have their partitions
				begin := time.Now()
				for i := range 20 * 2 * perSecond { // twice what it bears, for 20 s
					d := fire(fmt.Sprint("f", i))
					b.client.Produce(t.Context(), &kgo.Record{Topic: topics.Webhooks, Partition: int32(i % 6), Value: d.Encode()}, nil)
					b.pass(time.Second / (2 * perSecond))
				}
				b.pass(40 * time.Second)
				for _, stop := range stops {
					stop()
				}
				windows, loaded := map[int]int{}, 0
				for _, h := range b.seen() {
					second := int(h.at.Sub(begin) / time.Second)
					if windows[second]++; second < 20 {
						loaded++
					}
				}
				if c.rate > 0 {
					for second, n := range windows {
						if n > perSecond+3 { // each sink may save one attempt up
							t.Errorf("%d attempts in second %d, %d are allowed", n, second, perSecond)
						}
					}
					if loaded < 17*perSecond {
						t.Errorf("%d attempts in 20 s, %d are allowed", loaded, 20*perSecond)
					}
				}
				if c.inFlight > 0 && (most.Load() > atATime || most.Load() < atATime-2) {
					t.Errorf("%d attempts at a time, %d are allowed", most.Load(), atATime)
				}
				t.Logf("%d attempts in 20 s, at most %d at a time, %d records parked", loaded, most.Load(), len(b.read(topics.Parked)))
			})
		})
	}
}
