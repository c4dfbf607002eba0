// Package campaign holds what an operator asks for: a campaign is one trigger, one audience, one webhook, read from a
// YAML file (semantics 1.1), checked, compiled and indexed by the events that can touch it. It is pure: it never
// decides anything, reads no clock and speaks to nothing.
package campaign

import (
	"time"

	"vigil/event"
)

// Status is what a campaign does at present (semantics 2.10).
type Status string

// The statuses.
const (
	Active   Status = "active"
	Paused   Status = "paused"
	Draining Status = "draining"
	Stopped  Status = "stopped"
)

// Campaign is one compiled campaign file. It is immutable. All durations and instants are in ms.
type Campaign struct {
	ID       string
	Name     string
	Revision string // first 12 hex digits of SHA-256 over the campaign as canonical JSON
	Edition  uint32 // fingerprint of the revision without its status: what `pending: cancel` goes by
	Status   Status
	Starts   int64 // math.MinInt64 where not stated
	Ends     int64 // math.MaxInt64 where not stated
	Zone     *time.Location
	Trigger  Trigger
	Who      *Filter // nil: everyone
	WhoAt    WhoAt
	Control  int // held out users in hundredths of a per cent, 0 to 10,000
	Shadow   bool
	History  int64 // `history`
	Edited   bool  // `pending: cancel`: an edit ends the timers of other editions
	Limits   Limits
	Quiet    *QuietHours // nil: none
	Webhook  Webhook

	source []byte // canonical JSON
}

// WhoAt says when the audience is asked (semantics 2.6).
type WhoAt uint8

// The moments; Both is both bits.
const (
	AtTrigger WhoAt = 1
	AtFire    WhoAt = 2
	Both      WhoAt = AtTrigger | AtFire
)

// Limits bound how often a campaign may fire for one user (semantics 2.8); 0 is no limit.
type Limits struct {
	Gap   int64
	Count int // `max.count` within Per
	Per   int64
}

// QuietHours is the window of local time in which nothing fires (semantics 2.8).
type QuietHours struct {
	From, To int // ms since local midnight; To may be before From
	Defer    bool
	ZonePath event.Path     // `timezone_property` of the profile; empty: none
	Zone     *time.Location // quiet_hours.timezone, or the campaign's
}

// Shape is what a trigger comes down to once its type and fields are read (semantics 3; 3.6 takes one of the others).
type Shape uint8

// The shapes.
const (
	Single   Shape = iota + 1 // 3.1, and `match: any` of 3.2: every match of a Did step fires; one step may have a Count
	Set                       // 3.2 all and sequence; 3.1 with count and within, as one step with that Count
	Absence                   // 3.3
	OnAction                  // 3.4 on: action
	Session                   // 3.4 on: session_end
	Date                      // 3.5
	Schedule                  // 3.7
)

// Trigger says which events start a firing and which end it.
type Trigger struct {
	Type  string // as written, "single_action" and so on
	Shape Shape
	Print uint32     // fingerprint of what gives kept history its meaning: shape, steps, key
	Key   event.Path // empty: one thread a user

	Did    []Step // `on` in 3.5
	DidNot []Step // `cancel_on` in 3.5

	First       bool  // 3.1 occurrence: first
	Delay       int64 // 3.1; 0: none
	Within      int64 // 3.1 with count, 3.2, 3.3
	Sequence    bool  // 3.2 match: sequence
	Repeat      Repeat
	Lookback    int64 // 3.4 on: action, 3.7
	Gap         int64 // 3.4 session_gap
	Cron        *Cron // 3.7
	AfterAction bool  // 3.7
	Date        *DateRule
}

// Step is an event type with an optional filter and a count.
type Step struct {
	Event string
	Where *Filter // nil: every event of the type
	Count int     // at least 1
}

// Repeat says what another start does while a timer of 3.3 is armed.
type Repeat uint8

// The values of on_repeat.
const (
	Restart Repeat = iota
	FirstOnly
	Each
)

// DateRule is the part of a trigger that only 3.5 has.
type DateRule struct {
	Property event.Path
	Offsets  []Offset
	At       int            // ms since local midnight; -1: not stated
	Zone     *time.Location // the trigger's, or the campaign's
	ZonePath event.Path     // `timezone_property` of the event, then of the profile; empty: none
	FirePast bool           // past: fire
}

// Offset is a period before or after a date; its calendar part is applied first (semantics 3.5).
type Offset struct {
	Text   string // as written: part of the slot
	Days   int    // calendar days in the zone
	Millis int64  // exact
}
