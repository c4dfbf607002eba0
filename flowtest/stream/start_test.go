package stream

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	bought = `
id: bought
trigger: {type: single_action, did: buy}
webhook: {endpoint: shop}
`
	cart = `
id: cart
trigger: {type: inaction_within_time, did: add, did_not: buy, within: 10m}
webhook: {endpoint: shop}
`
)

// An event that comes after a start, while nothing else does, is fired within a second: neither the processor nor the
// sink may wait in a fetch that leaves out some of their partitions.
func TestFirstFireAfterStart(t *testing.T) {
	for range 5 { // which partition is in the first fetch is a matter of luck
		inBubble(t, 2, func(s *stage) {
			s.must(s.setCampaign(bought))
			for _, user := range []string{"ada", "bob", "cid", "dan"} {
				s.startProcessor()
				s.startSink()
				s.pass(900 * time.Millisecond)
				s.must(s.send(sending{user: user, eventType: "buy", id: user, at: s.now}))
				s.pass(time.Second)
				if n := len(s.receiver.since(0)); n != 1 {
					s.t.Fatalf("%s: %d webhooks within a second, want 1", user, n)
				}
				s.stopAll()
				s.receiver.forget()
			}
		})
	}
}

// A stop while the brokers do not answer yet is a stop, no error.
func TestStopWhileStarting(t *testing.T) {
	inBubble(t, 1, func(s *stage) {
		s.must(s.setCampaign(bought))
		s.cluster.ControlKey(int16(kmsg.Metadata), func(kmsg.Request) (kmsg.Response, error, bool) {
			s.cluster.KeepControl()
			return nil, nil, true
		})
		s.startProcessor()
		s.startSink()
		s.pass(time.Second)
		s.stopAll()
	})
}

// On partitions where nothing happens a timer fires by the wall clock: after its deadline, allowed_lateness and
// clock_grace, and then within a tick of that clock, the half tick between two questions for ends, and a commit. That is
// so wherever between two ticks the deadline falls, and across the heartbeats of the group (gate G4).
func TestGateG4IdleInTime(t *testing.T) {
	const least, most = allowedLateness + clockGrace, allowedLateness + clockGrace + wallTick + wallTick/2 + commitInterval
	inBubble(t, 2, func(s *stage) {
		s.must(s.setCampaign(cart))
		s.startProcessor()
		s.startSink()
		s.pass(time.Second)
		for i := range 40 {
			s.must(s.send(sending{user: fmt.Sprint("u", i), eventType: "add", id: fmt.Sprint("e", i), at: s.now}))
			s.pass(307 * time.Millisecond)
		}
		s.pass(11 * time.Minute)
		hits := s.receiver.since(0)
		if len(hits) != 40 {
			s.t.Fatalf("%d webhooks, want 40", len(hits))
		}
		for _, h := range hits {
			if late := h.at.Sub(h.body.At); late < least || late > most {
				s.t.Errorf("%s: %s after its deadline, want %s to %s", h.body.User, late, least, most)
			}
		}
	})
}
