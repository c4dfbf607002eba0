package calendar

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// Cron is a compiled schedule in a zone (semantics 3.7). It is immutable.
type Cron struct {
	minutes, hours, days, months, weekdays uint64 // bit n: the value n is in
	eitherDay                              bool   // both day fields are restricted: one of them is enough
	zone                                   *time.Location
}

// cronField is one of the five.
type cronField struct {
	name        string
	least, most int
	words       []string // of the values from least on
}

func cronFields() [5]cronField {
	return [5]cronField{
		{"minute", 0, 59, nil},
		{"hour", 0, 23, nil},
		{"day of month", 1, 31, nil},
		{"month", 1, 12, []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}},
		{"day of week", 0, 7, []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}},
	}
}

const sunday = 7 // as 0 is, too

// ParseCron reads the five fields of a schedule: *, numbers, names, lists, ranges and steps. It errs on a schedule that
// never comes.
func ParseCron(expr string, zone *time.Location) (*Cron, error) {
	texts := strings.Fields(expr)
	if len(texts) != 5 {
		return nil, fmt.Errorf("%q has %d fields: write five, minute, hour, day of month, month and day of week, such as \"0 9 * * MON\"",
			short(expr), len(texts))
	}
	c := &Cron{zone: zone}
	var restricted [5]bool
	for i, into := range []*uint64{&c.minutes, &c.hours, &c.days, &c.months, &c.weekdays} {
		var err error
		if *into, restricted[i], err = cronFields()[i].parse(texts[i]); err != nil {
			return nil, err
		}
	}
	c.weekdays |= c.weekdays >> sunday & 1
	c.eitherDay = restricted[2] && restricted[4]
	if c.Next(0) == math.MaxInt64 {
		return nil, fmt.Errorf("%q never comes: no such month has such a day", short(expr))
	}
	return c, nil
}

// parse reads a list into a set. Only the bare * is not restricted: */1 is, whatever it takes.
func (f cronField) parse(text string) (set uint64, restricted bool, err error) {
	for _, part := range strings.Split(text, ",") {
		values, err := f.part(part)
		if err != nil {
			return 0, false, fmt.Errorf("%s %q: %w", f.name, short(text), err)
		}
		set |= values
	}
	return set, text != "*", nil
}

// part reads *, a, a-b, and each of them with /n; a/n is from a to the end.
func (f cronField) part(text string) (set uint64, err error) {
	span, stepText, stepped := strings.Cut(text, "/")
	step := 1
	if stepped {
		if step = small(stepText); step < 1 {
			return 0, fmt.Errorf("the step after / must be a whole number from 1 to 99")
		}
	}
	from, to, ranged := strings.Cut(span, "-")
	top := f.most
	if top == sunday {
		top = 6 // 7 only where it is written
	}
	if span == "*" {
		return every(f.least, top, step), nil
	}
	low, err := f.value(from)
	if err != nil {
		return 0, err
	}
	switch high := low; {
	case ranged:
		if high, err = f.value(to); err != nil {
			return 0, err
		}
		if f.most == sunday && strings.EqualFold(to, "SUN") {
			high = sunday // FRI-SUN
		}
		if high < low {
			return 0, fmt.Errorf("the range %s runs backwards: write two ranges with a comma", short(span))
		}
		return every(low, high, step), nil
	case stepped:
		return every(low, max(low, top), step), nil
	default:
		return every(low, low, 1), nil
	}
}

func (f cronField) value(text string) (int, error) {
	for i, word := range f.words {
		if strings.EqualFold(text, word) {
			return f.least + i, nil
		}
	}
	v := small(text)
	if v < f.least || v > f.most {
		names := ""
		if f.words != nil {
			names = fmt.Sprintf(" or %s to %s", f.words[0], f.words[len(f.words)-1])
		}
		return 0, fmt.Errorf("%q is not a number from %d to %d%s", short(text), f.least, f.most, names)
	}
	return v, nil
}

// small reads a number of one or two digits; -1 for anything else.
func small(text string) int {
	if len(text) > 2 || strings.Trim(text, "0123456789") != "" {
		return -1
	}
	v, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return v
}

func every(low, high, step int) (set uint64) {
	for v := low; v <= high; v += step {
		set |= 1 << v
	}
	return set
}

// cronYears is more than there can be between two days that match: 29 February comes after 8 years at most.
const cronYears = 9

// Next is the first instant after the given one, both in ms; math.MaxInt64 where there is none. A time in a gap of the
// zone runs at the first instant after the gap, one that comes twice only the first time (semantics 3.7).
func (c *Cron) Next(after int64) int64 {
	const first, last = -62_135_596_800_000, 253_402_300_800_000 // the years 1 to 9999
	if after >= last {
		return math.MaxInt64
	}
	year, month, day, millis := Local(max(after, first), c.zone)
	date := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	minute := millis/minuteMillis + 1 // wall times up to that of `after` have come by then
	if after < first {
		minute = 0
	}
	for end := year + cronYears; date.Year() <= end; minute = 0 {
		if c.months>>date.Month()&1 == 0 {
			date = time.Date(date.Year(), date.Month()+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		}
		if c.onDay(date) {
			if ms, ok := c.onDate(date, minute, after); ok {
				return ms
			}
		}
		date = date.AddDate(0, 0, 1)
	}
	return math.MaxInt64
}

func (c *Cron) onDay(date time.Time) bool {
	byDate, byWeekday := c.days>>date.Day()&1 == 1, c.weekdays>>date.Weekday()&1 == 1
	if c.eitherDay {
		return byDate || byWeekday
	}
	return byDate && byWeekday
}

// onDate finds the first instant after the given one whose wall time is on the date, at a minute of the day or later.
func (c *Cron) onDate(date time.Time, minute int, after int64) (int64, bool) {
	for hour := minute / 60; hour < 24; hour++ {
		if c.hours>>hour&1 == 0 {
			continue
		}
		left := c.minutes
		if from := minute - hour*60; from > 0 {
			left &= ^uint64(0) << from
		}
		for ; left != 0; left &= left - 1 {
			wall := date.UnixMilli() + int64(hour)*hourMillis + int64(bits.TrailingZeros64(left))*minuteMillis
			if _, valid := resolve(wall, c.zone); valid > after {
				return valid, true
			}
		}
	}
	return 0, false
}
