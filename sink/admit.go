package sink

import (
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/sink/core"
	"vigil/sink/egress"
	"vigil/sink/standing"
	"vigil/webhook"
)

const pausedPark = time.Minute // how long a delivery of a paused campaign or endpoint is parked

// parcel is a delivery in hand: what was read, and where its offset is kept.
type parcel struct {
	d        *webhook.Delivery // nil: the record is no delivery
	bad      error             // why d is nil
	record   *kgo.Record
	part     *partition
	seq      uint64
	lane     string    // its endpoint's name, or scheme://host
	due      time.Time // when it may be tried
	waited   bool      // it has waited in memory before
	answered int       // status of its answer in an earlier life, which was not written any more

	spread bool // it waits for, or has, its place among those that come back
}

// size is what a parcel counts for where memory is bounded.
func (p *parcel) size() int64 { return int64(len(p.record.Value)) }

// queue is where it waits: first attempts are not held up by what comes back.
func (p *parcel) queue() core.Queue {
	if p.part.tier == core.TierFirst {
		return core.First
	}
	return core.Rest
}

func expired(p *parcel, now time.Time) bool { return p.d.ExpiresAt != nil && now.After(*p.d.ExpiresAt) }

// arrive takes a record just read: its time of wait is settled here, with jitter.
func (d *dispatcher) arrive(p *parcel, now time.Time) {
	switch {
	case p.part.leaving:
		return
	case p.d == nil:
		d.s.out.poison(p)
		return
	case p.answered != 0:
		d.s.out.settle(p, core.Fate{Outcome: webhook.Delivered, Attempts: p.d.Attempt, Answer: &core.Answer{Status: p.answered}})
		return
	case p.part.tier != core.TierFirst:
		at, delay := core.Due(p.part.tier, p.record.Timestamp, p.d.NotBefore)
		p.due = at.Add(core.Jitter(delay, d.s.rand.Float64()))
		if e := p.d.ExpiresAt; e != nil && p.due.After(*e) && !at.After(*e) {
			p.due = at // jitter expires nothing; at the last moment it would, for timers are late
		}
	case p.d.NotBefore != nil:
		p.due = *p.d.NotBefore
	}
	d.admit(p, now)
}

// admit is the row FETCHED of delivery 2.
func (d *dispatcher) admit(p *parcel, now time.Time) {
	switch {
	case expired(p, now):
		d.end(p, webhook.Expired, core.CodeExpired, "expires_at has passed")
	case p.d.RenderError != "":
		d.end(p, webhook.Dead, core.CodeRender, core.Cut(p.d.RenderError, webhook.MaxReasonBytes))
	case now.Before(p.due):
		d.wait(p, now)
	default:
		d.enter(p, now)
	}
}

// wait keeps a delivery in memory until it is due, or parks it where its tier does not hold that long: nothing blocks
// what is behind it for longer than its tier's delay. In the longest tier it spends that delay before it is parked
// again, so that what is far off goes round once in 5 min.
func (d *dispatcher) wait(p *parcel, now time.Time) {
	hold, at := p.part.tier.Hold(), p.due
	if at.Sub(now) > hold+hold/4 {
		if p.part.tier != core.TierLong || p.waited {
			d.park(p, core.ParkNotDue, p.due, now)
			return
		}
		at = now.Add(hold)
	}
	p.waited = true
	d.waiting += p.size()
	d.waits.Add(at, p)
}

