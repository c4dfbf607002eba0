// Command limits measures what happens to the processor at its limits, on Apache Kafka and with the binary that users
// run: how long a partition stands still where its process is killed, its state is lost or it moves, and how late ten
// million timers are while events arrive. docs/benchmarks.md says what the figures are and how they came about.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// usage is what a wrong command line is answered with.
const usage = `limits recovery [-users N] [-kills N]    what make bench-recovery prints
limits timers [-users N] [-timers N]     what make bench-timers prints
limits crowds [-users N]                 what make bench-limits prints
All need the programs bench and vigil beside this one, and the root of the repository as the working folder.`

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, args, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		return 1
	}
	return 0
}

// scale is how much of everything a run takes.
type scale struct {
	Users  int    // of a partition where one moves, of all where timers are armed
	Kills  int    // times that a process is killed
	Timers int    // armed
	Rate   int    // events per second meanwhile
	Folder string // for the states; empty: a temporary one
}

func command(ctx context.Context, args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("say what to measure:\n%s", usage)
	}
	var s scale
	f := flag.NewFlagSet(args[0], flag.ContinueOnError)
	f.IntVar(&s.Users, "users", 1_000_000, "users with state: of the partition that moves, or with timers")
	f.IntVar(&s.Kills, "kills", 20, "times that a process is killed")
	f.IntVar(&s.Timers, "timers", 10_000_000, "timers armed")
	f.IntVar(&s.Rate, "rate", 5_000, "events per second while the timers are due")
	f.StringVar(&s.Folder, "folder", "", "for the states of the processes")
	if err := f.Parse(args[1:]); err != nil {
		return err
	}
	measure, ok := map[string]func(context.Context, *lab, scale) error{"recovery": recovery, "timers": timers, "crowds": crowds}[args[0]]
	if !ok {
		return fmt.Errorf("%q is nothing to measure:\n%s", args[0], usage)
	}
	l, err := newLab(ctx, s.Folder, out)
	if err != nil {
		return err
	}
	defer l.close()
	return measure(ctx, l, s)
}
