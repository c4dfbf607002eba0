package processor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// refusedBetween refuses one transaction whose offset in some input is between two others.
func (s *stage) refusedBetween(from, to int64) *kfake.FaultHandle {
	return s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RebalanceInProgress, Count: 1, When: func(req kmsg.Request) bool {
		for _, t := range req.(*kmsg.TxnOffsetCommitRequest).Topics {
			for _, p := range t.Partitions {
				if p.Offset > from && p.Offset < to {
					return true
				}
			}
		}
		return false
	}})
}

// A backlog makes more fires than a transaction takes, so that of what was polled some waits for the next. Where that one is
// aborted, what waited is read once more, as all that it undid: the client by itself takes what was polled for committed.
func TestAbortWhileRecordsWait(t *testing.T) {
	const n = 20_000
	for _, inputs := range [][]string{{"events"}, {"events", "more"}} {
		t.Run(strings.Join(inputs, ","), func(t *testing.T) {
			s := newStage(t, `
id: buy
trigger: {type: single_action, did: buy}
webhook: {url: "https://example.com/hook", body: {note: `+strings.Repeat("a", 2000)+`}}
`)
			s.inputs = inputs
			s.crowd(n, "buy", time.Now())
			refused := s.refusedBetween(n/4, n)
			s.start(s.config("a"))
			users, txns := transactions(t, s.records("vigil.webhooks", n))
			if len(users) != n || refused.Hits() != 1 || txns < 3 {
				t.Errorf("%d fires in %d transactions, want %d; %d were refused", len(users), txns, n, refused.Hits())
			}
		})
	}
}
