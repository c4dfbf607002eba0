package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

const (
	killUsers = 25_000 // of each of four partitions
	killGoal  = 800 * time.Millisecond
	buildGoal = 300_000 // records per second
	moveGoal  = 3 * time.Second
)

// machine says where this runs.
func machine() string {
	name := runtime.GOARCH
	text, _ := os.ReadFile("/proc/cpuinfo") // elsewhere it stays unnamed
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.HasPrefix(key, "model name") {
			name = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%s, %d cores, %s, %s", name, runtime.NumCPU(), runtime.Version(), time.Now().UTC().Format(time.DateOnly))
}

// kills kills one of two processors again and again, starts it at once on the same disk, and measures the time from the
// kill until a reader of vigil.webhooks sees the first fire of its partitions that was decided since.
func kills(ctx context.Context, l *lab, s scale) error {
	r, err := l.newTrial(ctx, "kill", 4, killUsers, buyCampaign, cartCampaign)
	if err != nil {
		return err
	}
	victim, err := r.join("a")
	if err != nil {
		return err
	}
	if err := r.fill(ctx); err != nil {
		return err
	}
	other, err := r.join("b")
	if err != nil {
		return err
	}
	r.flow(ctx)
	var mine []int32
	if err := r.await(ctx, "the partitions are shared", time.Minute, func() (bool, error) {
		mine, err = r.owned(ctx, "a")
		return len(mine) == 2, err
	}); err != nil {
		return err
	}
	var first, all, others []time.Duration
	for range s.Kills {
		if err := r.steadyFires(ctx, time.Now()); err != nil {
			return err
		}
		r.pause(ctx, time.Second)
		r.watch.restart()
		killed := time.Now()
		victim.kill()
		if victim, err = r.join("a"); err != nil {
			return err
		}
		if err := r.steadyFires(ctx, killed); err != nil {
			return err
		}
		got := firsts(r.watch.since(killed))
		gaps := []time.Duration{got[mine[0]].Sub(killed), got[mine[1]].Sub(killed)}
		first, all = append(first, slices.Min(gaps)), append(all, slices.Max(gaps))
		others = append(others, r.largestGap(killed, func(p int32) bool { return !slices.Contains(mine, p) }))
	}
	victim.stop()
	other.stop()
	l.row(fmt.Sprintf("kill -9, restarted at once on its disk, %d users each in 2 partitions: first fire, median of %d (max)", killUsers, s.Kills),
		fmt.Sprintf("%s (%s)", round(middle(first)), round(slices.Max(first))), "<= 0.8 s", middle(first) <= killGoal)
	l.row("the same, until both partitions fire", fmt.Sprintf("%s (%s)", round(middle(all)), round(slices.Max(all))), "", true)
	l.row("longest silence of the other processor's partitions meanwhile", fmt.Sprintf("%s (%s)", round(middle(others)), round(slices.Max(others))), "", true)
	return r.end()
}

func (r *trial) pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// largestGap is the longest time between two fires of a partition as they are seen, of those that which names, since a
// moment.
func (r *trial) largestGap(since time.Time, which func(int32) bool) time.Duration {
	return gap(r.watch.since(since), which, func(a arrival) time.Time { return a.seen })
}

func gap(list []arrival, which func(int32) bool, when func(arrival) time.Time) (longest time.Duration) {
	last := map[int32]time.Time{}
	for _, a := range list {
		if !which(a.partition) {
			continue
		}
		if before, ok := last[a.partition]; ok {
			longest = max(longest, when(a).Sub(before))
		}
		last[a.partition] = when(a)
	}
	return longest
}

func middle(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

func round(d time.Duration) time.Duration { return d.Round(time.Millisecond) }
