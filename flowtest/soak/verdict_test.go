package soak

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	parts   = 4    // of the run behind its warm-up
	windows = 4    // of a part, at least: the least heap in each stands for what is alive
	growth  = 0.10 // of the last part beyond the first, and a little besides

	// settling is how long it takes until as much leaves the parking as comes: after 10 min breakers are open for 5 min at a
	// time, and what is parked behind them comes back within another 10 min.
	settling = 20 * time.Minute

	idleGoroutines  = 20
	idleDescriptors = 10

	// A run in the short form proves no slope; these are only far from anything that is right.
	mostGoroutines  = 3000
	mostDescriptors = 1500
	mostHeap        = 512 << 20
)

// column is one series of the table.
type column struct {
	name   string
	unit   float64
	slack  float64 // that it may grow besides growth; 0: it is shown and not judged
	lowest bool    // the least of each window counts
	of     func(sample) float64
}

var columns = []column{
	{"goroutines", 1, 20, false, func(s sample) float64 { return s.goroutines }},
	{"descriptors", 1, 10, false, func(s sample) float64 { return s.descriptors }},
	{"live heap, MiB", 1 << 20, 4 << 20, true, func(s sample) float64 { return s.heap }},
	{"RSS, MiB", 1 << 20, 0, false, func(s sample) float64 { return s.resident }},
	{"breakers not closed", 1, 200, false, func(s sample) float64 { return s.breakers }},
}

// warm is how long a run only warms up.
func (s *scale) warm() time.Duration { return max(s.length/5, min(settling, s.length/2)) }

// part is how long each part of the rest is.
func (s *scale) part() time.Duration { return (s.length - s.warm()) / parts }

// judged tells whether a run is long enough to say that nothing grows.
func (s *scale) judged() bool { return s.long && s.length >= 2*settling }

// verdict is what a run came to.
type verdict struct {
	scale
	began    time.Time
	idle     sample
	after    sample // when everything had its fate
	samples  []sample
	kinds    [kindCount]tally
	wrong    map[string]int // deliveries, by what is wrong with them
	unsigned int64
	reasons  map[string]int
	edited   changes
	counters map[string]float64
	faults   []string // of the harness, and a sink that did not end as it must
}

// judge closes the books.
func (r *run) judge(v *verdict) {
	v.samples, v.unsigned, v.edited = r.samples, r.unsigned.Load(), r.edited
	v.edited.campaigns = len(r.campaigns)
	v.kinds, v.wrong = r.account()
	v.reasons = r.reasons
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, err := range r.errs[:min(3, len(r.errs))] {
		v.faults = append(v.faults, "the harness failed: "+err.Error())
	}
}

// point is one value at a time in hours.
type point struct{ at, value float64 }

// points are a series from one time to another.
func (v *verdict) points(c column, from, to time.Duration) []point {
	width := min(time.Minute, v.part()/windows)
	var all []point
	last := -1
	for _, s := range v.samples {
		if s.at < from || s.at >= to {
			continue
		}
		p, n := point{s.at.Hours(), c.of(s)}, int(s.at/width)
		if c.lowest && n == last {
			end := &all[len(all)-1]
			end.value = min(end.value, p.value)
			continue
		}
		all, last = append(all, p), n
	}
	return all
}

// middle is the median of a series in one of the parts.
func (v *verdict) middle(c column, n int) float64 {
	from := v.warm() + time.Duration(n)*v.part()
	var values []float64
	for _, p := range v.points(c, from, from+v.part()) {
		values = append(values, p.value)
	}
	return median(values)
}

