package chaos

import (
	"context"
	"fmt"
	"time"
)

// trouble goes through the steps of the brokers: one broker at a time, and the next one only when all replicas are in
// sync again, so that Kafka keeps its own promise all the time.
func (r *run) trouble(ctx context.Context, steps []step) {
	for _, s := range steps {
		if !pause(ctx, max(time.Until(r.began.Add(s.at)), 0)) {
			return
		}
		node := int(s.dice % uint64(r.brokers))
		r.note("broker", s.fault)
		r.troubles.Add(1)
		switch s.fault {
		case down:
			r.must(r.Cluster.Try("kill", node))
			pause(ctx, s.hold)
			r.must(r.Cluster.TryRestart())
		case hang:
			r.must(r.Cluster.Try("pause", node))
			pause(ctx, s.hold)
			r.must(r.Cluster.Try("resume", node))
			r.must(r.Cluster.Settled())
		default:
			r.must(fmt.Errorf("%s is no fault of a broker", s.fault))
		}
		r.troubles.Add(1)
	}
}

// visit goes through the steps of the member that comes and goes.
func (r *run) visit(ctx context.Context, l lane) {
	for _, s := range l.steps {
		if !pause(ctx, max(time.Until(r.began.Add(s.at)), 0)) {
			return
		}
		r.note("processor", join)
		m := r.member("processor", l.name)
		m.ride(ctx, s.hold)
		if s.dice%2 == 0 {
			m.kill()
		} else {
			m.drain()
		}
	}
}
