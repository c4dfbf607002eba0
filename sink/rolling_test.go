package sink_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestRollingRestart: three sinks are restarted one after the other while deliveries come and some always are in flight or
// wait for a retry; each attempt is made once. It runs on the real clock, as TestMembersComeAndGo.
func TestRollingRestart(t *testing.T) {
	for name, static := range map[string]bool{"members that leave": false, "members with a name": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil, kgo.HeartbeatInterval(50*time.Millisecond))
			b.cfg.Endpoints[0].RetryDelays = []time.Duration{time.Second}
			fails := func(id string) bool { return strings.HasSuffix(id, "7") } // the first time
			b.respond = func(_ int, r *http.Request) (*http.Response, error) {
				select {
				case <-time.After(30 * time.Millisecond):
					return answer(map[bool]int{true: 500, false: 200}[fails(r.Header.Get("Webhook-Id")) && r.Header.Get("Vigil-Attempt") == "1"]), nil
				case <-r.Context().Done():
					return nil, r.Context().Err()
				}
			}
			start := func(i int) (stop func()) {
				b.cfg.DataDir = t.TempDir() // what saves from repeats is a good stop, not the completion file
				if static {
					b.cfg.Instance = fmt.Sprint("sink-", i)
				}
				return b.start()
			}
			sent := 0
			put := func(n int) {
				for range n {
					d := fire(fmt.Sprint("f", sent))
					b.putRecord(&kgo.Record{Topic: topics.Webhooks, Partition: int32(sent % 2), Value: d.Encode()})
					sent++
					b.pass(5 * time.Millisecond)
				}
			}
			var stops []func()
			for i := range 3 {
				stops = append(stops, start(i))
			}
			put(100)
			for i := range stops {
				stops[i]()
				put(10)
				stops[i] = start(i)
				put(60)
			}
			b.settle(topics.Webhooks, topics.Retry1)
			for _, stop := range stops {
				stop()
			}
			count, retries := map[string]int{}, 0
			for _, h := range b.seen() {
				if count[h.id+"/"+h.attempt]++; h.attempt == "2" {
					retries++
				}
			}
			if len(count) != sent+retries || len(b.seen()) != len(count) || retries != sent/10 || b.unfinished(topics.Webhooks)+b.unfinished(topics.Retry1) != 0 {
				t.Errorf("%d fires, %d retries: %d attempts in %d requests", sent, retries, len(count), len(b.seen()))
			}
		})
	}
}
