// Package isolation measures how well the sink keeps endpoints apart: 1,000 of them on one receiver, some of which stop
// answering or get most of the traffic, while the healthy ones should not notice (delivery 8.3 and 9). Broker, sink and
// receiver run in this process; figures are the receiver's own. It is a part of the program bench.
package isolation

import (
	"context"
	"fmt"
	"io"
	"time"
)

const (
	count       = 1000 // endpoints
	pool        = 256  // attempts at a time
	most        = 1000 // deliveries a second with all endpoints alike: FIFO with 256 places and 10 % dead gets 512
	few         = 200  // and where one endpoint gets nine times what all others get
	hot         = 0    // that endpoint
	leastRate   = 0.9
	mostP99     = 1.5
	mostSurge   = 3.0
	surgeWindow = 5 // seconds that the rate of a recovery is taken over
)

// phase is one stretch of load.
type phase struct {
	name    string
	rate    int // a second, to the endpoints that are alike
	hotRate int // a second, to the hot one besides
	dead    int // endpoints, the last ones, that take requests and never answer
	lasts   time.Duration
	against int // the phase it is compared with; its own number: it is a baseline
	rising  int // endpoints, the last ones, that have just come back
}

// phases are the run; short divides their lengths.
func phases(short bool) []phase {
	all := []phase{
		{name: "warming up", rate: most, lasts: 10 * time.Second, against: -1},
		{name: "baseline", rate: most, lasts: 20 * time.Second, against: 1},
		{name: "1 % dead", rate: most, dead: 10, lasts: 30 * time.Second, against: 1},
		{name: "they are back", rate: most, lasts: 30 * time.Second, against: 1, rising: 10},
		{name: "10 % dead", rate: most, dead: 100, lasts: 60 * time.Second, against: 1},
		{name: "they are back", rate: most, lasts: 90 * time.Second, against: 1, rising: 100},
		{name: "baseline, less of it", rate: few, lasts: 15 * time.Second, against: 6},
		{name: "one gets 90 % of all", rate: few, hotRate: 9 * few, lasts: 30 * time.Second, against: 6},
	}
	for i := range all {
		if short {
			all[i].lasts /= 10
		}
	}
	return all
}

// Run measures and prints a table. It errs where a goal is not met, except in a short run, which only shows that it works.
func Run(ctx context.Context, short bool, out io.Writer) error {
	all := phases(short)
	r, err := newReceiver(all)
	if err != nil {
		return err
	}
	defer r.close()
	s, err := startSystem(ctx, r.port)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d endpoints, %d places, timeout 5 s; healthy endpoints only:\n\n", count, pool)
	fmt.Fprintf(out, "%-22s %6s %8s %9s %7s %9s %9s %7s %8s %7s\n", "phase", "sent/s", "got/s", "of goal", "p50", "p99", "of base", "parked", "dead", "surge")
	missed := 0
	results := make([]result, len(all))
	for i, p := range all {
		before := s.parked()
		r.begin(i)
		if err := s.load(ctx, i, p); err != nil {
			return err
		}
		results[i] = r.end(i)
		results[i].parked = s.parked() - before
		missed += print(out, p, results, i)
	}
	if err := s.stop(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\ngoals: rate at least %.1f of the baseline's, p99 at most %.1f of it, surge at most %.0f times the normal rate: %d missed\n",
		leastRate, mostP99, mostSurge, missed)
	if missed > 0 && !short {
		return fmt.Errorf("isolation: %d goals missed", missed)
	}
	return nil
}

// result is what a phase came to.
type result struct {
	sent, got int // of healthy endpoints
	p50, p99  time.Duration
	lost      int // requests that a dead endpoint swallowed
	parked    int
	surge     float64 // the most that endpoints which came back got in surgeWindow, by what they normally get
}

// print prints a phase and returns how many goals it missed.
func print(out io.Writer, p phase, results []result, i int) (missed int) {
	r := results[i]
	seconds := p.lasts.Seconds()
	line := fmt.Sprintf("%-22s %6.0f %8.0f", p.name, float64(r.sent)/seconds, float64(r.got)/seconds)
	share, slower := float64(r.got)/float64(max(1, r.sent)), 1.0
	if p.against >= 0 && p.against != i {
		base := results[p.against]
		share /= float64(base.got) / float64(max(1, base.sent))
		slower = float64(r.p99) / float64(max(1, base.p99))
	}
	line += fmt.Sprintf(" %9.2f %7s %9s %9.2f %7d %8d", share, r.p50.Round(100*time.Microsecond), r.p99.Round(100*time.Microsecond), slower, r.parked, r.lost)
	if p.rising > 0 {
		line += fmt.Sprintf(" %7.1f", r.surge)
	}
	if p.against >= 0 {
		for _, bad := range [...]bool{share < leastRate, slower > mostP99, r.surge > mostSurge} {
			if bad {
				missed++
			}
		}
	}
	if missed > 0 {
		line += "  MISSED"
	}
	fmt.Fprintln(out, line)
	return missed
}
