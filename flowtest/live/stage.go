// Package live is what tests of the whole system share that run it for real: a stage is an Apache Kafka with topics of
// its own, a folder with all that vigil is given, vigil in processes of its own, and a receiver of webhooks. It reads
// what was fired and holds it against what must fire. It decides nothing about what a test does with it.
package live

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	kafkatest "vigil/flowtest/kafka"
	"vigil/kafka"
)

const (
	lookEvery = 20 * time.Millisecond // between two looks at a condition
	patience  = 3 * time.Minute       // for what takes seconds on a machine that has nothing else to do
)

// Site is what all stages of a package share: a Kafka, and vigil as a binary, each made when first asked for. Its zero
// value is ready:
//
//	var site live.Site
//
//	func TestMain(m *testing.M) { os.Exit(site.Main(m)) }
type Site struct {
	Kafka kafkatest.Shared
	vigil program
}

// Main runs the tests of the package, ends what they share, and returns the exit code.
func (s *Site) Main(m *testing.M) int {
	code := s.Kafka.Main(m)
	s.vigil.remove()
	return code
}

// Stage is a real Kafka with topics of its own, a folder with all that vigil is given, and the processes of vigil.
type Stage struct {
	T          *testing.T
	Dir        string   // kept where the test fails
	Prefix     string   // of its topics and groups
	Input      string   // the topic of events, the first where there are more
	Inputs     []string // all that is read, in the order in which records of the same time are taken
	Partitions int32    // of each input
	Topics     kafka.Topics
	Cluster    *kafkatest.Cluster
	Brokers    []string    // their addresses
	Client     *kgo.Client // its records name their partition
	Adm        *kadm.Client

	binary string

	mu       sync.Mutex
	children []*Child // guarded by mu
}

// Plan says what a stage is made with.
type Plan struct {
	Name       string   // of topics, groups and the folder, which all get an ending of their own
	Partitions int32    // of each input
	More       []string // endings of further topics of events, in the order of the configuration
	Profiles   bool     // there is a profiles topic
	Config     string   // more lines of vigil.yaml
}

// Stage makes topics and a vigil.yaml; all of it ends with the test.
func (site *Site) Stage(t *testing.T, plan Plan) *Stage {
	t.Helper()
	cluster := site.Kafka.Start(t)
	dir, err := os.MkdirTemp("", "vigil-flow-"+plan.Name+"-")
	if err != nil {
		t.Fatal(err)
	}
	prefix := plan.Name + dir[strings.LastIndex(dir, "-"):]
	s := &Stage{
		T: t, Dir: dir, Prefix: prefix, Input: prefix + "-events", Partitions: plan.Partitions, Topics: kafka.Names(prefix),
		Cluster: cluster, binary: site.vigil.path(t), Brokers: strings.Split(cluster.Bootstrap, ","),
	}
	t.Cleanup(s.leave)
	events, profiles := []string{s.Input}, ""
	for _, ending := range plan.More {
		events = append(events, prefix+"-"+ending)
	}
	s.Inputs = events
	if plan.Profiles {
		profiles = prefix + "-profiles"
		s.Inputs = append([]string{profiles}, events...)
	}
	s.Client = s.Connect(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	s.Adm = kadm.NewClient(s.Client)
	s.Write("vigil.yaml", fmt.Sprintf(`
kafka: {brokers: [%s]}
input: {topics: [%s], profiles_topic: %q, start: earliest}
topic_prefix: %s
group: %s
campaigns: %s
endpoints: %s
admin: {listen: ""}
log: {format: json}
%s`, cluster.Bootstrap, strings.Join(events, ", "), profiles, prefix, prefix, s.Path("campaigns"), s.Path("endpoints"), plan.Config))
	s.Once("topics", "topics", "create", "--config", s.Path("vigil.yaml"), "--partitions", fmt.Sprint(plan.Partitions))
	return s
}

// leave removes the folder, or says where it is and what the processes told.
func (s *Stage) leave() {
	if !s.T.Failed() {
		_ = os.RemoveAll(s.Dir) // a folder left in /tmp is no reason to fail
		return
	}
	s.T.Logf("kept: %s", s.Dir)
	told := map[string]bool{}
	for _, c := range s.all() {
		if !told[c.log] {
			told[c.log] = true
			s.T.Log(c.Tail())
		}
	}
}

// all are the processes that were started, ended ones too.
func (s *Stage) all() []*Child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.children)
}

// Path is a place in the stage's folder.
func (s *Stage) Path(parts ...string) string {
	return filepath.Join(append([]string{s.Dir}, parts...)...)
}

// Write makes a file in the stage's folder.
func (s *Stage) Write(name, text string) {
	s.T.Helper()
	if err := os.MkdirAll(filepath.Dir(s.Path(name)), 0o755); err != nil {
		s.T.Fatal(err)
	}
	if err := os.WriteFile(s.Path(name), []byte(text), 0o644); err != nil {
		s.T.Fatal(err)
	}
}

// Endpoint names a receiver on the loopback for the sink; more are lines of YAML.
func (s *Stage) Endpoint(name, url, more string) {
	s.T.Helper()
	s.Write(filepath.Join("endpoints", name+".yaml"), fmt.Sprintf(
		"name: %s\nurl: %s\nsecrets: [\"env:%s\"]\nallow_http: true\nallow_private: true\n%s", name, url, secretName, more))
}

// Connect makes a client that ends with the test.
func (s *Stage) Connect(opts ...kgo.Opt) *kgo.Client {
	s.T.Helper()
	cl, err := kgo.NewClient(append(opts, kgo.SeedBrokers(s.Brokers...), kgo.MetadataMinAge(100*time.Millisecond))...)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(cl.Close)
	return cl
}

// Within is a context that ends with the test, or after d.
func (s *Stage) Within(d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(s.T.Context(), d)
	s.T.Cleanup(cancel)
	return ctx
}

// Await looks until a condition holds. It fails the test after the time given, saying what was seen last, and at once
// where a process has ended by itself.
func (s *Stage) Await(what string, most time.Duration, look func() (ok bool, seen string)) {
	s.T.Helper()
	end := time.NewTimer(most)
	defer end.Stop()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		ok, seen := look()
		if ok {
			return
		}
		for _, c := range s.all() {
			if err := c.Fault(); err != nil {
				s.T.Fatalf("while waiting until %s: %v", what, err)
			}
		}
		select {
		case <-ticker.C:
		case <-end.C:
			s.T.Fatalf("not within %s: %s; last seen: %s", most, what, seen)
		}
	}
}
