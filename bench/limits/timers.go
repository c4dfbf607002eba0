package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	timerPartitions = 4
	timerOffsets    = 5                // timers of one booking
	timerSpan       = time.Hour        // over which the deadlines are spread evenly
	timerLead       = 90 * time.Second // before the first
	timerWatch      = 75 * time.Second // measured with events: long enough for a checkpoint to fall into it
	timerIdle       = 15 * time.Second // measured without
	lateness        = 2 * time.Second  // processor.allowed_lateness
	grace           = time.Second      // processor.clock_grace
	timerMemory     = 2_200            // processor.memory_mib
	memoryGoal      = 2_500_000_000
	lateGoal        = 250 * time.Millisecond
)

// reminders arms a timer for each offset of a booking.
func reminders() string {
	var offsets []string
	for i := range timerOffsets {
		offsets = append(offsets, fmt.Sprintf("%ds", i*int(timerSpan.Seconds())/timerOffsets))
	}
	return fmt.Sprintf(`{id: reminder, trigger: {type: date_time_property, key: booking, on: booking, property: at, offsets: [%s]},
webhook: {url: "https://ops.example.com/reminders", body: {booking: "{{ anchor.properties.booking }}"}}}`, strings.Join(offsets, ", "))
}

// timers is make bench-timers.
func timers(ctx context.Context, l *lab, s scale) error {
	l.line("vigil limits timers: %s\n", machine())
	r, err := l.newTrial(ctx, "timers", timerPartitions, s.Users/timerPartitions, reminders(), cartCampaign)
	if err != nil {
		return err
	}
	p, err := r.join("a", fmt.Sprint("processor.memory_mib=", timerMemory))
	if err != nil {
		return err
	}
	began := time.Now()
	bookings := s.Timers / s.Users / timerOffsets
	if err := r.book(ctx, began, bookings); err != nil {
		return err
	}
	l.line("%d bookings of %d users armed %d timers in %s; they are due over %s, %d a second", bookings*s.Users, s.Users,
		bookings*s.Users*timerOffsets, time.Since(began).Round(time.Second), timerSpan, bookings*s.Users*timerOffsets/int(timerSpan.Seconds()))
	r.pause(ctx, time.Until(began.Add(timerLead)))
	from := time.Now()
	r.carts(ctx, s.Rate, timerWatch)
	until := time.Now()
	r.pause(ctx, time.Second)
	busy := r.watch.due(from.Add(-lateness), until.Add(-lateness-time.Second))
	resident, peak, err := p.memory()
	if err != nil {
		return err
	}
	r.pause(ctx, timerIdle)
	idle := r.watch.due(until, time.Now().Add(-lateness-2*time.Second))
	l.table()
	r.row(fmt.Sprintf("resident memory with %d timers of %d users (at its peak)", bookings*s.Users*timerOffsets, s.Users),
		fmt.Sprintf("%.2f GB (%.2f)", float64(resident)/1e9, float64(peak)/1e9), "<= 2.5 GB", peak <= memoryGoal)
	r.latenessRows(fmt.Sprintf("with %d events a second, after D + allowed_lateness", s.Rate), busy, lateness, true)
	r.latenessRows("idle, after D + allowed_lateness + clock_grace", idle, lateness+grace, false)
	p.stop()
	return r.end()
}

// book lets every user book, and waits until all is committed.
func (r *trial) book(ctx context.Context, began time.Time, bookings int) error {
	first := began.Add(timerLead).UnixMilli()
	each := timerSpan.Milliseconds() / timerOffsets
	total := int64(bookings * r.users * r.partitions)
	n := int64(0)
	for b := range bookings {
		for i := range r.users {
			for p := range r.partitions {
				at := first + n*7919%total*each/total // spread, and not in the order of the users
				n++
				r.sender.send(ctx, int32(p), userName(int32(p), i), "b"+strconv.Itoa(b), fmt.Sprintf(
					`"type":"booking","properties":{"booking":"%d","at":%d,"from":"CDG","to":"YUL"}`, b, at))
			}
		}
	}
	if err := r.sender.flush(ctx); err != nil {
		return err
	}
	return r.await(ctx, "all timers are armed", 4*time.Minute, func() (bool, error) { return r.caughtUp(ctx) })
}

// carts sends so many events a second for a while; each changes the record of a user.
func (r *trial) carts(ctx context.Context, rate int, during time.Duration) {
	ctx, stop := context.WithTimeout(ctx, during)
	defer stop()
	steady(ctx.Done(), rate, func(i int) {
		p := int32(i % r.partitions)
		r.sender.send(ctx, p, userName(p, i*7919/r.partitions%r.users), "c"+strconv.Itoa(i),
			`"type":"cart_add","properties":{"item":"i0000001","value":12,"currency":"EUR"}`)
	})
}

// due are the fires of timers whose deadline is within two moments.
func (w *watch) due(from, until time.Time) (list []arrival) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.all {
		if a.late && a.at.After(from) && a.at.Before(until) {
			list = append(list, a)
		}
	}
	return list
}

// latenessRows print how late fires were decided, and seen by a reader of committed records.
func (r *trial) latenessRows(when string, list []arrival, after time.Duration, goal bool) {
	if len(list) == 0 {
		r.row("no timer was due "+when, "", "", true)
		return
	}
	var decided, seen []time.Duration
	for _, a := range list {
		decided = append(decided, a.decided.Sub(a.at)-after)
		seen = append(seen, a.seen.Sub(a.at)-after)
	}
	text := ""
	if goal {
		text = "p99 <= 250 ms"
	}
	slices.Sort(decided)
	slices.Sort(seen)
	r.row(fmt.Sprintf("settled %s: p50 / p99 / max of %d", when, len(list)), quantiles(decided), text, quantile(decided, 0.99) <= lateGoal)
	r.row("the same, until a reader of vigil.webhooks sees it committed", quantiles(seen), "", true)
}

func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}

func quantiles(sorted []time.Duration) string {
	return fmt.Sprintf("%s / %s / %s", round(quantile(sorted, 0.5)), round(quantile(sorted, 0.99)), round(sorted[len(sorted)-1]))
}

// memory is what the kernel says is resident, now and at the most so far, in bytes.
func (p *member) memory() (now, peak int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			now = kb << 10
		}
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kb); n == 1 {
			peak = kb << 10
		}
	}
	return now, peak, nil
}
