package sink_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestRollingRestart: three sinks are restarted one after the other while deliveries come and some always are in flight;
// each is sent once. It runs on the real clock, as TestMembersComeAndGo.
func TestRollingRestart(t *testing.T) {
	for name, static := range map[string]bool{"members that leave": false, "members with a name": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, nil, kgo.HeartbeatInterval(50*time.Millisecond))
			b.respond = func(_ int, r *http.Request) (*http.Response, error) {
				select {
				case <-time.After(30 * time.Millisecond):
					return answer(200), nil
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
			b.settle()
			for _, stop := range stops {
				stop()
			}
			b.wantEachOnce(sent)
		})
	}
}
