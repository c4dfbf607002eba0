package processor_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// logged keeps what a processor logs.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer // guarded by mu
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) restores() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), "partition restored")
}

// join starts a member whose log is kept.
func (s *stage) join(instance string) (stop func(), l *logged) {
	l = &logged{}
	cfg := s.config(instance)
	cfg.Log = zerolog.New(l)
	return s.start(cfg), l
}

// owners is which member has which partition, once it is as wanted.
func (s *stage) owners(members int) map[string][]int32 {
	s.t.Helper()
	var got map[string][]int32
	for end := time.Now().Add(patience); time.Now().Before(end); <-time.After(50 * time.Millisecond) {
		groups, err := s.adm.DescribeGroups(context.Background(), "vigil.processor")
		if err != nil {
			s.t.Fatal(err)
		}
		got = map[string][]int32{}
		n := 0
		for _, m := range groups["vigil.processor"].Members {
			c, ok := m.Assigned.AsConsumer()
			if !ok || m.InstanceID == nil {
				continue
			}
			if ids := s.whole(c); len(ids) > 0 {
				got[*m.InstanceID] = ids
				n += len(ids)
			}
		}
		if n == s.width && len(got) == members {
			return got
		}
	}
	s.t.Fatalf("the partitions are not shared by %d: %v", members, got)
	return nil
}

// whole are the partitions of which a member has all inputs.
func (s *stage) whole(share *kmsg.ConsumerMemberAssignment) (ids []int32) {
	has := map[int32]int{}
	for _, t := range share.Topics {
		for _, id := range t.Partitions {
			if has[id]++; has[id] == len(s.inputs) {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// buys sends one event to each partition and returns its fire.
func (s *stage) buys(id string) map[int32]string {
	s.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer cl.Close()
	fires := map[int32]string{}
	for p := range int32(partitions) {
		user := fmt.Sprint("user-", p)
		r := &kgo.Record{Topic: "events", Partition: p, Key: []byte(user), Value: fmt.Appendf(nil, `{"type":"buy","id":%q}`, id)}
		if err := cl.ProduceSync(context.Background(), r).FirstErr(); err != nil {
			s.t.Fatal(err)
		}
		fires[p] = fire("buy", user, id, "")
	}
	return fires
}

// A member joins; while what moves to it is being restored, the partitions that stay decide, and what comes for the moved
// one waits.
func TestOnlyMovedPartitionsPause(t *testing.T) {
	s := newStage(t, onBuy)
	s.join("a")
	want := slices.Collect(maps.Values(s.buys("e0")))
	s.fires(partitions)

	release := make(chan struct{})
	s.cluster.ControlKey(int16(kmsg.ListOffsets), func(req kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		if topics := req.(*kmsg.ListOffsetsRequest).Topics; len(topics) == 1 && topics[0].Topic == "vigil.state" {
			s.cluster.SleepControl(func() { <-release })
		}
		return nil, nil, false
	})
	_, joined := s.join("b")
	moved := s.owners(2)["b"]
	var stay []string
	all := s.buys("e1")
	for p, id := range all {
		want = append(want, id)
		if !slices.Contains(moved, p) {
			stay = append(stay, id)
		}
	}
	got := s.fires(partitions + len(stay))
	for _, id := range stay {
		if !slices.Contains(got, id) {
			t.Errorf("%s did not fire while another partition was restored", id)
		}
	}
	if len(got) != partitions+len(stay) || joined.restores() > 0 {
		t.Errorf("%d fires, %d partitions restored: the moved partition did not wait: %v", len(got), joined.restores(), moved)
	}
	close(release)
	slices.Sort(want)
	if diff := cmp.Diff(want, s.fires(2*partitions)); diff != "" {
		t.Error(diff)
	}
}

// Static members are restarted one after the other: nobody else's partitions move, and each has its own again.
func TestRollingRestartMovesNothing(t *testing.T) {
	s := newStage(t, onBuy)
	stops, logs := map[string]func(){}, map[string]*logged{}
	for i, name := range []string{"a", "b", "c"} {
		stops[name], logs[name] = s.join(name)
		s.owners(i + 1)
	}
	before := s.owners(3)
	want := slices.Collect(maps.Values(s.buys("e0")))
	s.fires(partitions)
	for i, name := range []string{"a", "b", "c"} {
		others := map[string]int{}
		for other, l := range logs {
			others[other] = l.restores()
		}
		stops[name]()
		stops[name], logs[name] = s.join(name)
		want = append(want, slices.Collect(maps.Values(s.buys(fmt.Sprint("f", i))))...)
		s.fires(len(want))
		for other, l := range logs {
			if other != name && l.restores() != others[other] {
				t.Errorf("%s restored a partition while %s was restarted", other, name)
			}
		}
		if logs[name].restores() != 1 {
			t.Errorf("%s restored %d partitions after its restart", name, logs[name].restores())
		}
	}
	if diff := cmp.Diff(before, s.owners(3)); diff != "" {
		t.Errorf("partitions moved: %s", diff)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, s.firesAndNoMore(len(want))); diff != "" {
		t.Error(diff)
	}
}
