// Package kafkatest starts a real Apache Kafka for a test: KRaft nodes on free loopback ports, with their data in the
// test's own folder, gone when the test ends. It drives the script `kafka` beside it, which a person can use as well.
// It needs java and mvn; where they are missing the test is skipped and says so, except where a skip must not pass:
// with CI=true or VIGIL_REQUIRE_KAFKA=1 the test fails.
package kafkatest

import (
	"context"
	_ "embed" // the script and its pom.xml
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

//go:embed kafka
var script []byte

//go:embed pom.xml
var pom []byte

// maxStart bounds a start, the first fetch of the jars included.
const maxStart = 5 * time.Minute

// Cluster is a running Kafka. Bootstrap is what a client is given: host:port, comma separated, one for each node.
type Cluster struct {
	Bootstrap string
	dir       string // holds the script, its pom and, in data/, the nodes
	port      int    // the first of 2*nodes free ports
	nodes     int
}

// Start starts a cluster that ends with the test. It skips or fails as the package comment says.
func Start(tb testing.TB, nodes int) *Cluster {
	tb.Helper()
	require(tb)
	c, err := launch(tb.TempDir(), nodes)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.wipe(tb) })
	return c
}

// Kill ends a node, 0-based, with SIGKILL: nothing is flushed, nobody is told.
func (c *Cluster) Kill(tb testing.TB, node int) { c.must(tb, "kill", node) }

// Pause stops a node, 0-based, with SIGSTOP: its connections stay open and nothing answers.
func (c *Cluster) Pause(tb testing.TB, node int) { c.must(tb, "pause", node) }

// Resume lets a paused node go on.
func (c *Cluster) Resume(tb testing.TB, node int) { c.must(tb, "resume", node) }

// Restart brings back every killed node with its data and returns when all replicas are in sync.
func (c *Cluster) Restart(tb testing.TB) {
	tb.Helper()
	if err := c.TryRestart(); err != nil {
		tb.Fatal(err)
	}
}

// Try is Kill, Pause or Resume, by that name in lower case, with an error instead of a failed test: for goroutines beside
// the test's own.
func (c *Cluster) Try(command string, node int) error {
	_, err := c.run(command, strconv.Itoa(node))
	return err
}

// TryRestart is Restart with an error instead of a failed test.
func (c *Cluster) TryRestart() error {
	if _, err := c.run("start", strconv.Itoa(c.nodes)); err != nil {
		return err
	}
	return c.settle()
}

// Settled returns when all replicas are in sync.
func (c *Cluster) Settled() error { return c.settle() }

func (c *Cluster) must(tb testing.TB, command string, arg int) {
	tb.Helper()
	if err := c.Try(command, arg); err != nil {
		tb.Fatal(err)
	}
}

// wipe ends the cluster; a test that has failed shows the end of each node's log first.
func (c *Cluster) wipe(tb testing.TB) {
	tb.Helper()
	if tb.Failed() {
		tb.Log(c.logs())
	}
	if _, err := c.run("wipe"); err != nil {
		tb.Error(err)
	}
}

func (c *Cluster) logs() string {
	var out strings.Builder
	for i := range c.nodes {
		path := filepath.Join(c.dir, "data", strconv.Itoa(i), "log")
		text, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintf(&out, "node %d: %v\n", i, err)
			continue
		}
		fmt.Fprintf(&out, "node %d:\n%s\n", i, text[max(0, len(text)-2000):])
	}
	return out.String()
}

// launch starts nodes in dir. What it started is wiped again where it errs.
func launch(dir string, nodes int) (*Cluster, error) {
	for name, text := range map[string][]byte{"kafka": script, "pom.xml": pom} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o755); err != nil {
			return nil, err
		}
	}
	port, err := FreePorts(2 * nodes)
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir, port: port, nodes: nodes}
	if c.Bootstrap, err = c.run("start", strconv.Itoa(nodes)); err == nil {
		err = c.settle()
	}
	if err != nil {
		err = fmt.Errorf("%w\n%s", err, c.logs())
		_, _ = c.run("wipe") // the first error is the one to tell
		return nil, err
	}
	return c, nil
}

// run calls the script and returns the line it prints. The nodes die with this process, however it ends.
func (c *Cluster) run(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), maxStart)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.dir, "kafka"), args...)
	cmd.Env = append(os.Environ(),
		"KAFKA_DIR="+filepath.Join(c.dir, "data"),
		"KAFKA_PORT="+strconv.Itoa(c.port),
		"KAFKA_OWNER="+strconv.Itoa(os.Getpid()))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("kafka %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// FreePorts finds n free ports in a row, and tells the first. They are below those that the system hands to outgoing
// connections, which could take one before anybody listens there.
func FreePorts(n int) (int, error) {
	for range 100 {
		first := 12000 + rand.IntN(18000)
		if free(first, n) {
			return first, nil
		}
	}
	return 0, fmt.Errorf("no %d free ports in a row", n)
}

func free(first, n int) bool {
	for i := range n {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+i)))
		if err != nil {
			return false
		}
		_ = l.Close() // it never accepted anything
	}
	return true
}
