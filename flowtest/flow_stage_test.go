package flowtest

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	kafkatest "vigil/flowtest/kafka"
	"vigil/kafka"
)

var realKafka kafkatest.Shared

func TestMain(m *testing.M) {
	code := realKafka.Main(m)
	vigil.remove()
	os.Exit(code)
}

const (
	inputPartitions = 4
	lookEvery       = 20 * time.Millisecond // between two looks at a condition
)

// stage is a real Kafka with topics of its own, a folder with all that vigil is given, and the processes of vigil.
type stage struct {
	t        *testing.T
	dir      string // kept where the test fails
	prefix   string // of its topics and groups
	input    string
	topics   kafka.Topics
	brokers  []string
	client   *kgo.Client
	adm      *kadm.Client
	children []*child
}

// newStage makes the topics and a vigil.yaml; more is added to that file.
func newStage(t *testing.T, prefix, more string) *stage {
	t.Helper()
	cluster := realKafka.Start(t)
	dir, err := os.MkdirTemp("", "vigil-flow-"+prefix+"-")
	if err != nil {
		t.Fatal(err)
	}
	prefix += dir[strings.LastIndex(dir, "-"):] // topics of its own, however often the test runs
	s := &stage{
		t: t, dir: dir, prefix: prefix, input: prefix + "-events", topics: kafka.Names(prefix),
		brokers: strings.Split(cluster.Bootstrap, ","),
	}
	t.Cleanup(s.leave)
	s.client = s.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	s.adm = kadm.NewClient(s.client)
	s.write("vigil.yaml", fmt.Sprintf(`
kafka: {brokers: [%s]}
input: {topics: [%s], start: earliest}
topic_prefix: %s
group: %s
campaigns: %s
endpoints: %s
admin: {listen: ""}
log: {format: json}
%s`, cluster.Bootstrap, s.input, prefix, prefix, s.path("campaigns"), s.path("endpoints"), more))
	create := s.spawn("topics", "topics", "create", "--config", s.path("vigil.yaml"), "--partitions", fmt.Sprint(inputPartitions))
	create.ended = true
	s.await("topics are created", time.Minute, func() (bool, string) { return isClosed(create.done), "" })
	if create.cmd.ProcessState.ExitCode() != 0 {
		t.Fatal(create.tail())
	}
	return s
}

// leave removes the folder, or says where it is and what the processes told.
func (s *stage) leave() {
	if !s.t.Failed() {
		_ = os.RemoveAll(s.dir) // a folder left in /tmp is no reason to fail
		return
	}
	s.t.Logf("kept: %s", s.dir)
	told := map[string]bool{}
	for _, c := range s.children {
		if !told[c.log] {
			told[c.log] = true
			s.t.Log(c.tail())
		}
	}
}

func (s *stage) path(parts ...string) string {
	return filepath.Join(append([]string{s.dir}, parts...)...)
}

// write makes a file in the stage's folder.
func (s *stage) write(name, text string) {
	s.t.Helper()
	if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(s.path(name), []byte(text), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// endpoint names a receiver on the loopback for the sink; more are lines of YAML.
func (s *stage) endpoint(name, url, more string) {
	s.t.Helper()
	s.write(filepath.Join("endpoints", name+".yaml"), fmt.Sprintf(
		"name: %s\nurl: %s\nsecrets: [\"env:%s\"]\nallow_http: true\nallow_private: true\n%s", name, url, secretName, more))
}

func (s *stage) processor(name string) *child {
	s.t.Helper()
	return s.spawn(name, "processor", "--config", s.path("vigil.yaml"), "-X", "instance="+name, "-X", "data_dir="+s.path(name))
}

func (s *stage) sink(name string) *child {
	s.t.Helper()
	return s.spawn(name, "sink", "--config", s.path("vigil.yaml"), "-X", "instance="+name, "-X", "data_dir="+s.path(name))
}

func (s *stage) connect(opts ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(s.brokers...), kgo.MetadataMinAge(100*time.Millisecond))...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(cl.Close)
	return cl
}

// within is a context that ends with the test, or after d.
func (s *stage) within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	s.t.Cleanup(cancel)
	return ctx
}

// await looks until a condition holds. It fails the test after the time given, saying what was seen last, and at once
// where a process has ended by itself.
func (s *stage) await(what string, most time.Duration, look func() (ok bool, seen string)) {
	s.t.Helper()
	end := time.NewTimer(most)
	defer end.Stop()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		ok, seen := look()
		if ok {
			return
		}
		for _, c := range s.children {
			if err := c.fault(); err != nil {
				s.t.Fatalf("while waiting until %s: %v", what, err)
			}
		}
		select {
		case <-ticker.C:
		case <-end.C:
			s.t.Fatalf("not within %s: %s; last seen: %s", most, what, seen)
		}
	}
}

// abort writes records in a transaction that is aborted: nobody may ever see them. It returns when the markers are in
// the log too, which is a moment after the transaction has ended.
func (s *stage) abort(name string, records ...*kgo.Record) {
	s.t.Helper()
	ctx := s.within(30 * time.Second)
	cl := s.connect(kgo.TransactionalID(s.prefix+"-"+name), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer cl.Close()
	if err := cl.BeginTransaction(); err != nil {
		s.t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
	if err := cl.EndTransaction(ctx, kgo.TryAbort); err != nil {
		s.t.Fatal(err)
	}
	s.await("no transaction is open", time.Minute, func() (bool, string) {
		stable, err := s.adm.ListCommittedOffsets(ctx, s.input)
		if err != nil {
			return false, err.Error()
		}
		ends := s.ends()
		return maps.Equal(offsetsOf(stable), ends), fmt.Sprintf("stable to %v of %v", offsetsOf(stable), ends)
	})
}

// ends are where the partitions of the input end now.
func (s *stage) ends() map[int32]int64 {
	s.t.Helper()
	listed, err := s.adm.ListEndOffsets(s.within(time.Minute), s.input)
	if err != nil {
		s.t.Fatal(err)
	}
	return offsetsOf(listed)
}

func offsetsOf(listed kadm.ListedOffsets) map[int32]int64 {
	at := map[int32]int64{}
	listed.Each(func(l kadm.ListedOffset) { at[l.Partition] = l.Offset })
	return at
}

// read returns all committed records of a topic, as of now, in the order of their partitions.
func (s *stage) read(topic string) []*kgo.Record {
	s.t.Helper()
	ctx := s.within(time.Minute)
	ends, err := s.adm.ListCommittedOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		s.t.Fatal(err)
	}
	from, left := map[int32]kgo.Offset{}, map[int32]int64{}
	ends.Each(func(l kadm.ListedOffset) {
		if l.Offset > 0 {
			from[l.Partition], left[l.Partition] = kgo.NewOffset().AtStart(), l.Offset
		}
	})
	if len(left) == 0 {
		return nil
	}
	cl := s.connect(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	defer cl.Close()
	var records []*kgo.Record
	for len(left) > 0 {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			s.t.Fatalf("read %s: %v; left: %v", topic, err, left)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
			if end, ok := left[r.Partition]; ok && r.Offset+1 >= end {
				delete(left, r.Partition)
			}
		})
	}
	return records
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
