// Package core is the pure half of the sink: what an answer means, when something is tried again, which delivery comes
// next, which offsets are done. It knows no Kafka, no HTTP and no clock but the times it is given, starts nothing and
// logs nothing.
package core

import (
	"time"

	"vigil/webhook"
)

// Class is what an answer, or the lack of one, means for the delivery (delivery 3).
type Class uint8

// The classes.
const (
	Success   Class = iota
	Retryable       // another attempt may help
	Permanent       // it will not
	Ours            // our own fault: no attempt is spent
)

// Codes of dead letters, as in x-reason-code and on the metric.
const (
	CodePoison    = "poison"           // the record is no delivery
	CodeRender    = "render_failed"    // the processor could not render it
	CodeEndpoint  = "unknown_endpoint" // no endpoint has that name
	CodeURL       = "bad_url"          // the URL cannot be requested
	CodeHeader    = "bad_header"       // a header cannot be built
	CodeBlocked   = "blocked"          // the egress policy forbids the address
	CodePermanent = "permanent"        // the answer says that another attempt is useless
	CodeExhausted = "exhausted"        // no attempt is left, or the next would come after expires_at
	CodeExpired   = "expired"          // expires_at has passed
	CodeCancelled = "cancelled"        // the campaign is stopped or gone
	CodeTooLarge  = "record_too_large" // the broker does not take the record that would carry it on
)

// DeadCodes are all codes of dead letters.
func DeadCodes() []string {
	return []string{
		CodePoison, CodeRender, CodeEndpoint, CodeURL, CodeHeader, CodeBlocked, CodePermanent, CodeExhausted,
		CodeExpired, CodeCancelled, CodeTooLarge,
	}
}

// Codes of why a delivery is parked.
const (
	ParkPaused = "paused" // its campaign is
	ParkHeld   = "held"   // the receiver asked to wait
	ParkSlow   = "slow"   // the endpoint does not keep up
	ParkHalted = "endpoint_paused"
	ParkOpen   = "breaker" // the endpoint fails: it is left alone for a while
	ParkSpread = "spread"  // more came back at a time than the endpoint should get
	ParkNotDue = "not_due" // its time is further off than its topic waits
	ParkOurs   = "infra"   // something of ours is broken
)

// ParkCodes are all codes of parking.
func ParkCodes() []string {
	return []string{ParkPaused, ParkHalted, ParkHeld, ParkSlow, ParkOpen, ParkSpread, ParkNotDue, ParkOurs}
}

// Answer is what one attempt brought.
type Answer struct {
	Status     int           // 0: none, then Failed says why
	Failed     bool          // there was no answer
	Class      Class         // of the failure; of an answer, see StatusClass
	Code       string        // of the failure: timeout, refused, blocked, ...
	Reason     string        // the code and what was said, at most webhook.MaxReasonBytes
	RetryAfter string        // the header as it came
	Remote     string        // address that was reached
	Latency    time.Duration // to the end of the headers, or to the error
	Body       string        // first bytes, printable, where allowed
	Err        error         // for the operator's log only
}

// Plan is what one attempt is judged by.
type Plan struct {
	Attempt int // the one just made, 1-based
	Retries int
	Delays  []time.Duration // at least one
	RetryOn Statuses        // nil: the default list
	Expires *time.Time      // nil: never
	Now     time.Time
}

// Fate is what becomes of a delivery now.
type Fate struct {
	Outcome  webhook.Outcome
	Code     string     // of the dead letter, or of why it is parked
	Reason   string     // for people; empty for delivered
	Attempts int        // made so far, this one included where it counts
	Next     *time.Time // when it is tried again
	To       Tier       // where it waits until then
	Hold     *time.Time // until when the whole endpoint is held; nil: it is not
	Answer   *Answer    // nil where no attempt was made
}
