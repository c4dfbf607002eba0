package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// span is a flag that takes the durations of the rule book: 500ms 30s 15m 2h 3d 1w, and sums such as 1d12h.
type span time.Duration

// spanUnits are the units, longest name first where one begins another.
var spanUnits = []struct {
	name string
	size time.Duration
}{{"ms", time.Millisecond}, {"s", time.Second}, {"m", time.Minute}, {"h", time.Hour}, {"d", 24 * time.Hour}, {"w", 7 * 24 * time.Hour}}

// Set reads a duration.
func (s *span) Set(text string) error {
	d, err := parseSpan(text)
	if err == nil {
		*s = span(d)
	}
	return err
}

// String writes the duration as the rule book does.
func (s *span) String() string {
	d := time.Duration(*s)
	if d == 0 {
		return "0s"
	}
	var b strings.Builder
	for _, i := range []int{5, 4, 3, 2, 1, 0} {
		if n := d / spanUnits[i].size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, spanUnits[i].name)
			d %= spanUnits[i].size
		}
	}
	return b.String()
}

// Type names the kind of value in the help.
func (s *span) Type() string { return "duration" }

func (s span) millis() int64 { return time.Duration(s).Milliseconds() }

func parseSpan(text string) (time.Duration, error) {
	bad := fmt.Errorf("%q is no duration such as 500ms, 30s, 15m, 2h, 3d or 1d12h", text)
	if text == "0" {
		return 0, nil
	}
	var sum time.Duration
	for rest := text; rest != "" || text == ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 32)
		if err != nil {
			return 0, bad
		}
		rest = rest[digits:]
		unit := unitOf(rest)
		if unit < 0 {
			return 0, bad
		}
		sum += time.Duration(n) * spanUnits[unit].size
		rest = rest[len(spanUnits[unit].name):]
	}
	if sum > 400*24*time.Hour {
		return 0, fmt.Errorf("%q is more than 400d", text)
	}
	return sum, nil
}

func unitOf(text string) int {
	for i, u := range spanUnits {
		if strings.HasPrefix(text, u.name) {
			return i
		}
	}
	return -1
}
