package main

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
	"vigil/processor"
)

// engine measures the whole processor, from its start until it has stopped in good order with its last checkpoint
// written. What it does before, reading campaigns, is not counted.
func engine(ctx context.Context, p part) (*figures, error) {
	cat, err := campaignsOf(p.Campaigns)
	if err != nil {
		return nil, err
	}
	registry, produced := prometheus.NewRegistry(), &writes{}
	it, err := processor.New(processor.Config{
		Kafka:  append(options(p.Brokers), kgo.WithHooks(produced)),
		Topics: kafka.Names(p.Prefix), Inputs: []string{"events"}, Fields: fields(), Format: "json", Start: "earliest",
		Group: p.Prefix + ".processor", Instance: "bench", DataDir: p.Folder, Times: times(),
		CommitInterval: commitMillis * time.Millisecond, CheckpointInterval: 3 * time.Second,
		ClockGrace: 24 * time.Hour, // the wall clock fires nothing: the events say what is due
		Workers:    1, Catalog: cat, Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel), Registerer: few{registry},
	})
	if err != nil {
		return nil, err
	}
	f := &figures{Name: "processor", Units: p.Events}
	watch := started()
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- it.Run(running) }()
	if err := reached(ctx, registry, "vigil_records_processed_total", p.Events, ended); err != nil {
		return nil, err
	}
	f.Committed, f.Wall = watch.cpuTime(), watch.wallTime()
	stop()
	if err := <-ended; err != nil {
		return nil, err
	}
	f.CPU = watch.cpuTime()
	f.memory()
	f.Produced = produced.taken()
	f.Commits = int(counter(registry, "vigil_commits_total"))
	return f, ctx.Err()
}

// reached waits until a counter is at n, looking twenty times a second.
func reached(ctx context.Context, registry *prometheus.Registry, name string, n int, ended <-chan error) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for counter(registry, name) < float64(n) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-ended:
			return errors.Join(errors.New("ended before its work was done"), err)
		case <-tick.C:
		}
	}
	return nil
}

// few is a registry of the metrics that a run is followed by; the others, thousands with thousands of campaigns, count
// but are not gathered, which twenty times a second would be seen in the figures.
type few struct{ *prometheus.Registry }

// Register takes a collector in, or leaves it out.
func (f few) Register(c prometheus.Collector) error {
	descs := make(chan *prometheus.Desc, 16)
	c.Describe(descs)
	close(descs)
	for d := range descs {
		if strings.Contains(d.String(), "vigil_decisions_total") {
			return nil
		}
	}
	return f.Registry.Register(c)
}

// MustRegister is Register of several; none of ours is refused.
func (f few) MustRegister(all ...prometheus.Collector) {
	for _, c := range all {
		if err := f.Register(c); err != nil {
			panic(err)
		}
	}
}

// counter is the sum of a counter over its labels.
func counter(registry *prometheus.Registry, name string) float64 {
	families, _ := registry.Gather() // what could be gathered is what counts
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, m := range family.GetMetric() {
			sum += m.GetCounter().GetValue()
		}
	}
	return sum
}
