package processor_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/processor"
	"vigil/state"
)

// counted sums the counters of a name over their labels.
func counted(t *testing.T, reg *prometheus.Registry, names ...string) (sum float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if slices.Contains(names, f.GetName()) {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// evict takes the group away from instance a, which does not hear of it before it commits: until then its heartbeats are
// answered as if all were well.
func (s *stage) evict() {
	s.t.Helper()
	var tried atomic.Bool
	s.cluster.ControlKey(int16(kmsg.TxnOffsetCommit), func(kmsg.Request) (kmsg.Response, error, bool) {
		tried.Store(true)
		return nil, nil, false
	})
	s.cluster.ControlKey(int16(kmsg.Heartbeat), func(req kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		return req.ResponseKind(), nil, !tried.Load()
	})
	if _, err := s.adm.LeaveGroup(context.Background(), kadm.LeaveGroup("vigil.processor").InstanceIDs("a")); err != nil {
		s.t.Fatal(err)
	}
}

// A member that was evicted settles a timer: its transaction, which holds no record that it read, must be refused, and
// the fire comes once, from whoever owns the partition then.
func TestGateG2Zombie(t *testing.T) {
	s := newStage(t, onBuy, strings.Replace(cart, "1s", "6s", 1)) // due when the member is evicted
	cfg := s.config("a")
	reg := prometheus.NewRegistry()
	cfg.Registerer = reg
	s.start(cfg)
	now := time.Now()
	s.send("ada", "add", "e1", now)
	s.send("ada", "buy", "e0", now.Add(-time.Hour))
	s.fires(1)
	s.evict()
	want := []string{fire("buy", "ada", "e0", ""), fire("cart", "ada", "e1", "inaction")}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.fires(2)); diff != "" {
		t.Error(diff)
	}
	if n := counted(t, reg, "vigil_aborts_total", "vigil_processing_restarts_total"); n == 0 {
		t.Error("no transaction was refused: the evicted member was not asked who it is")
	}
}

// A process whose instance was given to another, as when a frozen one wakes up, may hear of anything else first: that its
// producer is fenced, that a transaction took too long, that a broker does not answer. It ends all the same, as soon as the
// group can be asked; to join again would take the instance back, and the two would fence each other for ever.
func TestTwinEnds(t *testing.T) {
	unanswered := kfake.Fault{Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.CoordinatorNotAvailable, Count: 12}
	for name, faults := range map[string][]kfake.Fault{
		"fenced producer":        {{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.ProducerFenced, Count: 1}},
		"refused record":         {{Keys: []kmsg.Key{kmsg.Produce}, Topic: "vigil.state", Err: kerr.InvalidRecord, Count: 1}},
		"the group is not there": {{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.ProducerFenced, Count: 1}, unanswered},
		"nothing else":           nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // each waits for half a minute, for a ghost to pass
			twinEnds(t, faults...)
		})
	}
}

// twinEnds gives the instance of a processor to another member and lets faults tell it something else first.
func twinEnds(t *testing.T, faults ...kfake.Fault) {
	s := newStage(t, onBuy)
	ctx, ended := s.held("a")

	taken, take := context.WithCancel(ctx)
	twin, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.ListenAddrs()...), kgo.ConsumerGroup("vigil.processor"), kgo.InstanceID("a"),
		kgo.ConsumeTopics("events"), kgo.Balancers(kgo.CooperativeStickyBalancer()), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { take() }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(twin.Close)
	<-taken.Done()
	if len(faults) > 0 {
		s.cluster.Fault(faults...)
	}
	s.send("ada", "buy", "e2", time.Now())
	if err := <-ended; !errors.Is(err, kerr.FencedInstanceID) {
		t.Errorf("it ended with %v, want that its instance is another's", err)
	}
}

// One that is fenced asks whose the instance is and tries again, for what took it may be a late request to join of the dead
// process before.
func TestFencedBeforeItHoldsAnything(t *testing.T) {
	s := newStage(t, onBuy)
	s.send("ada", "buy", "e1", time.Now())
	s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.SyncGroup}, Err: kerr.FencedInstanceID, Count: 2})
	s.start(s.config("a"))
	if diff := cmp.Diff([]string{fire("buy", "ada", "e1", "")}, s.fires(1)); diff != "" {
		t.Error(diff)
	}
}

// So does one that held partitions before: a late request to join of its own has made a member that nobody is, and the group
// waits for it as long as a session lasts.
func TestFencedByAGhostOfItsOwn(t *testing.T) {
	for name, first := range map[string]kfake.Fault{
		"when it joined again":   {Keys: []kmsg.Key{kmsg.SyncGroup}, Err: kerr.FencedInstanceID, Count: 1},
		"while it held":          {Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.FencedInstanceID, Count: 1},
		"when a commit was late": {Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.ProducerFenced, Count: 1},
	} {
		t.Run(name, func(t *testing.T) { ghostPasses(t, first) })
	}
}

