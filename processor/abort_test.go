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

// What could not be read of the changelog goes to the dead letters, also where the transaction that was to take it there is
// aborted.
func TestAbortOfWhatWasSetAside(t *testing.T) {
	s := newStage(t, onBuy)
	s.widen(1, "narrow")
	stop := s.start(s.config("a"))
	s.sendTo("narrow", "ada", "buy e0", time.Now())
	s.fires(1)
	stop()
	s.raw("vigil.state", []byte("bob"), []byte{1}, time.Now())
	refused := s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RebalanceInProgress, Count: 1})
	s.start(s.config("b"))
	if n := len(s.records("dlq.vigil.events", 1)); n != 1 || refused.Hits() != 1 {
		t.Errorf("%d dead letters, want 1; %d transactions were refused", n, refused.Hits())
	}
}