// slope is the median of the slopes between all pairs of points behind the warm-up, an hour.
func (v *verdict) slope(c column) float64 {
	all := v.points(c, v.warm(), v.length+time.Hour)
	var slopes []float64
	for i, p := range all {
		for _, q := range all[i+1:] {
			slopes = append(slopes, (q.value-p.value)/(q.at-p.at))
		}
	}
	return median(slopes)
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// calm tells whether the sink is at rest as it was before the load.
func (v *verdict) calm() bool {
	return v.after.goroutines <= v.idle.goroutines+idleGoroutines && v.after.descriptors <= v.idle.descriptors+idleDescriptors
}

// findings are what must not be; none is a good verdict.
func (v *verdict) findings() []string {
	all := v.faults
	add := func(n int, what string) {
		if n > 0 {
			all = append(all, fmt.Sprintf("%d %s", n, what))
		}
	}
	for _, what := range slices.Sorted(maps.Keys(v.wrong)) {
		add(v.wrong[what], "deliveries or requests "+what)
	}
	add(int(v.unsigned), "requests not signed")
	add(int(v.counters["lost offsets"]), "offsets lost")
	add(int(v.counters["reloads failed"]), "reloads failed")
	for k, h := range habits {
		if h.healthy && v.kinds[k].sent == 0 {
			all = append(all, "nothing was sent to "+h.name)
		}
	}
	if v.long {
		return append(all, v.leaks()...)
	}
	for _, s := range v.samples {
		if s.goroutines > mostGoroutines || s.descriptors > mostDescriptors || s.heap > mostHeap {
			return append(all, fmt.Sprintf("out of all bounds: %+v", s))
		}
	}
	return all
}

// leaks are figures that grew.
func (v *verdict) leaks() (all []string) {
	for _, c := range columns {
		first, last := v.middle(c, 0), v.middle(c, parts-1)
		if v.judged() && c.slack > 0 && !(last <= first*(1+growth)+c.slack) { // no figure is no good one
			all = append(all, fmt.Sprintf("%s grew from %.1f to %.1f", c.name, first/c.unit, last/c.unit))
		}
	}
	if !v.calm() {
		all = append(all, fmt.Sprintf("at rest there were %.0f goroutines and %.0f descriptors, and afterwards %.0f and %.0f",
			v.idle.goroutines, v.idle.descriptors, v.after.goroutines, v.after.descriptors))
	}
	return all
}

// markdown is the summary, to be pasted into docs/reliability.md.
func (v *verdict) markdown(findings []string) string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	sent := 0
	for _, k := range v.kinds {
		sent += k.sent
	}
	line("`%s`, %s: %d deliveries, %d a second for %s.", v.how, v.began.UTC().Format("2006-01-02 15:04 UTC"), sent, v.rate, v.length)
	line("")
	line("A day in this time: retries after %s instead of 10s, 90s; deliveries to endpoints that are not well expire after %s instead of 24h;", v.delays, v.expires)
	line("%d new campaigns, %d new hosts, %d endpoints come and gone, %d other edits of endpoint files, %d new secrets, %.0f reloads, %d of them",
		v.edited.campaigns, v.kinds[inline].sent+v.edited.guests, v.edited.guests, v.edited.edits, v.edited.secrets,
		v.counters["reloads"], v.edited.hangups)
	line("by SIGHUP; breakers opened %.0f times. What is not configurable is as it is: breakers open for 10s to 5m, parking is 15s and 5m.", v.counters["breaker openings"])
	line("")
	v.table(line)
	line("")
	line("| endpoint | deliveries | delivered | dead | expired | cancelled | without a fate |")
	line("|---|---|---|---|---|---|---|")
	for k, t := range v.kinds {
		if f := t.fates; t.sent > 0 {
			line("| %s | %d | %d | %d | %d | %d | %d |", habits[k].name, t.sent, f[delivered], f[dead], f[expired], f[cancelled], f[0])
		}
	}
	line("")
	line("Dead letters by reason: %v.", v.reasons)
	line("")
	switch {
	case len(findings) > 0:
		line("Verdict: FAILED. Seed %d. %s.", v.seed, strings.Join(findings, "; "))
	case v.judged():
		line("Verdict: every delivery has its fate, and nothing grows. Seed %d.", v.seed)
	default:
		line("Verdict: every delivery has its fate. Too short to say whether anything grows: that takes %s or more. Seed %d.", 2*settling, v.seed)
	}
	return b.String()
}

// table is the sink by parts of the run: medians.
func (v *verdict) table(line func(format string, args ...any)) {
	row := func(name string, value func(column) float64) {
		text := "| " + name
		for _, c := range columns {
			text += fmt.Sprintf(" | %.1f", value(c)/c.unit)
		}
		line("%s |", text)
	}
	head, rule := "| medians", "|---"
	for _, c := range columns {
		head, rule = head+" | "+c.name, rule+"|---"
	}
	line("%s |", head)
	line("%s|", rule)
	row("at rest, before", func(c column) float64 { return c.of(v.idle) })
	for n := range parts {
		row(fmt.Sprintf("part %d", n+1), func(c column) float64 { return v.middle(c, n) })
	}
	row("slope, an hour", v.slope)
	if v.long {
		row("at rest, afterwards", func(c column) float64 { return c.of(v.after) })
	}
}

// TestLeaks: a figure that grows is found, one that only swings is not, nor what is high from the start.
func TestLeaks(t *testing.T) {
	for name, row := range map[string]struct {
		at   func(part float64) sample // of the whole run, 0 to 1
		want string
	}{
		"flat":  {func(float64) sample { return sample{goroutines: 400, descriptors: 100, heap: 30 << 20} }, ""},
		"swing": {func(at float64) sample { return sample{goroutines: 400 + 100*math.Sin(at*300), heap: 30 << 20} }, ""},
		"warm-up": {func(at float64) sample {
			if at < 0.2 {
				return sample{heap: 10 << 20}
			}
			return sample{heap: 90 << 20}
		}, ""},
		"garbage": {func(at float64) sample {
			return sample{heap: (30 + 60*math.Mod(at*200, 1)*at) * (1 << 20)} // more of it, and no more that is alive
		}, ""},
		"goroutines":  {func(at float64) sample { return sample{goroutines: 400 + 200*at} }, "goroutines grew from 483.2 to 583.2"},
		"descriptors": {func(at float64) sample { return sample{descriptors: 50 + 100*at} }, "descriptors grew from 91.6 to 141.6"},
		"heap":        {func(at float64) sample { return sample{heap: (30 + 20*at) * (1 << 20)} }, "live heap, MiB grew from 38.2 to 48.2"},
		"breakers":    {func(at float64) sample { return sample{breakers: 1000 * at} }, "breakers not closed grew from 416.0 to 916.0"},
	} {
		v := verdict{scale: hour(time.Hour, 1, 1)}
		for at := time.Duration(0); at < v.length; at += lookEvery {
			s := row.at(float64(at) / float64(v.length))
			s.at = at
			v.samples = append(v.samples, s)
		}
		if got := strings.Join(v.leaks(), "; "); got != row.want {
			t.Errorf("%s: found %q, want %q", name, got, row.want)
		}
	}
}
