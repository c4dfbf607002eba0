package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/time/rate"

	"vigil/event"
	"vigil/kafka"
	"vigil/replay"
)

// produceFlags are the flags of `vigil produce`.
type produceFlags struct {
	settings
	topic, file string
	rate        float64
}

func produceCommand() *cobra.Command {
	f := &produceFlags{}
	cmd := &cobra.Command{
		Use:   "produce --topic T [-f FILE|-]",
		Short: "Write a file of events into a topic, keyed by user",
		Long: `Writes NDJSON events, {"user","type","id","time","received","properties"}, into a topic. The key is the user, the value the
line as it is; "received", where given, becomes the timestamp of the record if the topic takes it.`,
		Example: example(`
			vigil produce --topic events -f day.ndjson
			echo '{"user":"ada","type":"app_launched"}' | vigil produce --topic events
			vigil produce --topic events -f day.ndjson --rate 500 -X kafka.brokers=broker:9092`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.settings.flags(cmd)
	cmd.Flags().StringVar(&f.topic, "topic", "", "topic to write to (needed)")
	cmd.Flags().StringVarP(&f.file, "file", "f", "-", "NDJSON file, - for standard input")
	cmd.Flags().Float64Var(&f.rate, "rate", 0, "events a second; 0 is as fast as it goes")
	return cmd
}

func (f *produceFlags) run(cmd *cobra.Command) error {
	if f.topic == "" {
		return usagef("produce needs --topic")
	}
	if !(f.rate >= 0) { // nor no number at all
		return usagef("--rate is 0 or more, not %v", f.rate)
	}
	in, closeInput, err := openInput(cmd, f.file)
	if err != nil {
		return err
	}
	defer closeInput()
	client, _, err := f.settings.client(cmd.Context(), kgo.DefaultProduceTopic(f.topic))
	if err != nil {
		return err
	}
	defer client.Close()
	seen := watched(in, cmd.ErrOrStderr())
	began := time.Now()
	sent, err := newProducer(client, f.rate).lines(cmd.Context(), seen)
	seen.clear()
	fmt.Fprintf(cmd.ErrOrStderr(), "%d events written to %s in %s\n", sent, f.topic, time.Since(began).Round(time.Millisecond))
	var bad *badLine
	if errors.As(err, &bad) {
		return exit(exitFailure, fmt.Errorf("%s: %w", f.file, err))
	}
	return err
}

// badLine is a line that is no event; lines count from 1.
type badLine struct {
	line int
	err  error
}

func (b *badLine) Error() string { return fmt.Sprintf("line %d: %v", b.line, b.err) }

// producer writes lines as records. It has one caller.
type producer struct {
	client *kgo.Client
	limit  *rate.Limiter // nil: none
	reader event.Reader

	mu     sync.Mutex // guards what follows: promises run on goroutines of the client
	acked  int
	failed error
}

func newProducer(client *kgo.Client, perSecond float64) *producer {
	p := &producer{client: client}
	if perSecond > 0 {
		p.limit = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond/10)))
	}
	return p
}

// lines writes every line of in, waits until all are acked, and tells how many were.
func (p *producer) lines(ctx context.Context, in io.Reader) (sent int, err error) {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 0, 1<<16), replay.MaxLineBytes)
	line := 1
	for ; err == nil && scanner.Scan(); line++ {
		if len(bytes.TrimSpace(scanner.Bytes())) == 0 {
			continue
		}
		record, bad := p.record(bytes.Clone(scanner.Bytes()))
		if bad != nil {
			err = &badLine{line, bad}
			break
		}
		err = p.send(ctx, record)
	}
	if flushed := p.client.Flush(ctx); err == nil && flushed != nil {
		err = context.Cause(ctx)
	}
	if err == nil && errors.Is(scanner.Err(), bufio.ErrTooLong) {
		err = &badLine{line, fmt.Errorf("longer than %d bytes", replay.MaxLineBytes)}
	} else if err == nil && scanner.Err() != nil {
		err = fmt.Errorf("read events: %w", scanner.Err())
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		err = p.failed
	}
	return p.acked, err
}

// record makes the record of a line.
func (p *producer) record(line []byte) (*kgo.Record, error) {
	if _, err := event.ParseValue(line); err != nil {
		return nil, err
	}
	v := p.reader.Parse(line)
	user := v.Get("user").Text()
	switch {
	case v.Kind() != event.Object:
		return nil, errors.New("not a JSON object")
	case user == "" || len(user) > event.MaxUserBytes:
		return nil, fmt.Errorf("user is needed: a text of 1 to %d bytes", event.MaxUserBytes)
	case v.Get("type").Text() == "":
		return nil, errors.New("type is needed: a text")
	}
	record := &kgo.Record{Key: []byte(user), Value: line}
	if received := v.Get("received"); received.Present() {
		ms, ok := event.ParseTime(received)
		if !ok {
			return nil, errors.New("received is no time")
		}
		record.Timestamp = time.UnixMilli(ms)
	}
	return record, nil
}

// send hands a record to the client; it errs as soon as an earlier record has failed.
func (p *producer) send(ctx context.Context, record *kgo.Record) error {
	if p.limit != nil {
		if err := p.limit.Wait(ctx); err != nil {
			return context.Cause(ctx)
		}
	}
	p.client.Produce(ctx, record, func(r *kgo.Record, err error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		switch {
		case err == nil:
			p.acked++
		case p.failed == nil && ctx.Err() != nil:
			p.failed = context.Cause(ctx)
		case p.failed == nil:
			p.failed = writeError(r.Topic, err)
		}
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// writeError says what to do about a record that the brokers did not take.
func writeError(topic string, err error) error {
	var refused *kerr.Error
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		return exit(exitFailure, fmt.Errorf("topic %s: %w; `vigil topics create -X input.topics=%s` makes it", topic, kafka.ErrMissing, topic))
	case errors.As(err, &refused) && !refused.Retriable:
		return exit(exitFailure, fmt.Errorf("write to %s: %w", topic, err))
	}
	return unreachable(fmt.Errorf("write to %s: %w", topic, err))
}
