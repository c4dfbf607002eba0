package processor_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/campaign"
)

const (
	firstAdd = `
id: first
history: 30d
trigger: {type: single_action, did: add, occurrence: first}
webhook: {url: "https://example.com/hook"}
`
	pastCart = `
id: cart
history: 2h
trigger: {type: inaction_within_time, did: add, did_not: buy, within: 90m}
webhook: {url: "https://example.com/hook"}
`
)

// A campaign with history that a running processor adopts knows the past of its inputs: what was spent then is spent,
// what was armed then fires at its time, and nothing fires that lies in the past. Others go on meanwhile, and what
// comes is not lost. It is read once, not again after a restart (semantics 2.10).
func TestHistory(t *testing.T) {
	for _, abort := range []bool{false, true} {
		t.Run(fmt.Sprint("abort=", abort), func(t *testing.T) {
			s := newStage(t, onSee)
			more := "events"
			if !abort {
				more, s.inputs = "more", []string{"events", "more"}
			}
			reload := make(chan *campaign.Catalog, 1)
			cfg := s.config("a")
			cfg.Reload = reload
			stop := s.start(cfg)
			now := time.Now()
			s.send("ada", "add", "a1", now.Add(-3*time.Hour)) // spends first; its cart is before the 2 h
			s.send("bob", "add", "b1", now.Add(-60*time.Minute))
			s.sendTo(more, "bob", "buy b2", now.Add(-30*time.Minute))           // cancels
			s.send("cid", "add", "c1", now.Add(-89*time.Minute-45*time.Second)) // is due once the campaign is known
			s.raw("events", []byte("cid"), []byte("{oops"), now.Add(-time.Minute))
			s.send("ada", "see", "s1", now)
			s.send("bob", "see", "s2", now)
			s.send("cid", "see", "s3", now)
			s.fires(3)
			storm := s.cluster.Fault()
			if abort {
				storm = s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RebalanceInProgress, Count: 1})
			}
			cfg.Catalog = catalog(t, onSee, firstAdd, pastCart)
			reload <- cfg.Catalog
			s.send("dan", "see", "s4", now.Add(time.Second))
			want := []string{
				fire("see", "ada", "s1", ""), fire("see", "bob", "s2", ""), fire("see", "cid", "s3", ""), fire("see", "dan", "s4", ""),
				fire("cart", "cid", "c1", "inaction"),
			}
			slices.Sort(want)
			if diff := cmp.Diff(want, s.fires(len(want))); diff != "" {
				t.Fatal(diff)
			}
			s.send("ada", "add", "a2", now.Add(2*time.Second)) // spent
			s.send("eve", "add", "e1", now.Add(2*time.Second))
			want = append(want, fire("first", "eve", "e1", ""))
			s.fires(len(want))
			stop()
			if abort && storm.Hits() != 1 {
				t.Errorf("%d transactions aborted, want 1", storm.Hits())
			}
			read := s.pastsRead()
			if read != partitions {
				t.Errorf("the past of %d partitions was read, want %d", read, partitions)
			}
			s.start(cfg)
			s.send("ada", "add", "a3", now.Add(3*time.Second))
			s.send("fay", "add", "f1", now.Add(3*time.Second))
			want = append(want, fire("first", "fay", "f1", ""))
			slices.Sort(want)
			if diff := cmp.Diff(want, s.fires(len(want))); diff != "" {
				t.Error(diff)
			}
			if again := s.pastsRead(); again != read {
				t.Errorf("the past was read %d times more", again-read)
			}
		})
	}
}

// pastsRead is how many adoptions of the journal took in a past.
func (s *stage) pastsRead() (n int) {
	s.t.Helper()
	for _, r := range s.all("vigil.journal") {
		var entry struct {
			Moves []struct{ Past json.RawMessage }
		}
		if err := json.Unmarshal(r.Value, &entry); err != nil {
			s.t.Fatal(err)
		}
		for _, m := range entry.Moves {
			if m.Past != nil {
				n++
			}
		}
	}
	return n
}

// A new group that begins at the end of its inputs takes in the past of what came before.
func TestHistoryOfNewGroup(t *testing.T) {
	s := newStage(t, firstAdd)
	now := time.Now()
	s.send("ada", "add", "a1", now.Add(-time.Hour))
	cfg := s.config("a")
	cfg.Start = "latest"
	s.start(cfg)
	s.eventually("the past is not read", func() bool { return s.pastsRead() >= partitions })
	s.send("ada", "add", "a2", now)
	s.send("bob", "add", "b1", now)
	if diff := cmp.Diff([]string{fire("first", "bob", "b1", "")}, s.firesAndNoMore(1)); diff != "" {
		t.Error(diff)
	}
}

// The transaction that takes in the past is aborted, and nothing more comes for the partition: the past is taken in all the
// same, and what was armed in it fires in time.
func TestHistoryAbortedOnIdlePartition(t *testing.T) {
	s := newStage(t, onSee)
	reload := make(chan *campaign.Catalog, 1)
	cfg := s.config("a")
	cfg.Reload = reload
	s.start(cfg)
	now := time.Now()
	s.send("cid", "add", "c1", now.Add(-89*time.Minute-45*time.Second))
	s.send("cid", "see", "s1", now)
	s.fires(1)
	storm := s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.RebalanceInProgress, Count: 1})
	reload <- catalog(t, onSee, firstAdd, pastCart)
	want := []string{fire("see", "cid", "s1", ""), fire("cart", "cid", "c1", "inaction")}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.fires(len(want))); diff != "" {
		t.Error(diff)
	}
	if storm.Hits() != 1 {
		t.Errorf("%d transactions aborted, want 1", storm.Hits())
	}
}
