package sink_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/sink"
)

// wire is the sink's way to the broker. It can be cut: connections end, and none can be made.
type wire struct {
	dial  func(ctx context.Context, network, addr string) (net.Conn, error)
	mu    sync.Mutex
	down  bool       // guarded by mu
	conns []net.Conn // guarded by mu
}

func (w *wire) reach(ctx context.Context, network, addr string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	conn, err := w.dial(ctx, network, addr)
	if err == nil {
		w.conns = append(w.conns, conn)
	}
	return conn, err
}

func (w *wire) set(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = down
	for _, c := range w.conns {
		_ = c.Close() // its client closes it too
	}
	w.conns = nil
}

// inTrouble is inBubble with a wire between the sink and the broker.
func inTrouble(t *testing.T, f func(b *bench, w *wire)) {
	t.Helper()
	inBubble(t, func(t *testing.T, b *bench) {
		w := &wire{dial: b.dial}
		b.cfg.Client = append(b.cfg.Client[:len(b.cfg.Client):len(b.cfg.Client)], kgo.Dialer(w.reach))
		f(b, w)
	})
}

func (b *bench) fault(keys []kmsg.Key, topic string, err *kerr.Error) func() {
	return b.cluster.Fault(kfake.Fault{Keys: keys, Topic: topic, Err: err, Count: -1}).Remove
}

// TestBrokerTrouble: each trouble comes in mid-run, lasts and ends. The sink is not started again; nothing is lost, and all
// is committed in the end.
func TestBrokerTrouble(t *testing.T) {
	type strike func(b *bench, w *wire) (mend func())
	on := func(err *kerr.Error, topic string, keys ...kmsg.Key) strike {
		return func(b *bench, _ *wire) func() { return b.fault(keys, topic, err) }
	}
	for _, row := range []struct {
		name  string
		comes strike
		once  bool // nothing is sent twice
	}{
		{"not enough replicas", on(kerr.NotEnoughReplicas, topics.Attempts, kmsg.Produce), true},
		{"not enough replicas after append", on(kerr.NotEnoughReplicasAfterAppend, topics.Attempts, kmsg.Produce), true},
		{"disk of the broker full", on(kerr.KafkaStorageError, topics.Attempts, kmsg.Produce), true},
		{"disk of the broker broken, reading", on(kerr.KafkaStorageError, "", kmsg.Fetch), true},
		{"leader unknown", on(kerr.NotLeaderForPartition, "", kmsg.Produce, kmsg.Fetch), true},
		{"coordinator moves", func(b *bench, _ *wire) func() {
			return b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit, kmsg.Heartbeat}, Err: kerr.NotCoordinator, Count: 6}).Remove
		}, false},
		{"coordinator loads", on(kerr.CoordinatorLoadInProgress, "", kmsg.OffsetCommit), true},
		{"evicted", on(kerr.UnknownMemberID, "", kmsg.Heartbeat, kmsg.OffsetCommit), false},
		{"broker gone", func(_ *bench, w *wire) func() { w.set(true); return func() { w.set(false) } }, false},
		{"all requests time out", on(kerr.RequestTimedOut, ""), false},
	} {
		t.Run(row.name, func(t *testing.T) {
			inTrouble(t, func(b *bench, w *wire) {
				stop := b.start()
				b.put(fire("a1"))
				b.pass(5 * time.Second)
				b.put(fire("a2"))
				mend := row.comes(b, w)
				b.pass(2 * time.Minute)
				mend()
				b.put(fire("a3"))
				b.pass(2 * time.Minute)
				b.put(fire("a4"))
				b.pass(time.Minute)
				stop()
				count := map[string]int{}
				for _, h := range b.seen() {
					count[h.id]++
				}
				for _, id := range []string{"a1", "a2", "a3", "a4"} {
					if count[id] == 0 || row.once && count[id] != 1 {
						t.Errorf("%s was sent %d times\n%s", id, count[id], b.text.Text())
					}
				}
				if n := b.unfinished(topics.Webhooks); n != 0 {
					t.Errorf("%d offsets not committed\n%s", n, b.text.Text())
				}
			})
		})
	}
}

// TestBrokerHardStop: each trouble ends the sink with what it is, where, and what to do; what was not sent stays open.
func TestBrokerHardStop(t *testing.T) {
	for _, row := range []struct {
		name  string
		comes func(b *bench)
		words []string
	}{
		{
			"no read on the fires", func(b *bench) { b.fault([]kmsg.Key{kmsg.Fetch}, topics.Webhooks, kerr.TopicAuthorizationFailed) },
			[]string{"read vigil.webhooks/", "TOPIC_AUTHORIZATION_FAILED", "grant the account READ"},
		},
		{
			"no write on the attempts", func(b *bench) { b.fault([]kmsg.Key{kmsg.Produce}, topics.Attempts, kerr.TopicAuthorizationFailed) },
			[]string{"write to vigil.attempts", "TOPIC_AUTHORIZATION_FAILED", "grant the account"},
		},
		{
			"no commit of offsets", func(b *bench) { b.fault([]kmsg.Key{kmsg.OffsetCommit}, "", kerr.GroupAuthorizationFailed) },
			[]string{"commit offsets", "GROUP_AUTHORIZATION_FAILED", "READ on the consumer group"},
		},
		{
			"two sinks of one name", func(b *bench) { b.fault([]kmsg.Key{kmsg.Heartbeat}, "", kerr.FencedInstanceID) },
			[]string{"FENCED_INSTANCE_ID", "give each its own"},
		},
		{"fires deleted and made anew", func(b *bench) {
			if err := errors.Join(b.cluster.DeleteTopic(topics.Webhooks), b.cluster.CreateTopic(topics.Webhooks, 2, nil)); err != nil {
				b.t.Error(err)
			}
		}, []string{"read vigil.webhooks/", "UNKNOWN_TOPIC_ID", "Start again"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				b.cfg.Instance = "a"
				s, err := sink.New(b.cfg, sink.Deps{Log: b.log})
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan error, 1)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				go func() { done <- s.Run(ctx) }()
				b.put(fire("a1"))
				b.pass(5 * time.Second)
				row.comes(b)
				b.client.Produce(ctx, &kgo.Record{Topic: topics.Webhooks, Value: fire("a2").Encode()}, nil)
				select {
				case err = <-done:
				case <-time.After(5 * time.Minute):
					cancel()
					t.Fatalf("it goes on: %v\n%s", <-done, b.text.Text())
				}
				for _, w := range row.words {
					if err == nil || !strings.Contains(err.Error(), w) {
						t.Errorf("Run: %v, want %q in it", err, w)
					}
				}
			})
		})
	}
}

