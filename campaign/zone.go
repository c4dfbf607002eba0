package campaign

import (
	"time"

	"vigil/event"
)

// Zone finds an IANA zone by name; false for anything else, "" and "Local" included.
func Zone(name string) (*time.Location, bool) { panic("not built yet") }

// Instant is the instant of a local time in a zone, in ms: one that does not exist moves forward by the gap, an
// ambiguous one is its first occurrence (semantics 3.5). millis counts from local midnight; day may be out of range.
func Instant(year int, month time.Month, day, millis int, zone *time.Location) int64 {
	panic("not built yet")
}

// ParseDate reads the value of a date property in any form of semantics 3.5; local forms are read in zone.
func ParseDate(v event.Value, zone *time.Location) (ms int64, ok bool) { panic("not built yet") }
