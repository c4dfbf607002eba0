package processor_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"vigil/state"
	"vigil/webhook"
)

// crowd sends one event for each of n users, all at the same time, to one partition.
func (s *stage) crowd(n int, eventType string, at time.Time) {
	s.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer cl.Close()
	var records []*kgo.Record
	for i := range n {
		value := fmt.Appendf(nil, `{"type":%q,"id":"%s%d","time":%d}`, eventType, eventType, i, at.UnixMilli())
		records = append(records, &kgo.Record{Topic: "events", Key: fmt.Appendf(nil, "user-%06d", i), Value: value, Timestamp: at})
	}
	if err := cl.ProduceSync(context.Background(), records...).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// transactions tells, for the fires of a crowd, the users in the order written and in how many transactions they are: a
// marker stands between two.
func transactions(t *testing.T, records []*kgo.Record) (users []string, n int) {
	t.Helper()
	last := int64(-2)
	for _, r := range records {
		d, err := webhook.DecodeDelivery(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		users = append(users, d.User)
		if r.Offset != last+1 {
			n++
		}
		last = r.Offset
	}
	return users, n
}

// More users than one step settles have a timer due in the same millisecond, on a partition that has gone quiet. They
// are settled over several transactions, in order, each once, also where the processor stops half-way and another goes
// on from the changelog.
func TestCrowdDueAtOnce(t *testing.T) {
	const n = 25_000
	for _, interrupted := range []bool{false, true} {
		t.Run(fmt.Sprint("interrupted=", interrupted), func(t *testing.T) {
			s := newStage(t, cart)
			stop := s.start(s.config("a"))
			s.crowd(n, "add", time.Now())
			if interrupted {
				s.records("vigil.webhooks", 1)
				stop()
				s.dir = t.TempDir()
				s.start(s.config("b"))
			}
			users, txns := transactions(t, s.records("vigil.webhooks", n))
			if txns < 3 {
				t.Errorf("%d transactions for %d fires", txns, n)
			}
			want := slices.Compact(slices.Sorted(slices.Values(users)))
			if diff := cmp.Diff(want, users); diff != "" || len(users) != n {
				t.Errorf("%d fires, want %d, in the order of the users: %s", len(users), n, diff[:min(len(diff), 2000)])
			}
		})
	}
}

// While a crowd of one partition is settled, the events of another one are read and decided, and do not wait for its end.
func TestEventsBesideACrowd(t *testing.T) {
	if raceDetector {
		t.Skip("under the race detector the broker in the process takes no events while it takes the fires of a crowd")
	}
	const n = 150_000
	s := newStage(t, cart, onBuy)
	s.start(s.config("a"))
	cl := s.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	sending, stop := context.WithCancel(t.Context())
	var sender errgroup.Group
	sender.Go(func() error {
		for i := 0; sending.Err() == nil; i++ {
			now := time.Now()
			cl.Produce(t.Context(), &kgo.Record{
				Topic: "events", Partition: 1, Key: []byte("beside"), Timestamp: now,
				Value: fmt.Appendf(nil, `{"type":"buy","id":"b%d","time":%d}`, i, now.UnixMilli()),
			}, nil)
			<-time.After(3 * time.Millisecond)
		}
		return cl.Flush(t.Context())
	})
	s.crowd(n, "add", time.Now())
	reader := s.connect(kgo.ConsumeTopics("vigil.webhooks"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.MetadataMinAge(50*time.Millisecond))
	defer reader.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var crowd, beside []time.Time
	for len(crowd) < n && ctx.Err() == nil {
		for _, r := range reader.PollFetches(ctx).Records() {
			if string(r.Key) == "beside" {
				beside = append(beside, r.Timestamp)
			} else {
				crowd = append(crowd, r.Timestamp)
			}
		}
	}
	stop()
	if err := sender.Wait(); err != nil {
		t.Error(err)
	}
	if len(crowd) != n {
		t.Fatalf("%d fires of the crowd", len(crowd))
	}
	first, last := slices.MinFunc(crowd, time.Time.Compare), slices.MaxFunc(crowd, time.Time.Compare)
	// The polls before the crowd and behind it bring some in any case.
	margin := last.Sub(first) / 8
	if !slices.ContainsFunc(beside, func(at time.Time) bool { return at.After(first.Add(margin)) && at.Before(last.Add(-margin)) }) {
		t.Errorf("no event was decided between %v and %v", first, last)
	}
}

// Events go on being read in the order they came while a crowd is settled before them: what is behind the crowd's
// deadline waits for it, and nothing is lost.
func TestEventsBehindACrowd(t *testing.T) {
	const n = 25_000
	s := newStage(t, cart, onBuy)
	long := time.Now().Add(-time.Hour)
	s.crowd(n, "add", long)
	s.crowd(300, "buy", long.Add(time.Minute))
	s.start(s.config("a"))
	users, txns := transactions(t, s.records("vigil.webhooks", n+300))
	if len(users) != n+300 || txns < 3 {
		t.Fatalf("%d fires in %d transactions", len(users), txns)
	}
	if !slices.IsSorted(users[:n]) || !slices.IsSorted(users[n:]) || users[n] != "user-000000" {
		t.Error("the buys are not behind the crowd")
	}
}

// What the store lacks is written in slices; at a stop all of it is, and the meta says so.
func TestCheckpointInSlices(t *testing.T) {
	const n = 60_000
	s := newStage(t, `
id: cart
trigger: {type: inaction_within_time, did: add, did_not: buy, within: 1d}
webhook: {url: "https://example.com/hook"}
`, onBuy)
	stop := s.start(s.config("a"))
	s.crowd(n, "add", time.Now())
	s.crowd(1, "buy", time.Now())
	s.fires(1)
	stop()
	store, meta, err := state.OpenBadger(filepath.Join(s.dir, "a", "state", "0"), state.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}()
	rows := 0
	if err := store.Scan(func(key, _ []byte) error {
		if strings.HasPrefix(string(key), "user-") {
			rows++
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	ends, err := s.adm.ListEndOffsets(context.Background(), "vigil.state")
	if err != nil {
		t.Fatal(err)
	}
	// Behind the last record stands a marker.
	if end, _ := ends.Lookup("vigil.state", 0); rows != n || meta.Offset != end.Offset-1 {
		t.Errorf("%d users up to offset %d, want %d up to %d", rows, meta.Offset, n, end.Offset-1)
	}
}
