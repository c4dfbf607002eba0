// Package calendar is local time: zones, the instants of local times over the changes of a zone's offset, dates as
// producers write them, durations and schedules. It is pure: it never reads a clock and decides nothing.
package calendar

import (
	"strconv"
	"strings"
	"sync"
	"time"
	_ "time/tzdata" // images without zone files know the zones too

	"vigil/event"
)

const (
	minuteMillis = 60 * 1000
	hourMillis   = 60 * minuteMillis
	dayMillis    = 24 * hourMillis
)

// zones keeps the zones that were asked for, by name: reading one takes thousands of times longer. Only those that
// exist are kept, some hundreds.
var zones sync.Map

// Zone finds an IANA zone by name; false for anything else, "" and "Local" included.
func Zone(name string) (*time.Location, bool) {
	if known, ok := zones.Load(name); ok {
		return known.(*time.Location), true
	}
	if !zoneName(name) {
		return nil, false
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, false
	}
	zones.Store(strings.Clone(name), zone)
	return zone, true
}

// zoneName tells whether name is written as the names of IANA are. Files of the machine's own, and those that count
// leap seconds, lie beside the zones and are none.
func zoneName(name string) bool {
	const longest = 64 // bytes; IANA's own stay below 40
	if len(name) > longest {
		return false
	}
	for i, part := range strings.Split(name, "/") {
		if part == "" || part[0] < 'A' || part[0] > 'Z' && part[0] < 'a' || part[0] > 'z' {
			return false
		}
		if i == 0 && (part == "Local" || part == "Factory" || part == "posix" || part == "right" || part == "posixrules" || part == "localtime") {
			return false
		}
		if strings.Trim(part, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-") != "" {
			return false
		}
	}
	return true
}

// Local is the local date and time of day of an instant in ms; millis counts from local midnight by the clock on the
// wall, so that a day of 25 hours shows some of them twice.
func Local(ms int64, zone *time.Location) (year int, month time.Month, day, millis int) {
	t := time.UnixMilli(ms).In(zone)
	year, month, day = t.Date()
	hour, minute, second := t.Clock()
	return year, month, day, hour*hourMillis + minute*minuteMillis + second*1000 + t.Nanosecond()/1e6
}

// Instant is the instant of a local time in a zone, in ms: one that does not exist moves forward by the gap, an
// ambiguous one is its first occurrence (semantics 3.5). millis counts from local midnight; day may be out of range.
func Instant(year int, month time.Month, day, millis int, zone *time.Location) int64 {
	wall := time.Date(year, month, day, 0, 0, 0, 0, time.UTC).UnixMilli() + int64(millis)
	ms, _ := resolve(wall, zone)
	return ms
}

// resolve finds the instant of a wall time, which is the local time taken as if it were UTC. Where the wall time does
// not exist, valid is the first instant that does; otherwise it is the instant itself.
func resolve(wall int64, zone *time.Location) (ms, valid int64) {
	const farthest = 26 * hourMillis // no zone is, or ever was, farther from UTC
	t := time.UnixMilli(wall - farthest).In(zone)
	for {
		_, offset := t.Zone()
		ms = wall - int64(offset)*1000
		_, end := t.ZoneBounds()
		if end.IsZero() || ms < end.UnixMilli() {
			return ms, ms
		}
		_, next := end.Zone()
		if valid = end.UnixMilli(); wall-int64(next)*1000 < valid {
			return ms, valid
		}
		t = end
	}
}

// ParseDate reads the value of a date property in any form of semantics 3.5, in ms; local forms are read in zone.
func ParseDate(v event.Value, zone *time.Location) (ms int64, ok bool) {
	if v.Kind() != event.String {
		return event.ParseTime(v)
	}
	text := v.Bytes()
	if seconds, ok := strings.CutPrefix(string(text), "$D_"); ok {
		return epochSeconds(seconds)
	}
	if date, ok := event.ReadDate(text); ok {
		return Instant(date.Year, time.Month(date.Month), date.Day, 0, zone), true
	}
	if c, end, ok := event.ReadClock(text); ok && end == len(text) && !c.Leap {
		return Instant(c.Year, time.Month(c.Month), c.Day, c.Millis, zone), true
	}
	return event.ParseRFC3339(text)
}

// epochSeconds reads whole seconds, however long ago or ahead they count.
func epochSeconds(text string) (ms int64, ok bool) {
	const most = event.MaxEpochMillis / 1000
	seconds, err := strconv.ParseInt(text, 10, 64)
	return seconds * 1000, err == nil && seconds <= most && seconds >= -most && text[0] != '+'
}
