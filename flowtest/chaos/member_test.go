package chaos

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"vigil/flowtest/live"
)

const (
	restartAfter = time.Second     // a member that has ended by itself is started again, as a supervisor does
	zombieLeaves = 2 * time.Minute // for one whose name another has taken
)

// member is a processor or a sink that is always to be there, whatever is done to it. One goroutine owns it.
type member struct {
	*run
	command string // processor or sink
	name    string
	folder  string // its data_dir
	child   *live.Child
	twin    int  // how often it was replaced
	stopped bool // for good
}

func (r *run) member(command, name string) *member {
	m := &member{run: r, command: command, name: name, folder: r.Path(name)}
	m.start()
	return m
}

func (m *member) start() { m.child = m.Member(m.command, m.name, m.folder) }

// live goes through the steps of a lane until the run ends, and leaves the member running.
func (m *member) live(ctx context.Context, steps []step) {
	for _, s := range steps {
		if !m.wait(ctx, time.Until(m.began.Add(s.at))) {
			return
		}
		m.note(m.command, s.fault)
		m.do(ctx, s)
	}
	m.wait(ctx, time.Until(m.began.Add(m.length)))
}

// do is one fault, from its beginning to the member's running again.
func (m *member) do(ctx context.Context, s step) {
	switch s.fault {
	case kill:
		m.kill()
		pause(ctx, s.hold)
	case freeze:
		m.must(m.child.Signal(syscall.SIGSTOP))
		pause(ctx, s.hold)
		m.must(m.child.Signal(syscall.SIGCONT))
		return
	case replace:
		m.replace(ctx, s.hold)
		return
	case stop, leave:
		m.drain()
		pause(ctx, s.hold)
	case wipe:
		m.kill()
		m.must(os.RemoveAll(m.folder))
		pause(ctx, s.hold)
	case rob:
		m.rob()
		pause(ctx, s.hold)
		m.kill()
	case full:
		if !m.fill(ctx, s.hold) {
			return
		}
	default:
		m.must(fmt.Errorf("%s is no fault of a %s", s.fault, m.command))
	}
	m.start()
}

// wait lets time pass until the next fault, and starts the member again where it ends by itself; false once the run has
// ended.
func (m *member) wait(ctx context.Context, d time.Duration) bool {
	end := time.NewTimer(max(d, 0))
	defer end.Stop()
	for {
		select {
		case <-end.C:
			return ctx.Err() == nil
		case <-ctx.Done():
			return false
		case <-m.child.Done():
			m.fell(m.child)
			if !pause(ctx, restartAfter) {
				m.start()
				return false
			}
			m.start()
		}
	}
}

// kill ends the member with SIGKILL. One that ended by itself the moment before is noted.
func (m *member) kill() {
	if m.child.Ended() {
		m.fell(m.child)
	}
	m.must(m.child.End(syscall.SIGKILL))
}

// drain stops the member in good order.
func (m *member) drain() {
	if m.child.Ended() {
		m.fell(m.child)
		return
	}
	before := m.troubles.Load()
	err := m.child.Drain()
	switch {
	case err == nil:
	case !m.troubled(before):
		m.unclean(err)
	default: // it waited for a broker that was away, and was killed in the end
		m.cut.Add(1)
	}
}

// troubled tells whether a broker was away at some time since there were so many troubles.
func (r *run) troubled(before int32) bool { return before%2 != 0 || before != r.troubles.Load() }

// replace freezes the member, and starts another of its name with a disk of its own, as a scheduler does that takes a
// machine for dead; then the old one wakes up. It must find out that its name is taken. One that had no partition yet cannot:
// it is a newcomer like the other. Nor can one that wakes up while the group has forgotten both, for a broker was away: it has
// the name again before the other one can ask for it. Then either may go on, but only one.
func (m *member) replace(ctx context.Context, hold time.Duration) {
	old, before := m.child, m.troubles.Load()
	m.must(old.Signal(syscall.SIGSTOP))
	held := old.Wrote("partition restored")
	pause(ctx, time.Second)
	m.twin++
	m.folder = m.Path(fmt.Sprintf("%s-%d", m.name, m.twin))
	m.start()
	pause(ctx, hold)
	m.must(old.Signal(syscall.SIGCONT))
	old.Expect()
	select {
	case <-old.Done():
	case <-m.child.Done():
		if !held || m.troubled(before) {
			m.child.Expect()
		}
	case <-time.After(zombieLeaves):
		if !m.troubled(before) { // without a broker neither can know
			m.unclean(errors.New(m.name + " goes on after another has taken its name"))
		}
	}
	m.must(old.End(syscall.SIGKILL))
}

// pause waits; false where the run has ended in the meantime.
func pause(ctx context.Context, d time.Duration) bool {
	end := time.NewTimer(d)
	defer end.Stop()
	select {
	case <-end.C:
		return true
	case <-ctx.Done():
		return false
	}
}
