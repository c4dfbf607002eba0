// Package isolation measures how well the sink keeps endpoints apart: 1,000 of them, some of which stop answering or get
// most of the traffic, while the healthy ones should not notice (delivery 8.3 and 9). Beside it runs a control, a second
// sink with a broker and a receiver of its own and the same load for the healthy ones, so that whatever else the machine
// does meets both. All of it runs in this process; figures are the receivers' own. It is a part of the program bench.
package isolation

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
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

// phase is one stretch of load. Only the rate is the control's too.
type phase struct {
	name    string
	rate    int // a second, to the endpoints that are alike
	hotRate int // a second, to the hot one besides
	dead    int // endpoints, the last ones, that take requests and never answer
	lasts   time.Duration
	rising  int // endpoints, the last ones, that have just come back
}

// phases are the run; short divides their lengths.
func phases(short bool) []phase {
	all := []phase{
		{name: "warming up", rate: most, lasts: 10 * time.Second},
		{name: "all healthy", rate: most, lasts: 20 * time.Second},
		{name: "1 % dead", rate: most, dead: 10, lasts: 40 * time.Second},
		{name: "they are back", rate: most, lasts: 40 * time.Second, rising: 10},
		{name: "10 % dead", rate: most, dead: 100, lasts: 60 * time.Second},
		{name: "they are back", rate: most, lasts: 60 * time.Second, rising: 100},
		{name: "one gets 90 % of all", rate: few, hotRate: 9 * few, lasts: 40 * time.Second},
	}
	for i := range all {
		if short {
			all[i].lasts /= 20
		}
	}
	return all
}

// side is one of the two systems, and what receives from it.
type side struct {
	*system
	*receiver
}

func newSide(ctx context.Context, all []phase, control bool) (side, error) {
	r, err := newReceiver(ctx, all, control)
	if err != nil {
		return side{}, err
	}
	s, err := startSystem(ctx, r.port)
	return side{s, r}, err
}

// measure runs one phase.
func (s side) measure(ctx context.Context, i int, p phase) (result, error) {
	before := s.parked()
	s.begin(i)
	if err := s.load(ctx, i, p); err != nil {
		return result{}, err
	}
	r := s.end(i)
	r.parked = s.parked() - before
	return r, nil
}

// Run measures and prints a table. It errs where a goal is not met, except in a short run, which only shows that it works.
func Run(ctx context.Context, short bool, out io.Writer) error {
	all := phases(short)
	tried, err := newSide(ctx, all, false)
	if err != nil {
		return err
	}
	control, err := newSide(ctx, all, true)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d endpoints, %d places, timeout 5 s; healthy endpoints only, beside a control that has no others\n\n", count, pool)
	fmt.Fprintf(out, "%-22s %7s %7s %7s %8s %8s %8s %8s %6s %6s %6s\n", "phase", "sent/s", "got/s", "rate x", "p50", "p99", "control", "p99 x", "parked", "dead", "surge")
	missed := 0
	for i, p := range all {
		var with, without result
		both, phaseCtx := errgroup.WithContext(ctx)
		both.Go(func() (err error) { with, err = tried.measure(phaseCtx, i, p); return err })
		both.Go(func() (err error) {
			p.hotRate = 0
			without, err = control.measure(phaseCtx, i, p)
			return err
		})
		if err := both.Wait(); err != nil {
			return err
		}
		missed += print(out, p, with, without)
	}
	if err := tried.stop(); err != nil {
		return err
	}
	if err := control.stop(); err != nil {
		return err
	}
	fmt.Fprintf(out, "\ngoals: rate at least %.1f and p99 at most %.1f times the control's, surge at most %.0f times the normal rate: %d missed\n",
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
func print(out io.Writer, p phase, r, control result) (missed int) {
	seconds := p.lasts.Seconds()
	rate, slower := float64(r.got)/float64(max(1, control.got)), float64(r.p99)/float64(max(1, control.p99))
	line := fmt.Sprintf("%-22s %7.0f %7.0f %7.2f %8s %8s %8s %8.2f %6d %6d", p.name, float64(r.sent)/seconds, float64(r.got)/seconds, rate,
		tenths(r.p50), tenths(r.p99), tenths(control.p99), slower, r.parked, r.lost)
	if p.rising > 0 {
		line += fmt.Sprintf(" %6.1f", r.surge)
	}
	for _, bad := range [...]bool{rate < leastRate, slower > mostP99, r.surge > mostSurge} {
		if bad {
			missed++
			line += "  MISSED"
		}
	}
	fmt.Fprintln(out, line)
	return missed
}

func tenths(d time.Duration) time.Duration { return d.Round(100 * time.Microsecond) }
