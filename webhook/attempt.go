package webhook

import (
	"encoding/json"
	"fmt"
	"time"
)

// Outcome is what became of a delivery, or of one attempt at it (interface 5).
type Outcome string

// The outcomes.
const (
	Delivered Outcome = "delivered" // a 2xx
	Retry     Outcome = "retry"     // failed, another attempt follows
	Dead      Outcome = "dead"      // given up; a dead letter exists
	Parked    Outcome = "parked"    // held back without spending an attempt
	Expired   Outcome = "expired"   // too old to be sent; a dead letter exists
	Cancelled Outcome = "cancelled" // the campaign is stopped or gone; a dead letter exists
)

// Origins of a delivery.
const (
	OriginAuto   = "auto"
	OriginManual = "manual"
	OriginReplay = "replay"
)

// Limits of the strings that come from outside; longer ones are cut by the writer.
const (
	MaxReasonBytes   = 256
	MaxResponseBytes = 4 << 10
)

// Attempt is the value of a record on vigil.attempts: one attempt, or one outcome that needed none (interface 5).
type Attempt struct {
	V         int        `json:"v"`
	FireID    string     `json:"fire_id"`
	Campaign  string     `json:"campaign"`
	User      string     `json:"user"`
	Endpoint  string     `json:"endpoint"` // the endpoint's name, or scheme://host of an inline URL
	Attempt   int        `json:"attempt"`  // 1-based; the attempts made so far where the outcome needed none
	Outcome   Outcome    `json:"outcome"`
	Reason    string     `json:"reason"` // empty for delivered
	Status    int        `json:"status"` // 0: no answer
	LatencyMS int64      `json:"latency_ms"`
	Remote    string     `json:"remote"` // address that was reached
	At        time.Time  `json:"at"`
	NextAt    *time.Time `json:"next_at"`            // when it is tried again
	Origin    string     `json:"origin"`             // auto | manual | replay
	Response  string     `json:"response,omitempty"` // first bytes of the answer where allowed
}

// Encode is the value of the record: the members of interface 5 in that order, times in UTC with ms.
func (a *Attempt) Encode() []byte {
	w := wire{make([]byte, 0, 360+len(a.User)+len(a.Reason)+len(a.Response))}
	w.int("v", int64(a.V))
	w.text("fire_id", a.FireID)
	w.text("campaign", a.Campaign)
	w.text("user", a.User)
	w.text("endpoint", a.Endpoint)
	w.int("attempt", int64(a.Attempt))
	w.text("outcome", string(a.Outcome))
	w.text("reason", a.Reason)
	w.int("status", int64(a.Status))
	w.int("latency_ms", a.LatencyMS)
	w.text("remote", a.Remote)
	w.time("at", &a.At)
	w.time("next_at", a.NextAt)
	w.text("origin", a.Origin)
	if a.Response != "" {
		w.text("response", a.Response)
	}
	return append(w.b, '}')
}

// MarshalJSON is Encode, so that json.Marshal writes the same members and times.
func (a *Attempt) MarshalJSON() ([]byte, error) { return a.Encode(), nil }

// DecodeAttempt reads the value of a record on vigil.attempts. Unknown fields are ignored, an unknown version is not.
func DecodeAttempt(value []byte) (*Attempt, error) {
	var a Attempt
	if err := json.Unmarshal(value, &a); err != nil {
		return nil, fmt.Errorf("decode attempt: %w", err)
	}
	if a.V != Version {
		return nil, fmt.Errorf("unknown version %d", a.V)
	}
	return &a, nil
}
