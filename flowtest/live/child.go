package live

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	stopWithin = 30 * time.Second // for a child to drain after SIGTERM
	logTail    = 4000             // bytes of a child's log that a failure shows
)

// program is vigil, built once for all tests of a package.
type program struct {
	once sync.Once
	dir  string
	err  error
}

// path is the built binary.
func (p *program) path(t *testing.T) string {
	t.Helper()
	p.once.Do(func() {
		if p.dir, p.err = os.MkdirTemp("", "vigil-flow-"); p.err != nil {
			return
		}
		if out, err := exec.Command("go", "build", "-o", filepath.Join(p.dir, "vigil"), "vigil/cmd/vigil").CombinedOutput(); err != nil {
			p.err = fmt.Errorf("build vigil: %w\n%s", err, out)
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return filepath.Join(p.dir, "vigil")
}

func (p *program) remove() {
	if p.dir != "" {
		_ = os.RemoveAll(p.dir) // a folder left in /tmp is no reason to fail
	}
}

// Child is vigil in a process of its own. It ends with the test.
type Child struct {
	Name  string
	log   string // file of its output, appended to by every process of that name
	cmd   *exec.Cmd
	from  int64         // where this process began to write in log
	done  chan struct{} // closed when the process has ended
	ended atomic.Bool   // by us
}

// environment is ours without settings of vigil, and with the secret of the endpoints.
func environment() []string {
	own := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "VIGIL_") })
	return append(own, secretName+"="+secret)
}

// Spawn starts `vigil ARGS` and keeps its output in NAME.log. Where it cannot be started the test fails.
func (s *Stage) Spawn(name string, args ...string) *Child {
	s.T.Helper()
	c := &Child{Name: name, log: s.Path(name + ".log"), done: make(chan struct{})}
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.T.Fatal(err)
	}
	if c.from, err = out.Seek(0, io.SeekEnd); err != nil {
		s.T.Fatal(err)
	}
	c.cmd = exec.Command(s.binary, args...)
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr, c.cmd.Dir = environment(), out, out, s.Dir
	c.cmd.SysProcAttr = dieWithParent()
	if err := c.cmd.Start(); err != nil {
		s.T.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = c.cmd.Wait() // its state says how it ended
		_ = out.Close()
		close(c.done)
	}()
	s.T.Cleanup(func() { _ = c.End(syscall.SIGKILL) }) // SIGKILL needs no time
	s.mu.Lock()
	defer s.mu.Unlock()
	s.children = append(s.children, c)
	return c
}

// Once runs `vigil ARGS` to its end, which must be a good one.
func (s *Stage) Once(name string, args ...string) {
	s.T.Helper()
	if code, last := s.Told(name, patience, args...); code != 0 {
		s.T.Fatalf("vigil %s: exit code %d: %s", name, code, last)
	}
}

// Told runs `vigil ARGS` to its end, and gives its exit code and the last line that it wrote.
func (s *Stage) Told(name string, most time.Duration, args ...string) (code int, last string) {
	s.T.Helper()
	c := s.Spawn(name, args...)
	c.Expect()
	s.Await(name+" has ended", most, func() (bool, string) { return c.Ended(), "" })
	lines := strings.Split(strings.TrimSpace(c.Tail()), "\n")
	return c.ExitCode(), lines[len(lines)-1]
}

// Processor starts a processor with a data_dir of its name.
func (s *Stage) Processor(name string) *Child {
	s.T.Helper()
	return s.Member("processor", name, s.Path(name))
}

// Sink starts a sink.
func (s *Stage) Sink(name string) *Child {
	s.T.Helper()
	return s.Member("sink", name, s.Path(name))
}

// Member starts a processor or a sink as the instance of a name, on a data_dir.
func (s *Stage) Member(command, name, folder string) *Child {
	s.T.Helper()
	return s.Spawn(name, command, "--config", s.Path("vigil.yaml"), "-X", "instance="+name, "-X", "data_dir="+folder)
}

// Signal sends a signal to the process, if it still runs.
func (c *Child) Signal(sig syscall.Signal) error {
	if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("%s to %s: %w", sig, c.Name, err)
	}
	return nil
}

// End sends a signal and waits for the end of the process.
func (c *Child) End(sig syscall.Signal) error {
	c.ended.Store(true)
	if err := c.Signal(sig); err != nil {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-time.After(stopWithin):
		_ = c.cmd.Process.Kill() // the error below is the one to tell
		<-c.done
		return fmt.Errorf("%s did not end within %s of %s", c.Name, stopWithin, sig)
	}
}

// Drain asks the process to end with SIGTERM; it must come to its end in time and exit with 0, unless it had not begun.
func (c *Child) Drain() error {
	if err := c.End(syscall.SIGTERM); err != nil {
		return err
	}
	if !c.Wrote("") && c.ExitCode() < 0 {
		return nil // before a program has taken over its signals, they end it
	}
	if code := c.ExitCode(); code != 0 {
		return fmt.Errorf("%s: exit code %d after SIGTERM\n%s", c.Name, code, c.Tail())
	}
	return nil
}

// Kill ends the process with SIGKILL: nothing is flushed, nobody is told.
func (c *Child) Kill(t *testing.T) {
	t.Helper()
	if err := c.End(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// Stop asks the process to end; it must drain and exit with 0.
func (c *Child) Stop(t *testing.T) {
	t.Helper()
	if err := c.Drain(); err != nil {
		t.Fatal(err)
	}
}

// Expect says that the process may end by itself from now on, or has and that is known: Fault tells nothing of it.
func (c *Child) Expect() { c.ended.Store(true) }

// Wrote tells whether the process has written something that contains text.
func (c *Child) Wrote(text string) bool {
	all, err := os.ReadFile(c.log)
	return err == nil && int64(len(all)) > c.from && bytes.Contains(all[c.from:], []byte(text))
}

// Done is closed when the process is gone.
func (c *Child) Done() <-chan struct{} { return c.done }

// Ended tells whether the process is gone.
func (c *Child) Ended() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// ExitCode is that of a process that has ended; -1 after a signal.
func (c *Child) ExitCode() int { return c.cmd.ProcessState.ExitCode() }

// Fault tells that the process has ended on its own.
func (c *Child) Fault() error {
	if c.Ended() && !c.ended.Load() {
		return fmt.Errorf("%s has ended by itself: %s\n%s", c.Name, c.cmd.ProcessState, c.Tail())
	}
	return nil
}

// Tail is the end of the log without the lines that tell of single records.
func (c *Child) Tail() string {
	text, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	var kept []string
	for _, line := range strings.Split(string(text), "\n") {
		if !strings.Contains(line, `"message":"delivery"`) && !strings.Contains(line, `"message":"record is no event"`) {
			kept = append(kept, line)
		}
	}
	text = []byte(strings.Join(kept, "\n"))
	return fmt.Sprintf("%s:\n%s", c.log, text[max(0, len(text)-logTail):])
}
