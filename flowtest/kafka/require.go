package kafkatest

import (
	"os"
	"os/exec"
	"sync"
	"testing"
)

// require skips the test, saying why, where a real Kafka cannot or should not be started. Where a skip must not pass
// it fails instead; -short is the caller's own word and always skips.
func require(tb testing.TB) {
	tb.Helper()
	if testing.Short() {
		tb.Skip("a real Kafka is not started with -short")
	}
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			missing(tb, program)
		}
	}
}

func missing(tb testing.TB, program string) {
	tb.Helper()
	const why = "a real Kafka needs java (17 or newer) and mvn: %s is not in PATH"
	if os.Getenv("CI") == "true" || os.Getenv("VIGIL_REQUIRE_KAFKA") == "1" {
		tb.Fatalf(why, program)
	}
	tb.Skipf(why, program)
}

// Shared is one cluster for all tests of a package, started by the first test that asks. Its zero value has one node:
//
//	var broker kafkatest.Shared
//
//	func TestMain(m *testing.M) { os.Exit(broker.Main(m)) }
//
//	func TestX(t *testing.T) { client(broker.Start(t).Bootstrap) }
//
// Tests that share a cluster name their own topics and groups.
type Shared struct {
	Nodes int // 0: one

	once    sync.Once
	dir     string // set by the first Start
	cluster *Cluster
	err     error
}

// Main runs the tests of the package, ends the cluster if one was started, and returns the exit code.
func (s *Shared) Main(m *testing.M) int {
	code := m.Run()
	if s.cluster != nil {
		_, _ = s.cluster.run("wipe") // the nodes die with this process in any case
	}
	if s.dir != "" {
		_ = os.RemoveAll(s.dir) // a folder left in /tmp is no reason to fail
	}
	return code
}

// Start returns the package's cluster; the first call starts it. It skips or fails as the package comment says.
func (s *Shared) Start(tb testing.TB) *Cluster {
	tb.Helper()
	require(tb)
	s.once.Do(func() {
		if s.dir, s.err = os.MkdirTemp("", "vigil-kafka-"); s.err == nil {
			s.cluster, s.err = launch(s.dir, max(s.Nodes, 1))
		}
	})
	if s.err != nil {
		tb.Fatal(s.err)
	}
	return s.cluster
}
