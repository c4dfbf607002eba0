package processor_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// What a backlog has to journal may be more than one record of the journal takes: a clamp for each record of a producer
// whose clock is ahead and, with several inputs, a move for each record whose time is before the last one's. The partition
// goes on all the same.
func TestJournalOfABacklog(t *testing.T) {
	const n = 60_000
	for name, at := range map[string]func(i int) time.Time{
		"ahead":  func(int) time.Time { return time.Now().Add(time.Hour) },
		"jitter": func(i int) time.Time { return time.UnixMilli(1_700_000_000_000 + int64(i%2)) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, onBuy)
			if name == "jitter" {
				s.inputs = []string{"events", "more"}
			}
			cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
			if err != nil {
				t.Fatal(err)
			}
			defer cl.Close()
			var records []*kgo.Record
			for i := range n {
				what := "look" // which no campaign names
				if i == n-1 {
					what = "buy"
				}
				value := fmt.Appendf(nil, `{"type":%q,"id":"e%d"}`, what, i)
				records = append(records, &kgo.Record{Topic: "events", Key: []byte("ada"), Value: value, Timestamp: at(i)})
			}
			if err := cl.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			cfg := s.config("a")
			cfg.CommitInterval = 100 * time.Millisecond // the default
			s.start(cfg)
			if got := s.records("vigil.webhooks", 1); len(got) != 1 {
				t.Errorf("%d fires, want 1", len(got))
			}
		})
	}
}
