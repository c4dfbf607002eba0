package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// figures are what one run came to.
type figures struct {
	Name      string            `json:"name"`
	Units     int               `json:"units"`      // events or deliveries
	CPU       float64           `json:"cpu"`        // seconds, user and system, from the start of the work to its end
	Committed float64           `json:"committed"`  // of those, until the last event was committed
	Wall      float64           `json:"wall"`       // seconds until the last event was committed
	MaxBytes  int64             `json:"max_bytes"`  // of memory, resident
	Produced  map[string]volume `json:"produced"`   // by topic
	Fires     int               `json:"fires"`      // decisions, where counted
	Commits   int               `json:"commits"`    // transactions
	DecodeCPU float64           `json:"decode_cpu"` // seconds for decoding alone, where measured
}

// volume is what was written to a topic.
type volume struct {
	Records int   `json:"records"`
	Bytes   int64 `json:"bytes"` // before compression
	Sent    int64 `json:"sent"`  // after compression
}

func (v volume) size() int { return int(v.Bytes / int64(max(v.Records, 1))) }

// perMillion is CPU-seconds per million.
func (f *figures) perMillion() float64 { return f.CPU / float64(f.Units) * 1e6 }

// stopwatch reads the process's CPU time and the clock.
type stopwatch struct {
	cpu  float64
	wall time.Time
}

func started() stopwatch { return stopwatch{cpuSeconds(), time.Now()} }

func (s stopwatch) cpuTime() float64  { return cpuSeconds() - s.cpu }
func (s stopwatch) wallTime() float64 { return time.Since(s.wall).Seconds() }

func usageNow() syscall.Rusage {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u) // cannot fail for oneself
	return u
}

func cpuSeconds() float64 {
	u := usageNow()
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

func (f *figures) memory() { f.MaxBytes = usageNow().Maxrss * 1024 }

// writes counts what a client produces, by topic.
type writes struct {
	mu     sync.Mutex
	topics map[string]volume // guarded by mu
}

// OnProduceBatchWritten is the hook of franz-go.
func (w *writes) OnProduceBatchWritten(_ kgo.BrokerMetadata, topic string, _ int32, m kgo.ProduceBatchMetrics) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.topics == nil {
		w.topics = map[string]volume{}
	}
	v := w.topics[topic]
	v.Records += m.NumRecords
	v.Bytes += int64(m.UncompressedBytes)
	v.Sent += int64(m.CompressedBytes)
	w.topics[topic] = v
}

func (w *writes) taken() map[string]volume {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.topics
}

// measured runs this program again, on the core of the engine, and reads its figures.
func measured(ctx context.Context, what string, p part) (*figures, error) {
	var out bytes.Buffer
	cmd, err := child(ctx, what, p)
	if err != nil {
		return nil, err
	}
	cmd.Stdout = &out
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	f := &figures{}
	if err := json.Unmarshal(out.Bytes(), f); err != nil {
		return nil, fmt.Errorf("%s: read the figures: %w", what, err)
	}
	return f, nil
}

// child is this program with another command, on the core of what is measured or, for the receiver, of the broker.
func child(ctx context.Context, what string, p part) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	core := engineCore
	if what == "receiver" {
		core = brokerCore
	}
	args := pinned(core, self, what,
		"-brokers", p.Brokers, "-prefix", p.Prefix, "-events", strconv.Itoa(p.Events), "-campaigns", strconv.Itoa(p.Campaigns),
		"-validate="+strconv.FormatBool(p.Validate), "-changelog", strconv.Itoa(p.Changelog), "-fire", strconv.Itoa(p.Fire),
		"-every-fire", strconv.Itoa(p.EveryFire), "-folder", p.Folder, "-receiver", p.Receiver, "-deliver", strconv.Itoa(p.Deliver))
	if p.Profile != "" && what != "receiver" { // that one is ended, not left to end
		args = append(args, "-cpuprofile", fmt.Sprintf("%s.%s.%d", p.Profile, what, p.Campaigns))
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Stderr = os.Stderr
	cmd.WaitDelay = 10 * time.Second
	return cmd, nil
}

const (
	brokerCore = 0
	engineCore = 1
)

// pinned is a command on one core, where the machine can do that.
func pinned(core int, args ...string) []string {
	if _, err := exec.LookPath("taskset"); err != nil {
		return args
	}
	return append([]string{"taskset", "-c", strconv.Itoa(core)}, args...)
}

func options(brokers string) []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(strings.Split(brokers, ",")...)}
}
