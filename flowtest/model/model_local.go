package model

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"vigil/event"
)

// epoch reads a number of seconds or milliseconds (semantics 2.1).
func epoch(n float64) int64 {
	if math.Abs(n) >= 1e11 {
		return int64(n)
	}
	return int64(math.Floor(n * 1000))
}

func milliOfDay(t time.Time) int64 {
	return int64(t.Hour())*hour + int64(t.Minute())*60_000 + int64(t.Second())*1000 + int64(t.Nanosecond())/1e6
}

var zones sync.Map // of name to zone, nil for none: reading a zone takes long

// zoneNamed is the zone that a property names, if it does.
func zoneNamed(v event.Value) (*time.Location, bool) {
	name := v.Text()
	if name == "" || name == "Local" {
		return nil, false
	}
	known, ok := zones.Load(name)
	if !ok {
		z, _ := time.LoadLocation(name)
		zones.Store(name, z)
		known = z
	}
	z := known.(*time.Location)
	return z, z != nil
}

// offsetAt is the zone's offset from UTC, in ms.
func offsetAt(ms int64, zone *time.Location) int64 {
	_, seconds := time.UnixMilli(ms).In(zone).Zone()
	return int64(seconds) * 1000
}

// instant is the instant of a local time: the first of two, and one that does not exist moves forward by the gap.
func instant(y int, m time.Month, d int, millis int64, zone *time.Location) int64 {
	t, _ := resolve(y, m, d, millis, zone)
	return t
}

// resolve also tells whether the local time exists.
func resolve(y int, m time.Month, d int, millis int64, zone *time.Location) (int64, bool) {
	naive := time.Date(y, m, d, 0, 0, 0, 0, time.UTC).UnixMilli() + millis
	before, after := offsetAt(naive-day, zone), offsetAt(naive+day, zone)
	candidates := []int64{naive - before, naive - after}
	slices.Sort(candidates)
	for _, t := range candidates {
		if t+offsetAt(t, zone) == naive {
			return t, true
		}
	}
	return naive - before, false
}

// firstValid is the first instant after a local time that falls into a gap: where the offset changes.
func firstValid(near int64, zone *time.Location) int64 {
	t := near - near%minute - day
	for offsetAt(t, zone) == offsetAt(near-day, zone) {
		t += minute
	}
	return t
}

// instants are those of a schedule on the local dates of some days around a time, in order.
func (c Cron) instants(around int64, days int) []int64 {
	var found []int64
	for i := -2; i < days; i++ {
		found = append(found, c.onDate(time.UnixMilli(around).UTC().AddDate(0, 0, i))...)
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// dateInstants are the instants of a schedule on one local date, found before.
var dateInstants sync.Map

// onDate tries every minute of a local date.
func (c Cron) onDate(date time.Time) []int64 {
	y, m, d := date.Date()
	name := fmt.Sprint(c.Expr, c.Zone, y, m, d)
	if known, ok := dateInstants.Load(name); ok {
		return known.([]int64)
	}
	fields := strings.Fields(c.Expr)
	var found []int64
	for minute := range 24 * 60 {
		matches := c.dayMatches(fields, time.Date(y, m, d, 0, 0, 0, 0, time.UTC)) &&
			fieldMatches(fields[0], minute%60, 0, 59) && fieldMatches(fields[1], minute/60, 0, 23)
		if !matches {
			continue
		}
		t, exists := resolve(y, m, d, int64(minute)*60_000, c.Zone)
		if !exists {
			t = firstValid(t, c.Zone)
		}
		found = append(found, t)
	}
	dateInstants.Store(name, found)
	return found
}

func (c Cron) dayMatches(fields []string, date time.Time) bool {
	weekday := int(date.Weekday())
	inMonth := fieldMatches(fields[2], date.Day(), 1, 31)
	inWeek := fieldMatches(fields[4], weekday, 0, 7) || weekday == 0 && fieldMatches(fields[4], 7, 0, 7)
	if !fieldMatches(fields[3], int(date.Month()), 1, 12) {
		return false
	}
	if fields[2] != "*" && fields[4] != "*" {
		return inMonth || inWeek
	}
	return inMonth && inWeek
}

// fieldMatches reads one field: lists of *, n, a-b, each with an optional /step; names of days.
func fieldMatches(field string, v, least, most int) bool {
	for part := range strings.SplitSeq(field, ",") {
		span, stepText, stepped := strings.Cut(part, "/")
		step := 1
		if stepped {
			step, _ = strconv.Atoi(stepText)
		}
		from, to := least, most
		if span != "*" {
			a, b, ranged := strings.Cut(span, "-")
			from = fieldNumber(a)
			switch {
			case ranged:
				to = fieldNumber(b)
			case !stepped:
				to = from
			}
		}
		if from <= v && v <= to && (v-from)%step == 0 {
			return true
		}
	}
	return false
}

func fieldNumber(s string) int {
	if i := slices.Index([]string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}, s); i >= 0 {
		return i
	}
	n, _ := strconv.Atoi(s)
	return n
}
