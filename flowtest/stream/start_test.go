package stream

import (
	"testing"
	"time"
)

const bought = `
id: bought
trigger: {type: single_action, did: buy}
webhook: {endpoint: shop}
`

// An event that comes after a start, while nothing else does, is fired within a second: neither the processor nor the
// sink may wait in a fetch that leaves out some of their partitions.
func TestFirstFireAfterStart(t *testing.T) {
	for range 10 { // which partition is in the first fetch is a matter of luck
		inBubble(t, 2, func(s *stage) {
			if err := s.setCampaign(bought); err != nil {
				t.Fatal(err)
			}
			for _, user := range []string{"ada", "bob", "cid", "dan"} {
				s.startProcessor()
				s.startSink()
				s.pass(900 * time.Millisecond)
				if err := s.send(sending{user: user, eventType: "buy", id: user, at: s.now}); err != nil {
					t.Fatal(err)
				}
				s.pass(time.Second)
				if n := len(s.receiver.since(0)); n != 1 {
					t.Fatalf("%s: %d webhooks within a second, want 1", user, n)
				}
				s.stopAll()
				s.receiver.forget()
			}
		})
	}
}
