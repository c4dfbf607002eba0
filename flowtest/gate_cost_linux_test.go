package flowtest

import (
	"fmt"
	"runtime"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"vigil/campaign"
	"vigil/event"
	"vigil/trigger"
)

// recordedCost is what an event costs in the decision core, decoding and commit included, in units of decoding alone. It
// was measured by the test below; CI fails where less than 60 % of that speed is left.
const (
	recordedCost = 2.9
	leastSpeed   = 0.6
)

// threadTime is the CPU time of this thread, to the nanosecond: what other programs do at the same time is not in it.
func threadTime(t *testing.T) time.Duration {
	const thisThread = 3 // CLOCK_THREAD_CPUTIME_ID
	var now syscall.Timespec
	if _, _, errno := syscall.Syscall(syscall.SYS_CLOCK_GETTIME, thisThread, uintptr(unsafe.Pointer(&now)), 0); errno != 0 {
		t.Fatal(errno)
	}
	return time.Duration(now.Nano())
}

// The cost of an event, as a ratio to that of decoding it: both are measured in turn in this process, many times, and the
// cheapest of each counts, so that neither a slow nor a busy machine is taken for slow code.
func TestGateG9Cost(t *testing.T) {
	if testing.Short() {
		t.Skip("the race detector and a busy inner loop change the ratio")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c, problems := campaign.Parse("gate.yaml", []byte(`{id: cart, trigger: {type: inaction_within_time, did: {event: cart_add, where: {value: {gte: 100}}}, did_not: checkout, within: 1m},
webhook: {url: "https://ops.example.com/carts", body: {item: "{{ anchor.properties.item }}"}}}`))
	if campaign.Failed(problems) {
		t.Fatal(problems)
	}
	engine := trigger.New(campaign.NewCatalog([]*campaign.Campaign{c}), trigger.Options{AllowedLateness: 2_000, MaxEventAge: 7_200_000, MaxFireDelay: 86_400_000, BareSkips: true}, func(*trigger.Decision) {})
	decoder := event.NewDecoder(event.Fields{Type: "type", ID: "id", Time: "time", Properties: "properties"}, "json")
	const rounds, batch, users = 60, 4_000, 20_000
	decoding, all := time.Hour, time.Hour
	for round := range rounds {
		records := make([]event.Record, batch)
		for i := range records {
			n := round*batch + i
			kind := "cart_add"
			if n%3 == 2 {
				kind = "checkout"
			}
			rt := int64(1_748_854_800_000 + n/10)
			records[i] = event.Record{
				Key: fmt.Appendf(nil, "u%07d", n*7919%users), RT: rt, Topic: "events", Offset: int64(n),
				Value: fmt.Appendf(nil, `{"id":"%016x","type":%q,"time":%d,"properties":{"shop":"s","brand":"b%02d","item":"i%04d","value":%d.95,"currency":"EUR","device":"mobile","page":"/p/%032x"}}`,
					n*2654435761, kind, rt, n%100, n%10_000, 100+n%900, n),
			}
		}
		each := func(take func(*event.Event) error) time.Duration {
			began := threadTime(t)
			for _, r := range records {
				ev, err := decoder.Decode(r)
				if err == nil {
					err = take(ev)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			return threadTime(t) - began
		}
		decoding = min(decoding, each(func(*event.Event) error { return nil }))
		took := each(engine.Apply)
		began := threadTime(t)
		engine.Changes(func(string, []byte) {})
		engine.Commit()
		all = min(all, took+threadTime(t)-began)
	}
	cost := float64(all) / float64(decoding)
	t.Logf("an event costs %.2f times its decoding (%s of %s); recorded: %.2f", cost, all/batch, decoding/batch, recordedCost)
	if cost > recordedCost/leastSpeed {
		t.Errorf("an event costs %.2f times its decoding, %.2f was recorded: less than 60 %% of the speed is left", cost, recordedCost)
	}
}
