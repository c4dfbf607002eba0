package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// counts are the numbers of campaigns of the runs on Kafka; the first is the one the raw loop is compared with.
func counts() []int { return []int{100, 1, 10, 10_000} }

// named is a number of campaigns in words.
func named(n int) string {
	if n == 1 {
		return "1 campaign"
	}
	return fmt.Sprintf("%d campaigns", n)
}

// report runs everything and keeps the best run of each kind: what disturbs a run only ever makes it dearer.
type report struct {
	part
	broker *broker
	out    io.Writer
	best   map[string]*figures
	rounds int
}

func newReport(p part, out io.Writer) *report {
	r := &report{part: p, out: out, best: map[string]*figures{}}
	r.line("vigil bench: %s, %d cores, %s, %s", processorName(), runtime.NumCPU(), runtime.Version(), time.Now().UTC().Format(time.DateOnly))
	return r
}

// all is make bench.
func all(ctx context.Context, p part, out io.Writer) error {
	r := newReport(p, out)
	if err := r.core(ctx); err != nil {
		return err
	}
	var err error
	if r.broker, err = startBroker(ctx); err != nil {
		return err
	}
	defer r.broker.stop()
	r.Brokers = r.broker.address
	if err := r.broker.preload(ctx, r.Events); err != nil {
		return fmt.Errorf("preload: %w", err)
	}
	r.line("\nApache Kafka: %d events of %d bytes, %d users, %d partitions, a transaction every %d ms; broker on core %d, the rest on core %d",
		r.Events, eventBytes, userCount, partitions, commitMillis, brokerCore, engineCore)
	for r.rounds = range r.Rounds {
		if err := r.round(ctx); err != nil {
			return err
		}
	}
	r.ratios()
	return r.deliveries(ctx)
}

// keep notes a run if it is the best of its kind.
func (r *report) keep(name string, f *figures) {
	r.show(name, f)
	if known := r.best[name]; known == nil || f.CPU < known.CPU {
		r.best[name] = f
	}
}

func (r *report) line(format string, args ...any) { fmt.Fprintf(r.out, format+"\n", args...) }

func (r *report) core(ctx context.Context) error {
	r.line("\ndecision core: bytes in, decisions and user records out, no Kafka, no disk")
	for _, n := range counts() {
		p := r.part
		p.Campaigns, p.Events = n, r.Events/2
		f, err := measured(ctx, "core", p)
		if err != nil {
			return err
		}
		r.show("core, "+named(n), f)
		if n == counts()[0] {
			r.line("    of which decoding %.2f", f.DecodeCPU/float64(f.Units)*1e6)
		}
	}
	return nil
}

// round runs the processor with each number of campaigns, and beside it the raw loop with and without validation.
func (r *report) round(ctx context.Context) error {
	for i, n := range counts() {
		p := r.part
		p.Campaigns = n
		if err := r.engine(ctx, p); err != nil {
			return err
		}
		if i == 0 {
			if err := r.raws(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *report) engine(ctx context.Context, p part) error {
	p.Prefix = fmt.Sprintf("p%d-%d", p.Campaigns, r.rounds)
	dir, err := os.MkdirTemp("", "vigil-bench-state-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a folder left in the temporary one is no reason to fail
	p.Folder = dir
	_, err = r.onKafka(ctx, "processor", "processor, "+named(p.Campaigns), p)
	return err
}

// raws runs the raw loop; it writes what the processor wrote.
func (r *report) raws(ctx context.Context) error {
	like := r.best["processor, "+named(counts()[0])]
	for topic, v := range like.Produced {
		switch {
		case strings.HasSuffix(topic, ".state"):
			r.Changelog = v.size() - 8 // without the key
		case strings.HasSuffix(topic, ".webhooks"):
			r.Fire, r.EveryFire = v.size(), r.Events/max(v.Records, 1)
		}
	}
	for _, validate := range []bool{true, false} {
		p := r.part
		p.Validate, p.Prefix = validate, fmt.Sprintf("r%t-%d", validate, r.rounds)
		name := "raw loop, validating"
		if !validate {
			name = "raw loop, not validating"
		}
		if _, err := r.onKafka(ctx, "raw", name, p); err != nil {
			return err
		}
	}
	return nil
}

func (r *report) onKafka(ctx context.Context, what, name string, p part) (*figures, error) {
	if err := makeTopics(ctx, r.Brokers, p.Prefix); err != nil {
		return nil, err
	}
	f, err := measured(ctx, what, p)
	if err != nil {
		return nil, err
	}
	r.keep(name, f)
	return f, r.broker.forget(ctx, p.Prefix)
}

func (r *report) show(name string, f *figures) {
	r.line("%-28s %6.2f CPU-s per million, %9.0f/s per core; %6.2f until committed, %8.0f/s by the clock, %d MB%s", name,
		f.perMillion(), 1e6/f.perMillion(), f.Committed/float64(f.Units)*1e6, float64(f.Units)/f.Wall, f.MaxBytes>>20, f.written())
}

// written says what a run wrote per event.
func (f *figures) written() string {
	out := ""
	for topic, v := range f.Produced {
		_, short, _ := strings.Cut(topic, ".")
		if short == "" {
			short = topic
		}
		out += fmt.Sprintf("; %s %.3f of %d bytes", short, float64(v.Records)/float64(f.Units), v.size())
	}
	if f.Commits > 0 {
		out += fmt.Sprintf("; %d transactions", f.Commits)
	}
	return out
}

// ratios compares the best runs with the goals.
func (r *report) ratios() {
	cost := func(name string) float64 { return r.best[name].perMillion() }
	engine, floor := cost("processor, 100 campaigns"), cost("raw loop, validating")
	r.line("\nthe best of %d runs each", r.Rounds)
	r.line("processor / raw loop, validating        %.2f   goal: at most 2", engine/floor)
	r.line("processor / raw loop, not validating    %.2f", engine/cost("raw loop, not validating"))
	r.line("10,000 campaigns / 10 campaigns         %.2f   goal: at most 1.5", cost("processor, 10000 campaigns")/cost("processor, 10 campaigns"))
	r.line("Kafka Streams 4.1 (6.6-7.6) / processor %.1f-%.1f   goal: at least 2.3", 6.6/engine, 7.6/engine)
	r.line("Flink 2.2 (5.4-6.3) / processor         %.1f-%.1f", 5.4/engine, 6.3/engine)
}

// processorName is what Linux calls the processor.
func processorName() string {
	text, _ := os.ReadFile(filepath.Join("/proc", "cpuinfo")) // elsewhere it stays unnamed
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.HasPrefix(name, "model name") {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