// enter brings a delivery that is due into its lane.
func (d *dispatcher) enter(p *parcel, now time.Time) {
	switch d.s.campaignStatus(p.d.Campaign) {
	case "stopped", "deleted":
		d.end(p, webhook.Cancelled, core.CodeCancelled, "the campaign is stopped or gone")
		return
	case "paused":
		if e := d.s.endpoints.Load().Find(p.d.Endpoint); e != nil {
			d.lane(p, e, now).Troubled(now) // for when it is resumed
		}
		d.park(p, core.ParkPaused, now.Add(pausedPark), now)
		return
	}
	e := d.s.endpoints.Load().Find(p.d.Endpoint)
	if e == nil {
		d.end(p, webhook.Dead, core.CodeEndpoint, "no endpoint has this name")
		return
	}
	l := d.lane(p, e, now)
	if p.queue() == core.First {
		l.Arrived(now)
	}
	state := d.s.board.State(p.lane, e.Address())
	if state != "" {
		l.Troubled(now)
	}
	reopens, closed := d.breakers.Look(p.breaker(e), now)
	switch {
	case state == standing.Paused:
		d.parkIn(l, p, core.ParkHalted, now.Add(pausedPark))
	case l.Held().Sub(now) > core.SpillAfter:
		d.parkIn(l, p, core.ParkHeld, l.Held())
	case !closed:
		d.parkIn(l, p, core.ParkOpen, reopens)
	case !d.lanes.Room(l, now):
		d.parkIn(l, p, core.ParkSlow, now)
	case p.queue() == core.Rest && !p.spread:
		d.space(l, p, now)
	default:
		d.lanes.Enter(l, core.Entry[*parcel]{Parcel: p, Queue: p.queue(), Size: p.size(), Since: now})
	}
}

// halted tells whether enter would not let a delivery into its lane any more, for somebody paused or stopped something.
func (d *dispatcher) halted(p *parcel, e *egress.Endpoint) bool {
	switch d.s.campaignStatus(p.d.Campaign) {
	case "stopped", "deleted", "paused":
		return true
	}
	return d.s.board.State(p.lane, e.Address()) == standing.Paused
}

// lane is the lane of a delivery, within the limits of this instance.
func (d *dispatcher) lane(p *parcel, e *egress.Endpoint, now time.Time) *core.Lane[*parcel] {
	return d.lanes.Lane(p.lane, e.Limits(), now)
}

// breaker names the breaker of a delivery: its campaign and where it goes.
func (p *parcel) breaker(e *egress.Endpoint) core.BreakerKey {
	host := e.Host()
	if host == "" {
		host = p.lane
	}
	return core.BreakerKey{Campaign: p.d.Campaign, Host: host}
}

// space gives a delivery that comes back its place in time, so that an endpoint that recovers is not flooded.
func (d *dispatcher) space(l *core.Lane[*parcel], p *parcel, now time.Time) {
	at, ok := l.Slot(now)
	if !ok {
		d.parkIn(l, p, core.ParkSpread, now)
		return
	}
	p.spread = true
	if !at.After(now) {
		d.enter(p, now)
		return
	}
	d.waiting += p.size()
	d.waits.Add(at, p)
}

// parkIn parks a delivery of a lane until from or later, spread with the others that are parked there.
func (d *dispatcher) parkIn(l *core.Lane[*parcel], p *parcel, code string, from time.Time) {
	now := time.Now()
	if code == core.ParkHeld || code == core.ParkOpen {
		l.Troubled(now)
	}
	d.park(p, code, l.Book(from, now, d.s.rand.Float64()), now)
}

// park hands a delivery to the parked topic without spending an attempt.
func (d *dispatcher) park(p *parcel, code string, until, now time.Time) {
	next := core.RoundUp(until)
	d.s.out.settle(p, core.Fate{
		Outcome: webhook.Parked, Code: code, Reason: code, Attempts: p.d.Attempt - 1, Next: &next,
		To: core.ParkTier(until.Sub(now)),
	})
}

// end settles a delivery for which no attempt is made.
func (d *dispatcher) end(p *parcel, o webhook.Outcome, code, reason string) {
	d.s.out.settle(p, core.Fate{Outcome: o, Code: code, Reason: reason, Attempts: p.d.Attempt - 1})
}

func (s *Sink) campaignStatus(id string) string {
	if s.cfg.CampaignStatus == nil || id == "" {
		return "active"
	}
	return s.cfg.CampaignStatus(id)
}
