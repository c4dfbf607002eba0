// Package crash tests what a processor leaves behind that is killed with SIGKILL between any two of the numbered steps
// of processor/commit.go. The processor is a child process, the test binary once more; the broker is in the parent, which
// sees every request and so knows at what step the child is.
package crash

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv(childAddr); addr != "" {
		os.Exit(runChild(addr))
	}
	os.Exit(m.Run())
}

// moment is a request of the child at which it dies. The zero moment is none.
type moment struct {
	key    kmsg.Key
	topic  string // of a Produce
	nth    int    // of the requests that match, from 1
	served bool   // the broker does what it is asked to; the child never hears of it
}

const never = time.Hour // between two checkpoints

// TestCrashAtEachStep kills a child at a step of a transaction that carries user records, fires and offsets, starts
// another in its place, and wants the fires of an uninterrupted run, each once.
func TestCrashAtEachStep(t *testing.T) {
	for _, row := range []struct {
		name       string
		at, again  moment // again: at which the child that follows dies too
		checkpoint time.Duration
	}{
		{"1 nothing is written", moment{kmsg.Produce, "vigil.state", 1, false}, moment{}, never},
		{"2 user records are written", moment{kmsg.Produce, "vigil.state", 1, true}, moment{}, never},
		{"2 fires are written", moment{kmsg.Produce, "vigil.webhooks", 1, true}, moment{}, never},
		{"2 all is written, offsets are not", moment{kmsg.TxnOffsetCommit, "", 1, false}, moment{}, never},
		{"3 offsets have joined", moment{kmsg.TxnOffsetCommit, "", 1, true}, moment{}, never},
		{"3 the end is asked for", moment{kmsg.EndTxn, "", 1, false}, moment{}, never},
		{"3 the next one dies while it fences", moment{kmsg.TxnOffsetCommit, "", 1, true}, moment{kmsg.InitProducerID, "", 1, true}, never},
		{"4 committed, which the child does not know", moment{kmsg.EndTxn, "", 1, true}, moment{}, never},
		{"5 committed, without a checkpoint", moment{}, moment{}, never},
		{"6 with a checkpoint, before a commit", moment{kmsg.EndTxn, "", 3, false}, moment{}, 20 * time.Millisecond},
		{"6 with a checkpoint behind the commits", moment{kmsg.EndTxn, "", 3, true}, moment{}, 20 * time.Millisecond},
		{"6 twice", moment{kmsg.EndTxn, "", 3, true}, moment{kmsg.EndTxn, "", 1, true}, 20 * time.Millisecond},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t, row.checkpoint)
			c := s.spawn(moment{})
			s.sendRound()
			s.awaitFires(c)

			c.dieAt(row.at)
			s.sendRound()
			s.awaitFires(c)
			s.sendRound()
			s.awaitFires(c)
			c.killed(row.at)

			if row.again != (moment{}) {
				c = s.spawn(row.again)
				s.sendRound()
				s.awaitFires(c)
				c.killed(row.again)
			}
			c = s.spawn(moment{})
			s.sendRound()
			s.awaitFires(c)
			c.stop()
			if diff := cmp.Diff(s.wanted(), s.fires()); diff != "" {
				t.Errorf("fires (-want +got)\n%s", diff)
			}
		})
	}
}
