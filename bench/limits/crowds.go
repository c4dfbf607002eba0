package main

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

const (
	hotEvents  = 300_000 // of a run, with and without a hot key
	manyParts  = 64
	manyUsers  = 1_000 // of each of them
	crowdAfter = 75 * time.Second
)

// dateCampaign fires at the time that an event tells.
const dateCampaign = `{id: reminder, trigger: {type: date_time_property, key: booking, on: booking, property: at},
webhook: {url: "https://ops.example.com/reminders", body: {booking: "{{ anchor.properties.booking }}"}}}`

// crowds is make bench-limits: much at once, of one user, in many partitions.
func crowds(ctx context.Context, l *lab, s scale) error {
	l.line("vigil limits crowds: %s\n", machine())
	l.table()
	for _, part := range []func(context.Context, *lab, scale) error{hot, many, crowd} {
		if err := part(ctx, l, s); err != nil {
			return err
		}
	}
	return nil
}

// hot compares the rate at which a backlog is read, whose events are of users drawn evenly, with one of which half are of
// one user.
func hot(ctx context.Context, l *lab, _ scale) error {
	var took [2]time.Duration
	for i := range took {
		r, err := l.newTrial(ctx, "hot"+strconv.Itoa(i), 1, killUsers, cartCampaign)
		if err != nil {
			return err
		}
		for n := range hotEvents {
			user := n * 7919 % r.users
			if i == 1 && n%2 == 0 {
				user = 0
			}
			r.sender.send(ctx, 0, userName(0, user), "e"+strconv.Itoa(n), `"type":"cart_add","properties":{"item":"i0000001","value":12,"currency":"EUR"}`)
		}
		if err := r.sender.flush(ctx); err != nil {
			return err
		}
		began := time.Now()
		p, err := r.join("a")
		if err != nil {
			return err
		}
		if err := r.await(ctx, "the backlog is read", 2*time.Minute, func() (bool, error) { return r.caughtUp(ctx) }); err != nil {
			return err
		}
		took[i] = time.Since(began)
		p.stop()
		if err := r.end(); err != nil {
			return err
		}
	}
	l.row(fmt.Sprintf("%d events read, half of them one user's, against the same evenly drawn", hotEvents),
		fmt.Sprintf("%s against %s: %.2f x", round(took[1]), round(took[0]), took[1].Seconds()/took[0].Seconds()), "", true)
	return nil
}

// many gives one process 64 partitions.
func many(ctx context.Context, l *lab, _ scale) error {
	r, err := l.newTrial(ctx, "many", manyParts, manyUsers, buyCampaign, cartCampaign)
	if err != nil {
		return err
	}
	p, err := r.join("a")
	if err != nil {
		return err
	}
	if err := r.fill(ctx); err != nil {
		return err
	}
	p.kill()
	began := time.Now()
	if p, err = r.join("a"); err != nil {
		return err
	}
	if err := r.await(ctx, "all partitions are restored", time.Minute, func() (bool, error) {
		return len(r.restores(began)) >= manyParts, nil
	}); err != nil {
		return err
	}
	took := time.Since(began)
	resident, _, err := p.memory()
	if err != nil {
		return err
	}
	l.row(fmt.Sprintf("%d partitions in one process, %d users each: kill -9 until all are restored; resident memory", manyParts, manyUsers),
		fmt.Sprintf("%s; %d MiB", round(took), resident>>20), "", true)
	p.stop()
	return r.end()
}

// crowd lets the timers of a partition's users be due at once while events of another one fire.
func crowd(ctx context.Context, l *lab, s scale) error {
	r, err := l.newTrial(ctx, "crowd", 2, s.Users, buyCampaign, dateCampaign)
	if err != nil {
		return err
	}
	p, err := r.join("a")
	if err != nil {
		return err
	}
	due := time.Now().Add(crowdAfter)
	for i := range s.Users {
		r.sender.send(ctx, 0, userName(0, i), "b", fmt.Sprintf(`"type":"booking","properties":{"booking":"b","at":%d}`, due.UnixMilli()))
	}
	if err := r.sender.flush(ctx); err != nil {
		return err
	}
	if err := r.await(ctx, "all timers are armed", 2*time.Minute, func() (bool, error) { return r.caughtUp(ctx) }); err != nil {
		return err
	}
	r.flow(ctx)
	r.pause(ctx, time.Until(due))
	if err := r.await(ctx, "all of the crowd fired", 3*time.Minute, func() (bool, error) { return r.watch.timed() >= s.Users, nil }); err != nil {
		return err
	}
	took := time.Since(due.Add(lateness))
	_, peak, err := p.memory()
	if err != nil {
		return err
	}
	l.row(fmt.Sprintf("%d timers due in the same millisecond: until the last is seen fired; rate; peak memory", s.Users),
		fmt.Sprintf("%s; %.0f/s; %d MiB", round(took), float64(s.Users)/took.Seconds(), peak>>20), "", true)
	other := gap(r.watch.since(due), func(p int32) bool { return p == 1 }, func(a arrival) time.Time { return a.decided })
	l.row("longest time without a decision of the other partition of that process meanwhile", round(other).String(), "", true)
	p.stop()
	return r.end()
}

// timed is how many fires of timers came.
func (w *watch) timed() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.all {
		if a.late {
			n++
		}
	}
	return n
}