func ghostPasses(t *testing.T, first kfake.Fault) {
	s := newStage(t, onBuy)
	_, ended := s.held("a")
	late := s.cluster.Fault(first)
	ghost := s.cluster.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.Heartbeat}, Err: kerr.FencedInstanceID, Count: 4, When: func(kmsg.Request) bool { return late.Hits() > 0 },
	})
	s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.ProducerFenced, Count: 1})
	s.send("ada", "buy", "e2", time.Now())
	want := []string{fire("buy", "ada", "e1", ""), fire("buy", "ada", "e2", "")}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.fires(2)); diff != "" || ghost.Hits() < 4 {
		t.Errorf("the ghost was met %d times: %s", ghost.Hits(), diff)
	}
	select {
	case err := <-ended:
		t.Errorf("it ended with %v, but the instance was nobody's", err)
	default:
	}
}

// Transactions abort again and again, before and after the broker acted: memory is what the changelog holds, so the
// fires are those of an uninterrupted run, also after a restart from the changelog alone.
func TestGateG6AbortStorm(t *testing.T) {
	s := newStage(t, onBuy, cart, `
id: third
trigger: {type: single_action, did: {event: buy, count: 3}}
webhook: {url: "https://example.com/hook"}
`)
	stop := s.start(s.config("a"))
	storm := s.cluster.Fault(
		kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RebalanceInProgress, Count: 4},
		kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RequestTimedOut, Count: 2}, // the broker has acted
		kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.TransactionAbortable, Count: 2},
	)
	begin := time.Now().Add(-time.Hour)
	var want []string
	for round := range 6 {
		if round == 4 {
			stop()
			s.agrees("a")
			s.dir = t.TempDir()
			stop = s.start(s.config("b"))
		}
		for i := range 20 {
			user, id := fmt.Sprintf("u%02d", i), fmt.Sprint("b", round)
			s.send(user, "buy", id, begin.Add(time.Duration(round)*time.Minute))
			want = append(want, fire("buy", user, id, ""))
			if round == 2 || round == 5 {
				want = append(want, fire("third", user, id, ""))
			}
		}
		if got := len(s.fires(len(want))); got != len(want) {
			t.Fatalf("round %d: %d fires, want %d", round, got, len(want))
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.firesAndNoMore(len(want))); diff != "" {
		t.Error(diff)
	}
	if storm.Hits() < 8 {
		t.Errorf("the storm hit %d times, want 8", storm.Hits())
	}
	stop()
	s.agrees("b")
}

// agrees wants what an instance that has stopped knew of its users, which its last checkpoint wrote to the disk, to be what
// the changelog holds.
func (s *stage) agrees(instance string) {
	s.t.Helper()
	want, got := map[string]string{}, map[string]string{}
	for _, r := range s.all("vigil.state") {
		want[fmt.Sprint(r.Partition, " ", string(r.Key))] = string(r.Value)
		if r.Value == nil {
			delete(want, fmt.Sprint(r.Partition, " ", string(r.Key)))
		}
	}
	for id := range partitions {
		store, _, err := state.OpenBadger(filepath.Join(s.dir, instance, "state", fmt.Sprint(id)), state.Options{})
		if err != nil {
			s.t.Fatal(err)
		}
		err = store.Scan(func(key, value []byte) error { got[fmt.Sprint(id, " ", string(key))] = string(value); return nil })
		if err := errors.Join(err, store.Close()); err != nil {
			s.t.Fatal(err)
		}
	}
	if len(want) == 0 {
		s.t.Error("the changelog is empty")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("memory of %s (-changelog +memory)\n%s", instance, diff)
	}
}

// A fire that the broker refuses is not passed over: its transaction aborts and is done again.
func TestRefusedFireIsNotLost(t *testing.T) {
	s := newStage(t, onBuy)
	s.start(s.config("a"))
	s.send("ada", "buy", "e0", time.Now())
	s.fires(1)
	refused := s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: "vigil.webhooks", Err: kerr.MessageTooLarge})
	s.send("ada", "buy", "e1", time.Now())
	want := []string{fire("buy", "ada", "e0", ""), fire("buy", "ada", "e1", "")}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.fires(2)); diff != "" {
		t.Error(diff)
	}
	if refused.Hits() != 1 {
		t.Errorf("refused %d times", refused.Hits())
	}
}

// held runs a processor, for a few minutes at most, until it has fired once; ended tells what ends it.
func (s *stage) held(instance string) (ctx context.Context, ended <-chan error) {
	s.t.Helper()
	p, err := processor.New(s.config(instance))
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*patience)
	end, gone := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(gone)
		end <- p.Run(ctx)
	}()
	s.t.Cleanup(func() { cancel(); <-gone }) // its folder and its log are the test's
	s.send("ada", "buy", "e1", time.Now())
	s.fires(1)
	return ctx, end
}
