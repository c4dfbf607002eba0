package standing_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/sink/standing"
)

const topic = "vigil.endpoints"

// inBubble runs a test with a broker in a bubble of virtual time; the topic is there unless it is to be made.
func inBubble(t *testing.T, exists bool, f func(t *testing.T, opts []kgo.Opt)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var vn kfake.VirtualNetwork
		broker := []kfake.Opt{kfake.ListenFn(vn.Listen), kfake.NumBrokers(1)}
		if exists {
			broker = append(broker, kfake.SeedTopics(1, topic))
		}
		cluster, err := kfake.NewCluster(broker...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cluster.Close)
		// A board waits for days: one fetch lasts long, until something comes.
		f(t, []kgo.Opt{kgo.Dialer(vn.DialContext), kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.FetchMaxWait(10 * time.Minute)})
	})
}

// start runs a board; stop ends it.
func start(t *testing.T, opts []kgo.Opt) (b *standing.Board, stop func()) {
	t.Helper()
	b = standing.New(topic, opts, zerolog.Nop())
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { b.Run(ctx) })
	b.Ready(ctx)
	return b, func() { cancel(); running.Wait() }
}

// pointsTo is where the endpoints of these tests point.
func pointsTo(endpoint string) string { return map[string]string{"shop": "a"}[endpoint] }

func pass(d time.Duration) { <-time.After(d) }

// failures notes an attempt every interval for a while, all failed, as one that knows of failures since the first.
func failures(b *standing.Board, from time.Time, every, d time.Duration) (reason string, at time.Time) {
	n := 0
	for at = from; at.Sub(from) <= d; at = at.Add(every) {
		n++
		reason = b.Note(standing.News{Endpoint: "shop", Address: "a", Named: true, Ill: true, Since: from, Failures: n, At: at})
		if reason != "" {
			return reason, at
		}
	}
	return "", at
}

func TestGonePausesForAllAndForGood(t *testing.T) {
	for _, exists := range []bool{true, false} {
		inBubble(t, exists, func(t *testing.T, opts []kgo.Opt) {
			first, stopFirst := start(t, opts)
			second, stopSecond := start(t, opts)
			if got := first.Note(standing.News{Endpoint: "https://many.example.com", Gone: true, At: time.Now()}); got != "" {
				t.Errorf("a host of inline URLs is paused: %s", got)
			}
			if got := first.Note(standing.News{Endpoint: "shop", Address: "a", Named: true, Gone: true, At: time.Now()}); got != standing.Gone {
				t.Errorf("reason %q", got)
			}
			if got := first.Note(standing.News{Endpoint: "shop", Address: "a", Named: true, Gone: true, At: time.Now()}); got != "" {
				t.Errorf("told twice: %q", got)
			}
			pass(time.Minute + 10*time.Second) // the second may have looked for the topic a moment before it was made
			stopFirst()
			for name, b := range map[string]*standing.Board{"same": first, "other": second} {
				if b.State("shop", "a") != standing.Paused || b.Count(standing.Paused, pointsTo) != 1 {
					t.Errorf("%s instance: not paused", name)
				}
				if b.State("shop", "mended") == standing.Paused || b.State("other", "a") == standing.Paused {
					t.Errorf("%s instance: pauses what is not meant", name)
				}
			}
			third, stopThird := start(t, opts) // a restart
			if third.State("shop", "a") != standing.Paused {
				t.Error("forgotten in a restart")
			}
			marks, err := standing.Read(t.Context(), opts, topic)
			if m := marks["shop"]; err != nil || m.Reason != standing.Gone || len(marks) != 1 {
				t.Errorf("read %v, %v", marks, err)
			}
			if err := resume(t, opts); err != nil {
				t.Fatal(err)
			}
			if second.State("shop", "a") == standing.Paused || third.State("shop", "a") == standing.Paused {
				t.Error("still paused after it was resumed")
			}
			stopSecond()
			stopThird()
		})
	}
}

func TestADayOfFailuresPauses(t *testing.T) {
	inBubble(t, true, func(t *testing.T, opts []kgo.Opt) {
		begin := time.Now().Truncate(time.Millisecond)
		first, stop := start(t, opts)
		if reason, _ := failures(first, begin, time.Minute, 23*time.Hour); reason != "" || first.Count(standing.Failing, pointsTo) != 1 {
			t.Errorf("after 23 h: %q, %d failing", reason, first.Count(standing.Failing, pointsTo))
		}
		pass(time.Second)
		stop()
		second, stop := start(t, opts) // knows from the topic since when
		reason, at := failures(second, begin.Add(23*time.Hour), time.Minute, 23*time.Hour)
		if reason != standing.Dead || at.Sub(begin) != 24*time.Hour || second.State("shop", "a") != standing.Paused {
			t.Errorf("paused for %q after %v", reason, at.Sub(begin))
		}
		stop()
	})
}

func TestOneSuccessAnywhereStartsAnew(t *testing.T) {
	inBubble(t, true, func(t *testing.T, opts []kgo.Opt) {
		begin := time.Now()
		first, stopFirst := start(t, opts)
		second, stopSecond := start(t, opts)
		failures(first, begin, time.Minute, 20*time.Hour)
		pass(time.Second)
		second.Note(standing.News{Endpoint: "shop", Address: "a", Named: true, Well: true, At: begin.Add(20 * time.Hour)})
		pass(time.Second)
		if first.Count(standing.Failing, pointsTo) != 0 {
			t.Error("the first does not know of the success at the second")
		}
		if reason, _ := failures(first, begin.Add(20*time.Hour), time.Minute, 23*time.Hour); reason != "" {
			t.Errorf("paused for %q", reason)
		}
		stopFirst()
		stopSecond()
	})
}

