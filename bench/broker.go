package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
)

// script starts Apache Kafka; the program is run from the root of the repository.
const script = "flowtest/kafka/kafka"

// broker is Apache Kafka, one node, on a core of its own.
type broker struct {
	address string
	dir     string
	port    int
	adm     *kadm.Client
}

func startBroker(ctx context.Context) (*broker, error) {
	dir, err := os.MkdirTemp("", "vigil-bench-")
	if err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	b := &broker{dir: dir, port: port}
	if b.address, err = b.script(ctx, "start", "1"); err != nil {
		b.stop()
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	cl, err := kgo.NewClient(options(b.address)...)
	if err != nil {
		b.stop()
		return nil, err
	}
	b.adm = kadm.NewClient(cl)
	return b, nil
}

// freePort finds two free ports in a row.
func freePort() (int, error) {
	for port := 21_000; port < 29_000; port += 2 {
		a, err1 := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		b, err2 := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port+1))
		for _, l := range []net.Listener{a, b} {
			if l != nil {
				_ = l.Close() // it never accepted anything
			}
		}
		if err1 == nil && err2 == nil {
			return port, nil
		}
	}
	return 0, errors.New("no free ports for Kafka")
}

func (b *broker) script(ctx context.Context, args ...string) (string, error) {
	all := pinned(brokerCore, append([]string{script}, args...)...)
	cmd := exec.CommandContext(ctx, all[0], all[1:]...)
	cmd.Env = append(os.Environ(), "KAFKA_DIR="+filepath.Join(b.dir, "kafka"), "KAFKA_PORT="+strconv.Itoa(b.port),
		"KAFKA_OWNER="+strconv.Itoa(os.Getpid()), "KAFKA_HEAP=1g", "KAFKA_SET=message.max.bytes=10485760")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// stop ends the broker and removes its files.
func (b *broker) stop() {
	if b.adm != nil {
		b.adm.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_, _ = b.script(ctx, "wipe") // the node ends with this process in any case
	_ = os.RemoveAll(b.dir)      // a folder left in the temporary one is no reason to fail
}

// preload writes the events into the topic "events".
func (b *broker) preload(ctx context.Context, n int) error {
	if err := kafka.EnsureInputs(ctx, b.adm, []string{"events"}, partitions); err != nil {
		return err
	}
	cl, err := kgo.NewClient(append(options(b.address), kgo.DefaultProduceTopic("events"), kgo.MaxBufferedRecords(100_000),
		kgo.ProducerLinger(20*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	begin := beginning()
	var failed firstError
	for i := range n {
		user, _ := eventAt(i)
		cl.Produce(ctx, &kgo.Record{
			Key: appendUser(nil, user), Value: appendEvent(make([]byte, 0, eventBytes), i, begin),
			Timestamp: time.UnixMilli(begin + int64(i/perMilli)),
		}, func(_ *kgo.Record, err error) { failed.note(err) })
	}
	return errors.Join(cl.Flush(ctx), failed.get())
}

// beginning is the time of the first event: so long ago that the last one is past too.
func beginning() int64 { return time.Now().Add(-time.Hour).UnixMilli() }

// makeTopics makes those that a run writes to.
func makeTopics(ctx context.Context, brokers, prefix string) error {
	cl, err := kgo.NewClient(options(brokers)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	adm, specs := kadm.NewClient(cl), kafka.Specs(kafka.Names(prefix), partitions)
	if err := kafka.Ensure(ctx, adm, specs); err != nil {
		return err
	}
	return seen(ctx, adm, specs)
}

// seen waits until the broker knows the topics that its controller has made.
func seen(ctx context.Context, adm *kadm.Client, specs []kafka.Spec) error {
	names := make([]string, len(specs))
	for i, s := range specs {
		names[i] = s.Name
	}
	for {
		found, err := adm.ListTopics(ctx, names...)
		if err == nil {
			err = found.Error()
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// forget deletes the topics of a run, so that the disk holds one at a time.
func (b *broker) forget(ctx context.Context, prefix string) error {
	var names []string
	for _, s := range kafka.Specs(kafka.Names(prefix), partitions) {
		names = append(names, s.Name)
	}
	_, err := b.adm.DeleteTopics(ctx, names...)
	return err
}

// serve starts Kafka and writes the events, and ends with ctx: to profile a part by hand.
func serve(ctx context.Context, p part) (*figures, error) {
	b, err := startBroker(ctx)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	if err := b.preload(ctx, p.Events); err != nil {
		return nil, err
	}
	fmt.Fprintln(os.Stdout, b.address)
	<-ctx.Done()
	return nil, nil
}

// firstError keeps the first error of many goroutines.
type firstError struct {
	mu  sync.Mutex
	err error // guarded by mu
}

func (e *firstError) note(err error) {
	if err == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.err == nil {
		e.err = err
	}
}

func (e *firstError) get() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.err
}
