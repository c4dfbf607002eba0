// Package event turns the bytes of a record into an Event: what one user did, and when. It is the first step of the
// flow and pure: no Kafka, no clock, no logs. Every limit on what comes in lives here.
package event

// Types that the engine itself gives a meaning (semantics 2.6). Other types that begin with $ have none.
const (
	TypeProfile = "$profile"
	TypeErase   = "$erase"
)

// Limits of the input (semantics 1, 2.1).
const (
	MaxUserBytes  = 256           // bytes of UTF-8 in a user
	MaxSkewMillis = 2 * 60 * 1000 // how far ts may be ahead of rt before it becomes rt
)

// Event is one record of an input topic, decoded. It aliases its record and its Decoder and is valid
// until the next Decode.
type Event struct {
	User  string
	Type  string
	ID    string // the payload's id, or topic/partition/offset (semantics 2.2)
	TS    int64  // event time, ms since the epoch, after the clamp of semantics 2.1
	RT    int64  // record time, ms since the epoch
	Props Value  // the properties; an object, never missing

	Skewed bool // ts was ahead of rt by more than 2 min and is rt now
}

// Snapshot is an event as the engine keeps it: what a webhook may later say of it.
type Snapshot struct {
	ID    string
	Type  string
	TS    int64  // ms since the epoch
	Props []byte // the properties as a JSON object
}
