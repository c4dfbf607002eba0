package flowtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	stopWithin = 30 * time.Second // for a child to drain after SIGTERM
	logTail    = 4000             // bytes of a child's log that a failure shows
)

// program is vigil, built once for all tests of the package.
type program struct {
	once sync.Once
	dir  string
	err  error
}

var vigil program

// path is the built binary.
func (p *program) path(t *testing.T) string {
	t.Helper()
	p.once.Do(func() {
		if p.dir, p.err = os.MkdirTemp("", "vigil-flow-"); p.err != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", filepath.Join(p.dir, "vigil"), "./cmd/vigil")
		cmd.Dir = ".."
		if out, err := cmd.CombinedOutput(); err != nil {
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

// child is vigil in a process of its own. It ends with the test.
type child struct {
	name  string
	log   string // file of its output, appended to by every process of that name
	cmd   *exec.Cmd
	done  chan struct{} // closed when the process has ended
	ended bool          // by us
}

// environment is ours without settings of vigil, and with the secret of the endpoints.
func environment() []string {
	own := slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "VIGIL_") })
	return append(own, secretName+"="+secret)
}

// spawn starts `vigil ARGS` and keeps its output in NAME.log.
func (s *stage) spawn(name string, args ...string) *child {
	s.t.Helper()
	c := &child{name: name, log: filepath.Join(s.dir, name+".log"), done: make(chan struct{})}
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		s.t.Fatal(err)
	}
	c.cmd = exec.Command(vigil.path(s.t), args...)
	c.cmd.Env, c.cmd.Stdout, c.cmd.Stderr, c.cmd.Dir = environment(), out, out, s.dir
	c.cmd.SysProcAttr = dieWithParent()
	if err := c.cmd.Start(); err != nil {
		s.t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		_ = c.cmd.Wait() // its state says how it ended
		_ = out.Close()
		close(c.done)
	}()
	s.t.Cleanup(func() { c.end(syscall.SIGKILL) })
	s.children = append(s.children, c)
	return c
}

// end sends a signal and waits for the end of the process.
func (c *child) end(sig syscall.Signal) error {
	c.ended = true
	if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-c.done:
		return nil
	case <-time.After(stopWithin):
		_ = c.cmd.Process.Kill() // the error below is the one to tell
		<-c.done
		return fmt.Errorf("%s did not end within %s of %s", c.name, stopWithin, sig)
	}
}

// kill ends the process with SIGKILL: nothing is flushed, nobody is told.
func (c *child) kill(t *testing.T) {
	t.Helper()
	if err := c.end(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// stop asks the process to end; it must drain and exit with 0.
func (c *child) stop(t *testing.T) {
	t.Helper()
	if err := c.end(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := c.cmd.ProcessState.ExitCode(); code != 0 {
		t.Fatalf("%s: exit code %d after SIGTERM\n%s", c.name, code, c.tail())
	}
}

// fault tells that the process has ended on its own.
func (c *child) fault() error {
	select {
	case <-c.done:
		if !c.ended {
			return fmt.Errorf("%s has ended by itself: %s\n%s", c.name, c.cmd.ProcessState, c.tail())
		}
	default:
	}
	return nil
}

// tail is the end of the log without the lines that tell of single records.
func (c *child) tail() string {
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
