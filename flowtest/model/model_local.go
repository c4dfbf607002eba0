package model

import (
	"math"
	"slices"
	"strconv"
	"strings"
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

// zoneNamed is the zone that a property names, if it does.
func (r *run) zoneNamed(v event.Value) (*time.Location, bool) {
	name := v.Text()
	if name == "" || name == "Local" {
		return nil, false
	}
	z, known := r.zones[name]
	if !known {
		z, _ = time.LoadLocation(name)
		r.zones[name] = z
	}
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

// onDate are the instants of a schedule on a local date, in order.
func (c Cron) onDate(date time.Time) []int64 {
	fields := strings.Fields(c.Expr)
	y, m, d := date.Date()
	if !c.dayMatches(fields, time.Date(y, m, d, 0, 0, 0, 0, time.UTC)) {
		return nil
	}
	var found []int64
	for h := range 24 {
		for i := range 60 {
			if !fieldMatches(fields[1], h, 0, 23) || !fieldMatches(fields[0], i, 0, 59) {
				continue
			}
			t, exists := resolve(y, m, d, int64(h)*hour+int64(i)*minute, c.Zone)
			if !exists {
				t = firstValid(t, c.Zone)
			}
			found = append(found, t)
		}
	}
	slices.Sort(found)
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