// TestWhatWasTakenBackStartsAnew: a sink that itself has seen nothing but failures for longer than a day pauses an endpoint
// 24 h after the newest success at any instance, or after an operator has resumed it, and not at its next failure.
func TestWhatWasTakenBackStartsAnew(t *testing.T) {
	inBubble(t, true, func(t *testing.T, opts []kgo.Opt) {
		begin := time.Now()
		first, stopFirst := start(t, opts)
		second, stopSecond := start(t, opts)
		fail := func(until time.Duration) (paused time.Duration) {
			for time.Since(begin) < until {
				n := standing.News{Endpoint: "shop", Address: "a", Named: true, Ill: true, Since: begin, Failures: 100, At: time.Now()}
				if first.Note(n) != "" {
					return time.Since(begin)
				}
				pass(10 * time.Minute)
			}
			return 0
		}
		fail(20 * time.Hour)
		second.Note(standing.News{Endpoint: "shop", Address: "a", Named: true, Well: true, At: time.Now()})
		pass(time.Second)
		if at := fail(50 * time.Hour); at.Round(time.Hour) != 44*time.Hour {
			t.Errorf("paused after %v, the success was after 20 h", at)
		}
		if err := resume(t, opts); err != nil {
			t.Fatal(err)
		}
		resumed := time.Since(begin)
		if at := fail(100*time.Hour) - resumed; at.Round(time.Hour) != 24*time.Hour {
			t.Errorf("paused %v after it was resumed", at)
		}
		stopFirst()
		stopSecond()
	})
}

// resume is what an operator does to resume an endpoint.
func resume(t *testing.T, opts []kgo.Opt) error {
	t.Helper()
	client, err := kgo.NewClient(opts...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	defer pass(time.Second)
	return standing.Clear(t.Context(), client, topic, "shop")
}

// A mark of an address that nobody sends to any more is taken back when another one is written: what is known of
// addresses is bounded by those in use.
func TestTheUnusedIsForgotten(t *testing.T) {
	inBubble(t, true, func(t *testing.T, opts []kgo.Opt) {
		b, stop := start(t, opts)
		ill := func(name string) {
			now := time.Now()
			b.Note(standing.News{Endpoint: name, Ill: true, Since: now.Add(-10 * time.Minute), Failures: 2, At: now})
		}
		ill("https://once.example.com")
		b.Note(standing.News{Endpoint: "gone", Named: true, Gone: true, At: time.Now()})
		pass(6 * 24 * time.Hour)
		ill("https://later.example.com")
		if n := b.Count(standing.Failing, pointsTo); n != 2 {
			t.Errorf("%d failing after 6 days, want 2", n)
		}
		pass(2 * 24 * time.Hour)
		ill("https://now.example.com")
		pass(time.Second)
		stop()
		marks, err := standing.Read(t.Context(), opts, topic)
		if _, there := marks["https://once.example.com"]; err != nil || there || len(marks) != 3 || marks["gone"].State != standing.Paused {
			t.Errorf("read %v, %v", marks, err)
		}
	})
}

func TestFewFailuresPauseNothing(t *testing.T) {
	inBubble(t, true, func(t *testing.T, opts []kgo.Opt) {
		b, stop := start(t, opts)
		if reason, _ := failures(b, time.Now(), 5*time.Hour, 40*time.Hour); reason != "" {
			t.Errorf("nine failures in 40 h pause: %q", reason)
		}
		stop()
	})
}

func TestWhatAnOperatorWantsStands(t *testing.T) {
	inBubble(t, true, func(t *testing.T, opts []kgo.Opt) {
		client, err := kgo.NewClient(opts...)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		mark := standing.Mark{Endpoint: "shop", State: standing.Paused, Reason: standing.Operator, Note: "maintenance", At: time.Now()}
		if err := standing.Write(t.Context(), client, topic, mark); err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"", "{", `{"v":2,"state":"paused"}`, `{"v":1,"state":"asleep"}`} {
			r := &kgo.Record{Topic: topic, Key: []byte("other"), Value: []byte(bad)}
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		b, stop := start(t, opts)
		for _, address := range []string{"", "a", "mended"} {
			if b.State("shop", address) != standing.Paused {
				t.Errorf("not paused at address %q", address)
			}
		}
		b.Note(standing.News{Endpoint: "shop", Named: true, Well: true, At: time.Now()}) // it was in flight
		if b.State("shop", "a") != standing.Paused || b.State("other", "") == standing.Paused || b.Count(standing.Paused, pointsTo) != 1 {
			t.Error("what was in flight, or no mark, changed it")
		}
		stop()
	})
}

func TestAMissingTopicHoldsNoMarks(t *testing.T) {
	inBubble(t, false, func(t *testing.T, opts []kgo.Opt) {
		if marks, err := standing.Read(t.Context(), opts, topic); err != nil || len(marks) != 0 {
			t.Errorf("read %v, %v", marks, err)
		}
	})
}
