package processor_test

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/trigger"
	"vigil/webhook"
)

const (
	onBuy = `
id: buy
trigger: {type: single_action, did: buy}
webhook: {url: "https://example.com/hook"}
`
	cart = `
id: cart
trigger: {type: inaction_within_time, did: add, did_not: buy, within: 1s}
webhook: {url: "https://example.com/hook"}
`
)

func fire(campaign, user, anchor, slot string) string {
	return campaign + " " + user + " " + trigger.FireID(campaign, "", user, "", anchor, slot)
}

// An action fires; an absence fires by the wall clock on a topic that has gone quiet (gate G4).
func TestGateG4Idle(t *testing.T) {
	s := newStage(t, onBuy, cart)
	s.start(s.config("a"))
	now := time.Now()
	s.send("ada", "add", "e1", now)
	s.send("bob", "buy", "e2", now)
	want := []string{fire("buy", "bob", "e2", ""), fire("cart", "ada", "e1", "inaction")}
	if diff := cmp.Diff(want, s.fires(2)); diff != "" {
		t.Error(diff)
	}
}

// Stopped across the deadline, with the cancelling event in the backlog: it must not fire (gate G3).
func TestGateG3Backlog(t *testing.T) {
	s := newStage(t, onBuy, cart)
	stop := s.start(s.config("a"))
	long := time.Now().Add(-time.Hour)
	s.send("ada", "buy", "e0", long)
	s.fires(1)
	stop()
	s.send("ada", "add", "e1", long.Add(time.Minute))
	s.send("ada", "buy", "e2", long.Add(time.Minute+500*time.Millisecond))
	s.send("ada", "add", "e3", long.Add(2*time.Minute))
	s.start(s.config("a"))
	want := []string{fire("buy", "ada", "e0", ""), fire("buy", "ada", "e2", ""), fire("cart", "ada", "e3", "inaction")}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.fires(3)); diff != "" {
		t.Error(diff)
	}
}

// The disk is a cache: without it, deleted or not usable at all, the timer that was armed before the restart fires all the
// same (gate G7).
func TestRestartWithoutDisk(t *testing.T) {
	s := newStage(t, onBuy, `
id: cart
trigger: {type: inaction_within_time, did: add, did_not: buy, within: 3s}
webhook: {url: "https://example.com/hook"}
`)
	for i, disk := range []string{"kept", "deleted", "unusable"} {
		t.Run(disk, func(t *testing.T) {
			s.t = t
			stop := s.start(s.config("a"))
			user := "ada-" + disk
			s.send(user, "add", "e1", time.Now())
			s.send(user, "buy", "e0", time.Now().Add(-time.Hour))
			s.fires(2*i + 1)
			stop()
			if disk != "kept" {
				if err := os.RemoveAll(s.dir); err != nil {
					t.Fatal(err)
				}
			}
			if disk == "unusable" {
				if err := os.WriteFile(s.dir, nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			s.start(s.config("a"))
			if !slices.Contains(s.fires(2*i+2), fire("cart", user, "e1", "inaction")) {
				t.Error("the timer of before the restart did not fire")
			}
		})
	}
}

// A record that is no event goes to the dead letters as it was, and the partition moves on.
func TestPoisonMovesOn(t *testing.T) {
	s := newStage(t, onBuy)
	s.start(s.config("a"))
	s.raw("events", []byte("ada"), []byte("{oops"), time.Now())
	s.send("ada", "buy", "e1", time.Now())
	if diff := cmp.Diff([]string{fire("buy", "ada", "e1", "")}, s.fires(1)); diff != "" {
		t.Error(diff)
	}
	dead := s.records("dlq.vigil.events", 1)
	if len(dead) != 1 || string(dead[0].Value) != "{oops" || string(dead[0].Key) != "ada" {
		t.Fatalf("dead letters: %v", dead)
	}
	headers := map[string]string{}
	for _, h := range dead[0].Headers {
		headers[h.Key] = string(h.Value)
	}
	if headers["x-reason-code"] != "json_invalid" || headers["__connect.errors.topic"] != "events" {
		t.Errorf("headers: %v", headers)
	}
}

// Two members share the partitions; one leaves and the other goes on with what it knew.
func TestTwoMembers(t *testing.T) {
	s := newStage(t, onBuy)
	stop := s.start(s.config("a"))
	s.start(s.config("b"))
	var want []string
	for i := range 60 {
		if i == 30 {
			s.fires(30)
			stop()
		}
		user := fmt.Sprintf("u%02d", i)
		s.send(user, "buy", "e", time.Now())
		want = append(want, fire("buy", user, "e", ""))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.fires(60)); diff != "" {
		t.Error(diff)
	}
}

// Two inputs are one stream in the order of rt: the cancel in the second topic comes before the deadline of the first.
func TestInputsMerge(t *testing.T) {
	s := newStage(t, onBuy, cart)
	s.inputs = []string{"events", "more"}
	begin := time.Now().Add(-time.Hour)
	for i := range 20 {
		user := fmt.Sprintf("u%02d", i)
		s.send(user, "add", "a", begin)
		s.sendTo("more", user, "buy b", begin.Add(500*time.Millisecond))
		s.send(user, "add", "c", begin.Add(time.Minute))
	}
	s.start(s.config("a"))
	var want []string
	for i := range 20 {
		user := fmt.Sprintf("u%02d", i)
		want = append(want, fire("buy", user, "b", ""), fire("cart", user, "c", "inaction"))
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.fires(40)); diff != "" {
		t.Error(diff)
	}
}

// A record without a timestamp has that of the moment it is read, not of 1969.
func TestRecordWithoutTimestamp(t *testing.T) {
	s := newStage(t, cart)
	s.start(s.config("a"))
	now := time.Now()
	value := fmt.Sprintf(`{"type":"add","id":"e1","time":%d}`, now.UnixMilli())
	s.raw("events", []byte("ada"), []byte(value), time.UnixMilli(-1))
	fired := s.records("vigil.webhooks", 1)
	if len(fired) != 1 {
		t.Fatalf("%d fires, want 1", len(fired))
	}
	d, err := webhook.DecodeDelivery(fired[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	if want := now.Truncate(time.Millisecond).Add(time.Second); !d.At.Equal(want) {
		t.Errorf("fired at %s, want %s", d.At, want.UTC())
	}
}
