package crash

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/campaign"
	"vigil/event"
	"vigil/flowtest/live"
	"vigil/kafka"
	"vigil/processor"
)

// What the environment tells the child.
const (
	childAddr       = "VIGIL_CRASH_ADDR"
	childDir        = "VIGIL_CRASH_DIR"
	childCheckpoint = "VIGIL_CRASH_CHECKPOINT"
)

// runChild is the child: a processor until the standard input ends, as it does when the parent is gone.
func runChild(addr string) (code int) {
	checkpoint, err := time.ParseDuration(os.Getenv(childCheckpoint))
	if err != nil {
		checkpoint = never
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p, err := processor.New(processor.Config{
		Kafka: []kgo.Opt{kgo.SeedBrokers(addr)}, Topics: kafka.Names("vigil"), Inputs: []string{input},
		Fields: event.Fields{Type: "type", ID: "id", Time: "time", Properties: "properties"}, Format: "json",
		Start: "earliest", Group: "vigil.processor", Instance: "a", DataDir: os.Getenv(childDir), Times: live.Times(),
		CommitInterval: 10 * time.Millisecond, CheckpointInterval: checkpoint, ClockGrace: 100 * time.Millisecond, Workers: 2,
		Catalog: campaign.NewCatalog(live.Counting()), Log: zerolog.New(os.Stderr).Level(zerolog.InfoLevel),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // whatever ends it, we stop
		cancel()
	}()
	if err := p.Run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// child is a child as the parent has it.
type child struct {
	s       *stage
	t       *testing.T
	cmd     *exec.Cmd
	input   io.Closer
	log     live.Log
	done    chan struct{} // closed when it has ended
	planned atomic.Bool   // that it ends
}

// spawn starts a child that dies at a moment, if any.
func (s *stage) spawn(at moment) *child {
	s.t.Helper()
	c := &child{s: s, t: s.t, cmd: exec.Command(os.Args[0]), done: make(chan struct{})}
	c.cmd.Env = append(os.Environ(), childAddr+"="+s.cluster.ListenAddrs()[0], childDir+"="+s.dir, childCheckpoint+"="+s.checkpoint.String())
	c.cmd.Stdout, c.cmd.Stderr = &c.log, &c.log
	var err error
	if c.input, err = c.cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	c.dieAt(at)
	go func() {
		_ = c.cmd.Wait() // its state says how it ended
		close(c.done)
	}()
	s.t.Cleanup(c.kill)
	return c
}

// dieAt has the child killed at a request to come. The broker is busy with that request until the signal is sent, so
// nothing of the child comes after it but what is on its way already.
func (c *child) dieAt(at moment) {
	if at == (moment{}) {
		return
	}
	cluster, seen := c.s.cluster, 0
	cluster.ControlKey(int16(at.key), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if c.planned.Load() { // dead: what it still had on its way is not served, and the next child is not meant
			return nil, nil, false
		}
		if !c.s.matches(req, at.topic) {
			return nil, nil, false
		}
		if seen++; seen < at.nth {
			return nil, nil, false
		}
		c.planned.Store(true)
		_ = c.cmd.Process.Kill() // it cannot have ended: it has just asked for something
		if at.served {
			return nil, nil, false
		}
		return nil, kerr.UnknownServerError, true
	})
}

// matches tells whether a request writes to a topic, where one is given.
func (s *stage) matches(req kmsg.Request, topic string) bool {
	produce, ok := req.(*kmsg.ProduceRequest)
	if !ok || topic == "" {
		return true
	}
	return slices.ContainsFunc(produce.Topics, func(t kmsg.ProduceRequestTopic) bool {
		return t.Topic == topic || t.TopicID == s.ids[topic]
	})
}

// kill ends the child with SIGKILL and waits; one that is dead is fine.
func (c *child) kill() {
	c.planned.Store(true)
	_ = c.cmd.Process.Kill() // it may have ended
	<-c.done
}

// killed wants the child dead: at its moment, or where it has none by now.
func (c *child) killed(at moment) {
	c.t.Helper()
	if at != (moment{}) && !c.planned.Load() {
		c.t.Errorf("the child lives: it never came to request %d of %s %s", at.nth, at.key.Name(), at.topic)
	}
	c.kill()
}

// stop asks the child to end; it must end well.
func (c *child) stop() {
	c.t.Helper()
	c.planned.Store(true)
	if err := c.input.Close(); err != nil {
		c.t.Error(err)
	}
	select {
	case <-c.done:
	case <-time.After(patience):
		c.t.Fatalf("the child does not stop\n%s", c.log.Text())
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		c.t.Fatalf("the child ended with %d\n%s", code, c.log.Text())
	}
}

// dead tells whether the child has died as planned; it fails the test where it ended by itself.
func (c *child) dead() bool {
	c.t.Helper()
	select {
	case <-c.done:
		if !c.planned.Load() {
			c.t.Fatalf("the child ended by itself: %s\n%s", c.cmd.ProcessState, c.log.Text())
		}
		return true
	default:
		return false
	}
}
