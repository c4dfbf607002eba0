package model

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"vigil/campaign"
)

// gates asks everything that a fire must pass (semantics 2.8) and records what came of it.
func (r *run) gates(f firing, at int64, deferred bool) {
	p := r.person(f.user)
	if f.c.Trigger.Shape == campaign.Date {
		p.decided = append(p.decided, slotDecided{f.fireID, r.clock})
	}
	reason := r.gate(f, at)
	if reason == "" {
		p.fires = append(p.fires, fired{f.c.ID, at})
		if cancelling(f.c) && !deferred {
			p.settled = append(p.settled, &settledTimer{firing: f, d: at})
		}
		r.decide("fire", "", f, at)
		return
	}
	r.skip(reason, f, at)
	if reason != "deferred" {
		return
	}
	d := r.afterQuiet(f.c, f.user, at)
	if r.clock > d+r.opt.AllowedLateness {
		r.gates(f, d, true)
		return
	}
	r.timers = append(r.timers, &timer{firing: f, d: d, deferred: true})
}

func (r *run) gate(f firing, at int64) string {
	c := f.c
	switch {
	case c.Status == campaign.Stopped:
		return "stopped"
	case at >= c.Ends:
		return "ended"
	case at < c.Starts || f.anchorTS < c.Starts:
		return "not_started"
	case c.WhoAt&campaign.AtFire != 0 && !r.audience(c, f.user, at):
		return "who_at_fire"
	case heldOut(c, f.user):
		return "control"
	}
	if reason := r.limits(c, f.user, at); reason != "" {
		return reason
	}
	switch {
	case !r.quiet(c, f.user, at):
		return ""
	case c.Quiet.Defer:
		return "deferred"
	}
	return "quiet"
}

// heldOut tells whether the user is in the control group; Control is in hundredths of a per cent.
func heldOut(c *campaign.Campaign, user string) bool {
	sum := sha256.Sum256([]byte(c.ID + "\x1f" + user))
	return binary.BigEndian.Uint64(sum[:8])%10_000 < uint64(c.Control)
}

// limits asks gap and max, of the fires that are still remembered.
func (r *run) limits(c *campaign.Campaign, user string, at int64) string {
	memory := max(c.Limits.Gap, c.Limits.Per) + max(r.opt.MaxEventAge, r.opt.MaxFireDelay)
	var fires []int64
	for _, f := range r.person(user).fires {
		if f.campaign == c.ID && r.clock <= f.at+memory {
			fires = append(fires, f.at)
		}
	}
	if c.Limits.Gap > 0 && len(fires) > 0 && at < fires[len(fires)-1]+c.Limits.Gap {
		return "gap"
	}
	later := 0
	for _, f := range fires {
		if f > at-c.Limits.Per {
			later++
		}
	}
	if c.Limits.Count > 0 && later >= c.Limits.Count {
		return "cap"
	}
	return ""
}

// quiet tells whether the local time of at is in the quiet hours.
func (r *run) quiet(c *campaign.Campaign, user string, at int64) bool {
	return c.Quiet != nil && inWindow(c.Quiet, r.quietZone(c, user), at)
}

func (r *run) quietZone(c *campaign.Campaign, user string) *time.Location {
	if c.Quiet.ZonePath != "" {
		if z, ok := r.zoneNamed(r.person(user).value().Get(c.Quiet.ZonePath)); ok {
			return z
		}
	}
	return c.Quiet.Zone
}

func inWindow(q *campaign.QuietHours, zone *time.Location, at int64) bool {
	local := int(milliOfDay(time.UnixMilli(at).In(zone)))
	if q.From < q.To {
		return q.From <= local && local < q.To
	}
	return local >= q.From || local < q.To
}

// afterQuiet is the first whole minute after at that is outside the window.
func (r *run) afterQuiet(c *campaign.Campaign, user string, at int64) int64 {
	zone := r.quietZone(c, user)
	d := at - at%minute + minute
	for inWindow(c.Quiet, zone, d) {
		d += minute
	}
	return d
}