// A broker that goes away while the sink begins is waited for.
func TestBrokerGoneAtTheStart(t *testing.T) {
	for _, asked := range []kmsg.Key{kmsg.Metadata, kmsg.DescribeConfigs} {
		inBubble(t, func(t *testing.T, b *bench) {
			b.put(fire("a1"))
			var broken atomic.Int32
			b.cluster.ControlKey(int16(asked), func(kmsg.Request) (kmsg.Response, error, bool) {
				if broken.Add(1) > 3 {
					return nil, nil, false
				}
				b.cluster.KeepControl()
				return nil, errors.New("the broker is killed"), true
			})
			stop := b.start()
			b.pass(time.Minute)
			stop()
			if !b.delivered()["a1"] || broken.Load() < 3 {
				t.Errorf("%v: %d requests broken off, delivered: %v\n%s", asked, broken.Load(), b.delivered(), b.text.Text())
			}
		})
	}
}

// Fires that are deleted before they were sent are told of, never skipped in silence; those behind them are sent.
func TestOffsetOutOfRange(t *testing.T) {
	for name, running := range map[string]bool{"while it is stopped": false, "while it runs": true} {
		t.Run(name, func(t *testing.T) {
			inTrouble(t, func(b *bench, w *wire) {
				stop := b.start()
				b.put(fire("a1"))
				b.pass(5 * time.Second)
				w.set(running)
				if !running {
					stop()
				}
				for i := range 3 {
					b.put(fire(fmt.Sprint("gone", i)))
				}
				for p := range int32(2) {
					if err := b.cluster.DeleteRecords(topics.Webhooks, p, b.cluster.PartitionInfo(topics.Webhooks, p).HighWatermark); err != nil {
						t.Fatal(err)
					}
				}
				if w.set(false); !running {
					stop = b.start()
				}
				b.put(fire("a2"), fire("a3"))
				b.pass(time.Minute)
				stop()
				if n := len(b.seen()); n != 3 {
					t.Errorf("%d requests, want 3", n)
				}
				if text := b.text.Text(); strings.Count(text, "records were deleted before they were sent") != 1 || !strings.Contains(text, "vigil.webhooks") {
					t.Errorf("the log does not tell, or not once:\n%s", text)
				}
			})
		})
	}
}

// Commit metadata that another program has written is no reason to leave anything out.
func TestCommitMetadataOfOthers(t *testing.T) {
	for _, metadata := range []string{"garbage", "v1:", "v1:%%%%", "v2:AAAA", strings.Repeat("x", 4000)} {
		inBubble(t, func(t *testing.T, b *bench) {
			var offsets kadm.Offsets
			for p := range int32(2) {
				offsets.Add(kadm.Offset{Topic: topics.Webhooks, Partition: p, At: 0, LeaderEpoch: -1, Metadata: metadata})
			}
			if _, err := kadm.NewClient(b.client).CommitOffsets(t.Context(), b.cfg.Group, offsets); err != nil {
				t.Fatal(err)
			}
			b.put(fire("a1"), fire("a2"))
			stop := b.start()
			b.pass(10 * time.Second)
			stop()
			want(t, "attempts", b.attempts(), []string{"1 delivered", "1 delivered"})
		})
	}
}

// What could not be asked is no loss: old records were sent and deleted, and the sink starts without what was committed.
func TestCommittedOffsetsNotRead(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		stop := b.start()
		b.put(fire("a1"))
		b.pass(5 * time.Second)
		stop()
		for p := range int32(2) {
			if err := b.cluster.DeleteRecords(topics.Webhooks, p, b.cluster.PartitionInfo(topics.Webhooks, p).HighWatermark); err != nil {
				t.Fatal(err)
			}
		}
		b.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetFetch}, Err: kerr.UnknownServerError, Count: 1})
		stop = b.start()
		b.put(fire("a2"))
		b.pass(time.Minute)
		stop()
		text := b.text.Text()
		if strings.Count(text, "commit metadata not read") != 1 || strings.Contains(text, "records were deleted") || len(b.seen()) != 2 {
			t.Errorf("%d requests\n%s", len(b.seen()), text)
		}
	})
}
