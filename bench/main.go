// Command bench measures vigil and prints what it costs, as CPU-seconds per million events and as events per second and
// core: the decision core alone, the whole processor on Apache Kafka, a raw franz-go loop beside it, and the sink beside
// a bare HTTP client. It starts Kafka itself, on one core, and runs what it measures on another, in a process of its
// own whose CPU time is asked of the kernel. docs/benchmarks.md says what the figures are and how they came about.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"syscall"

	"vigil/bench/isolation"
)

// usage is what a wrong command line is answered with.
const usage = `bench all [-short]             everything that make bench prints
bench deliveries [-short]      its part on the sink alone: what make bench-sink prints
bench core [-events N]         the decision core alone, in this process
bench broker [-events N]       Kafka with the events, until ^C; prints its address, for the following
bench processor|raw -brokers ADDRESS [-campaigns N] [-cpuprofile FILE] ...
bench isolation [-short]       how the sink keeps 1,000 endpoints apart, some of them dead
bench sink|client|receiver ...                 the parts that all measures and starts by itself`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := command(ctx, args, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		return 1
	}
	return 0
}

// part is one thing to measure, and what it is told on the command line.
type part struct {
	Brokers   string
	Prefix    string // of topics and group
	Events    int
	Campaigns int
	Validate  bool
	Changelog int    // bytes of a changelog record of the raw loop
	Fire      int    // bytes of a fire of the raw loop
	EveryFire int    // events to a fire of the raw loop
	Folder    string // of the state; empty: in memory
	Receiver  string // URL of the receiver
	Deliver   int    // deliveries
	Short     bool
	Rounds    int
	Profile   string // file for a CPU profile
}

func command(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("say what to measure:\n%s", usage)
	}
	var p part
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	f.StringVar(&p.Brokers, "brokers", "", "bootstrap address")
	f.StringVar(&p.Prefix, "prefix", "bench", "of topics and groups")
	f.IntVar(&p.Events, "events", 4_000_000, "events of a run")
	f.IntVar(&p.Campaigns, "campaigns", 100, "1, 10, 100 or 10000")
	f.BoolVar(&p.Validate, "validate", true, "the raw loop validates JSON before it parses")
	f.IntVar(&p.Changelog, "changelog", 150, "bytes of a changelog record of the raw loop")
	f.IntVar(&p.Fire, "fire", 800, "bytes of a fire of the raw loop")
	f.IntVar(&p.EveryFire, "every-fire", 50, "events to a fire of the raw loop")
	f.StringVar(&p.Folder, "folder", "", "of the state")
	f.StringVar(&p.Receiver, "receiver", "", "URL of the receiver")
	f.IntVar(&p.Deliver, "deliver", 100_000, "deliveries of a run")
	f.BoolVar(&p.Short, "short", false, "seconds instead of minutes, for CI: the figures mean little")
	f.IntVar(&p.Rounds, "rounds", 2, "times that everything on Kafka is run, one after the other")
	f.StringVar(&p.Profile, "cpuprofile", "", "file for a CPU profile")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	if p.Short {
		p.Events, p.Deliver, p.Rounds = min(p.Events, 200_000), min(p.Deliver, 5_000), 1
	}
	parts := map[string]func(context.Context, part) (*figures, error){
		"core": core, "processor": engine, "raw": raw, "sink": deliver, "client": bareClient, "receiver": receiver,
		"broker": serve,
	}
	switch args[0] {
	case "all":
		return all(ctx, p, out)
	case "deliveries":
		return deliveries(ctx, p, out)
	case "isolation":
		return isolation.Run(ctx, p.Short, out)
	}
	measure, ok := parts[args[0]]
	if !ok {
		return fmt.Errorf("%q is nothing to measure:\n%s", args[0], usage)
	}
	end, err := profile(p.Profile)
	if err != nil {
		return err
	}
	result, err := measure(ctx, p)
	end()
	if err != nil || result == nil {
		return err
	}
	return json.NewEncoder(out).Encode(result)
}

// profile writes a CPU profile until the returned func is called.
func profile(file string) (end func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // a profile that is cut short is seen when it is read
	}, nil
}
