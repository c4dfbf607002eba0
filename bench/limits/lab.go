package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
)

// lab is Apache Kafka, and the processes of vigil on it.
type lab struct {
	out    io.Writer
	dir    string
	own    bool   // dir is removed at the end
	bin    string // folder of the programs
	broker *exec.Cmd
	addr   string
	adm    *kadm.Client
	all    []*member
}

func newLab(ctx context.Context, dir string, out io.Writer) (l *lab, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l = &lab{out: out, dir: dir, own: dir == "", bin: filepath.Dir(self)}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	if l.own {
		if l.dir, err = os.MkdirTemp("", "vigil-limits-"); err != nil {
			return nil, err
		}
	}
	// bench starts Kafka for its own parts; here it does nothing else.
	l.broker = exec.CommandContext(ctx, filepath.Join(l.bin, "bench"), "broker", "-events", "0")
	l.broker.Stderr, l.broker.WaitDelay = os.Stderr, time.Minute
	l.broker.Cancel = func() error { return l.broker.Process.Signal(syscall.SIGTERM) }
	pipe, err := l.broker.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err = l.broker.Start(); err != nil {
		return nil, fmt.Errorf("start bench broker: %w", err)
	}
	line, err := bufio.NewReader(pipe).ReadString('\n')
	if err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	l.addr = strings.TrimSpace(line)
	cl, err := l.client()
	if err != nil {
		return nil, err
	}
	l.adm = kadm.NewClient(cl)
	return l, nil
}

func (l *lab) client(opts ...kgo.Opt) (*kgo.Client, error) {
	return kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(l.addr), kgo.RecordPartitioner(kgo.ManualPartitioner())}, opts...)...)
}

// close ends what was started and removes its files.
func (l *lab) close() {
	for _, p := range l.all {
		p.kill()
	}
	if l.adm != nil {
		l.adm.Close()
	}
	if l.broker != nil && l.broker.Process != nil {
		_ = l.broker.Process.Signal(syscall.SIGTERM) // it may have ended
		_ = l.broker.Wait()                          // it was told to
	}
	if l.own {
		_ = os.RemoveAll(l.dir) // a folder left in the temporary one is no reason to fail
	}
}

func (l *lab) line(format string, args ...any) { fmt.Fprintf(l.out, format+"\n", args...) }

// topics makes the topics of a prefix, its input events-PREFIX among them.
func (l *lab) topics(ctx context.Context, prefix string, partitions int) error {
	if err := kafka.EnsureInputs(ctx, l.adm, []string{inputOf(prefix)}, int32(partitions)); err != nil {
		return err
	}
	return kafka.Ensure(ctx, l.adm, kafka.Specs(kafka.Names(prefix), int32(partitions)))
}

func inputOf(prefix string) string { return "events-" + prefix }

// campaigns writes campaign files and returns their folder.
func (l *lab) campaigns(name string, texts ...string) (string, error) {
	dir := filepath.Join(l.dir, "campaigns-"+name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for i, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.yaml", i)), []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// member is one `vigil processor`.
type member struct {
	name string
	log  string
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs a processor as the instance name on a state folder of that name.
func (l *lab) start(prefix, name, campaigns string, more ...string) (*member, error) {
	p := &member{name: name, log: filepath.Join(l.dir, prefix+"-"+name+".log"), done: make(chan struct{})}
	file, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	args := []string{"processor"}
	for _, x := range append([]string{
		"kafka.brokers=" + l.addr, "topic_prefix=" + prefix, "group=" + prefix, "instance=" + name, "input.topics=" + inputOf(prefix),
		"input.start=earliest", "data_dir=" + l.stateOf(prefix, name), "campaigns=" + campaigns, "admin.listen=", "log.format=json",
	}, more...) {
		args = append(args, "-X", x)
	}
	p.cmd = exec.Command(filepath.Join(l.bin, "vigil"), args...)
	p.cmd.Stdout, p.cmd.Stderr = file, file
	if err := p.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start %s: %w", name, err), file.Close())
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is seen from what it did
		_ = file.Close() // its own handle is gone with it
		close(p.done)
	}()
	l.all = append(l.all, p)
	return p, nil
}

func (l *lab) stateOf(prefix, name string) string {
	return filepath.Join(l.dir, "state-"+prefix+"-"+name)
}

// kill is SIGKILL, and the end awaited.
func (p *member) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// stop is SIGTERM, and the end awaited.
func (p *member) stop() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	<-p.done
}

// await looks every 20 ms until ok, and errs after a while.
func (l *lab) await(ctx context.Context, what string, within time.Duration, ok func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(within)
	for {
		if is, err := ok(); is || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-late:
			return fmt.Errorf("%s: not within %s; the logs: %s", what, within, l.tails())
		case <-tick.C:
		}
	}
}

// tails are the last lines of every process's log.
func (l *lab) tails() string {
	out := ""
	for _, p := range l.all {
		text, _ := os.ReadFile(p.log) // no log, no lines
		lines := strings.Split(strings.TrimSpace(string(text)), "\n")
		out += "\n" + p.name + ":\n" + strings.Join(lines[max(len(lines)-8, 0):], "\n")
	}
	return out
}
