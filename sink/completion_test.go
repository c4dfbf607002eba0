package sink_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestCompletionFileKeepsWhatNoCommitTells: a sink that never got to commit has its stop to finish what is in flight, and
// sends nothing again.
func TestCompletionFileKeepsWhatNoCommitTells(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.DataDir = t.TempDir()
		fault := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Count: -1})
		b.respond = func(n int, r *http.Request) (*http.Response, error) {
			if n == 3 {
				<-r.Context().Done()
				return nil, r.Context().Err()
			}
			return answer(map[bool]int{true: 500, false: 200}[n == 1]), nil
		}
		stop := b.start()
		for i := range 100 {
			b.put(fire(fmt.Sprint("f", i)))
		}
		b.pass(time.Second)
		stop()
		fault.Remove()
		stop = b.start()
		b.pass(30 * time.Second)
		stop()
		count, twice := map[string]int{}, 0
		for _, h := range b.seen() {
			if count[h.id+" "+h.attempt]++; count[h.id+" "+h.attempt] == 2 {
				twice++
			}
		}
		if twice != 0 || len(b.delivered()) != 100 {
			t.Errorf("%d sent twice; %d of 100 delivered", twice, len(b.delivered()))
		}
		for _, topic := range []string{topics.Webhooks, topics.Retry1} {
			if n := b.unfinished(topic); n != 0 {
				t.Errorf("%s: %d offsets not committed", topic, n)
			}
		}
	})
}

// TestAnsweredIsNotSentAgain: a success whose outcome no broker took is written in the next life, not sent again.
func TestAnsweredIsNotSentAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.DataDir = t.TempDir()
		fault := b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topics.Attempts, Err: kerr.NotEnoughReplicas, Count: -1})
		stop := b.start()
		b.put(fire("a1"), fire("a2"))
		b.pass(2 * time.Second)
		stop()
		fault.Remove()
		if n := b.unfinished(topics.Webhooks); n != 2 {
			t.Errorf("%d offsets open though nothing is acked, want 2", n)
		}
		stop = b.start()
		b.pass(5 * time.Second)
		stop()
		want(t, "attempts", b.attempts(), []string{"1 delivered", "1 delivered"})
		if n := len(b.seen()); n != 2 || b.unfinished(topics.Webhooks) != 0 {
			t.Errorf("%d requests for 2 deliveries, %d offsets open", n, b.unfinished(topics.Webhooks))
		}
	})
}

// TestCompletionFileOfAnotherLife: offsets that were done in a topic that was deleted since say nothing of the new one.
func TestCompletionFileOfAnotherLife(t *testing.T) {
	folder := t.TempDir()
	for life := range 2 {
		inBubble(t, func(t *testing.T, b *bench) {
			b.cfg.DataDir = folder
			stop := b.start()
			for i := range 50 {
				b.put(fire(fmt.Sprint("life", life, "-", i)))
			}
			b.pass(3 * time.Second)
			stop()
			if n := len(b.delivered()); n != 50 || b.unfinished(topics.Webhooks) != 0 {
				t.Errorf("life %d: %d of 50 delivered, %d open", life, n, b.unfinished(topics.Webhooks))
			}
		})
	}
}

// TestCompletionFileThatCannotBe: no folder, no harm.
func TestCompletionFileThatCannotBe(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.cfg.DataDir = filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(b.cfg.DataDir, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		stop := b.start()
		b.put(fire("a1"))
		b.pass(2 * time.Second)
		stop()
		want(t, "attempts", b.attempts(), []string{"1 delivered"})
	})
}
