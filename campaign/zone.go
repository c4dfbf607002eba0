package campaign

import (
	"time"

	"vigil/calendar"
	"vigil/event"
)

// Cron is a compiled schedule in a zone (semantics 3.7).
type Cron = calendar.Cron

// ParseCron reads the five fields of a schedule.
func ParseCron(expr string, zone *time.Location) (*Cron, error) {
	return calendar.ParseCron(expr, zone)
}

// Zone finds an IANA zone by name; false for anything else, "" and "Local" included.
func Zone(name string) (*time.Location, bool) { return calendar.Zone(name) }

// Instant is the instant of a local time in a zone, in ms: one that does not exist moves forward by the gap, an
// ambiguous one is its first occurrence (semantics 3.5). millis counts from local midnight; day may be out of range.
func Instant(year int, month time.Month, day, millis int, zone *time.Location) int64 {
	return calendar.Instant(year, month, day, millis, zone)
}

// Local is the local date and time of day of an instant in ms; millis counts from local midnight by the clock on the wall.
func Local(ms int64, zone *time.Location) (year int, month time.Month, day, millis int) {
	return calendar.Local(ms, zone)
}

// ParseDate reads the value of a date property in any form of semantics 3.5, in ms; local forms are read in zone.
func ParseDate(v event.Value, zone *time.Location) (ms int64, ok bool) {
	return calendar.ParseDate(v, zone)
}

// ParseDuration reads a duration such as 30s, 15m, 2h, 3d, 1w, 500ms or a sum of them, in ms; d and w are 24 h and
// 7 x 24 h (semantics 3). The bounds are the caller's.
func ParseDuration(s string) (ms int64, err error) { return calendar.ParseDuration(s) }

// ParseOffset reads a duration with an optional sign; its d and w are calendar days (semantics 3.5).
func ParseOffset(s string) (Offset, error) {
	days, millis, err := calendar.ParseOffset(s)
	return Offset{Text: s, Days: days, Millis: millis}, err
}

// ParseClock reads a local time HH:MM, 00:00 to 23:59, in ms since local midnight.
func ParseClock(s string) (ms int, err error) { return calendar.ParseClock(s) }
