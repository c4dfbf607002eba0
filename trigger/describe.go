package trigger

import (
	"encoding/json"
	"time"

	"vigil/event"
)

// Described is a user record for people and for JSON: what the engine remembers of one user (semantics 2.11). Retention is
// applied when history is used, so that some of it may be past its time already. Times are UTC with ms.
type Described struct {
	Profile     json.RawMessage     `json:"profile,omitempty"` // absent: no profile
	Erased      time.Time           `json:"erased,omitzero"`   // ts of the erasure
	NewestEvent time.Time           `json:"newest_event,omitzero"`
	NextDue     time.Time           `json:"next_due,omitzero"` // the earliest D of a timer that is not held
	SeenIDs     int                 `json:"seen_ids"`
	Campaigns   []DescribedCampaign `json:"campaigns"`
}

// DescribedCampaign is what one campaign remembers of a user.
type DescribedCampaign struct {
	ID       string            `json:"id"`
	Fires    []time.Time       `json:"fires,omitempty"` // their `at`, for gap and max
	CancelOn time.Time         `json:"cancel_on,omitzero"`
	Threads  []DescribedThread `json:"threads"`
}

// DescribedThread is one (campaign, user, key value).
type DescribedThread struct {
	Key       string           `json:"key"`
	Spent     bool             `json:"spent,omitempty"` // 3.1 occurrence: first
	Count     uint64           `json:"count,omitempty"` // 3.1 with count
	Kept      []DescribedEvent `json:"kept,omitempty"`  // 3.2, 3.7
	DidNot    []time.Time      `json:"did_not,omitempty"`
	LastCycle []time.Time      `json:"last_cycle,omitempty"` // t0 and end
	Date      time.Time        `json:"date,omitzero"`        // ts of the newest date event
	CancelOn  time.Time        `json:"cancel_on,omitzero"`
	Decided   []string         `json:"decided,omitempty"` // slots of 3.5
	Fired     []DescribedTimer `json:"fired,omitempty"`   // for late_cancel
	Timers    []DescribedTimer `json:"timers,omitempty"`
}

// DescribedTimer is a pending decision, or one that fired.
type DescribedTimer struct {
	Due      time.Time        `json:"due"`
	Start    time.Time        `json:"start"` // t0
	Slot     string           `json:"slot,omitempty"`
	Deferred bool             `json:"deferred,omitempty"` // by quiet hours
	Held     bool             `json:"held,omitempty"`     // by a paused campaign
	Anchor   *DescribedEvent  `json:"anchor,omitempty"`
	Events   []DescribedEvent `json:"events,omitempty"`
}

// DescribedEvent is an event as the engine keeps it. Of the anchor of a timer that fired only the id is kept.
type DescribedEvent struct {
	ID         string          `json:"id"`
	Type       string          `json:"type,omitempty"`
	Time       time.Time       `json:"time,omitzero"`
	Properties json.RawMessage `json:"properties,omitempty"`
}

// Describe takes a value of vigil.state apart. It errs on what is no user record of this version; it never panics.
func Describe(record []byte) (Described, error) {
	u := &user{}
	if err := u.decode(record); err != nil {
		return Described{}, err
	}
	if u.profile != nil && !json.Valid(u.profile) {
		return Described{}, errRecord
	}
	for i := range u.events {
		if props := u.events[i].Props; len(props) > 0 && !json.Valid(props) {
			return Described{}, errRecord
		}
	}
	d := Described{
		Profile: u.profile, Erased: instant(u.erased), NewestEvent: instant(u.newest), SeenIDs: len(u.seen),
		Campaigns: []DescribedCampaign{},
	}
	if _, due := u.header(); due != never {
		d.NextDue = instant(due)
	}
	for _, s := range u.sections {
		c := DescribedCampaign{ID: s.id, Fires: instants(s.fires), CancelOn: instant(s.cancelTS), Threads: []DescribedThread{}}
		for _, t := range s.threads {
			c.Threads = append(c.Threads, t.describe())
		}
		d.Campaigns = append(d.Campaigns, c)
	}
	return d, nil
}

func (t *thread) describe() DescribedThread {
	d := DescribedThread{
		Key: t.key, Spent: t.spent, Count: t.count, DidNot: instants(t.dones), Date: instant(t.dateTS), CancelOn: instant(t.cancelTS),
	}
	if t.cycleT0 != none {
		d.LastCycle = instants([]int64{t.cycleT0, t.cycleEnd})
	}
	for _, m := range t.kept {
		d.Kept = append(d.Kept, *describeEvent(m.ev))
	}
	for _, s := range t.decided {
		d.Decided = append(d.Decided, s.slot)
	}
	for _, f := range t.fired {
		d.Fired = append(d.Fired, DescribedTimer{
			Due: instant(f.due), Start: instant(f.t0), Slot: f.slot, Anchor: &DescribedEvent{ID: f.anchor},
		})
	}
	for _, tm := range t.timers {
		p := DescribedTimer{
			Due: instant(tm.due), Start: instant(tm.t0), Slot: tm.slot, Deferred: tm.deferred, Held: tm.held, Anchor: describeEvent(tm.anchor),
		}
		for _, ev := range tm.events {
			p.Events = append(p.Events, *describeEvent(ev))
		}
		d.Timers = append(d.Timers, p)
	}
	return d
}

func describeEvent(ev *event.Snapshot) *DescribedEvent {
	if ev == nil {
		return nil
	}
	return &DescribedEvent{ID: ev.ID, Type: ev.Type, Time: instant(ev.TS), Properties: ev.Props}
}

const (
	firstInstant = -62_167_219_200_000 // 0000-01-01 in ms: what RFC 3339 can say begins here
	lastInstant  = 253_402_300_799_999 // and ends here, with the year 9999
)

// instant is a time of a record; the zero time for none, the nearest that RFC 3339 can say for what is beyond.
func instant(ms int64) time.Time {
	if ms == none {
		return time.Time{}
	}
	return time.UnixMilli(min(max(ms, firstInstant), lastInstant)).UTC()
}

func instants(list []int64) []time.Time {
	var out []time.Time
	for _, ms := range list {
		out = append(out, instant(ms))
	}
	return out
}
