package calendar

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"vigil/event"
)

// maxDuration bounds what a duration may add up to; narrower bounds are the caller's.
const maxDuration = 1_000_000 * dayMillis

var errDuration = errors.New("write a number and a unit such as 500ms, 30s, 15m, 2h, 3d, 1w, or a sum such as 1d12h")

// ParseDuration reads a duration such as 30s, 15m, 2h, 3d, 1w, 500ms or a sum of them, in ms; d and w are 24 h and
// 7 x 24 h (semantics 3). It is neither negative nor longer than a million days.
func ParseDuration(s string) (ms int64, err error) {
	if strings.HasPrefix(s, "-") || strings.HasPrefix(s, "+") {
		return 0, fmt.Errorf("a duration has no sign, got %s", quoted(s))
	}
	days, ms, err := parseSum(s)
	return days*dayMillis + ms, err
}

// ParseOffset reads a duration with an optional sign, which holds for all of it; d and w are calendar days, the rest is
// exact (semantics 3.5).
func ParseOffset(s string) (days int, millis int64, err error) {
	unsigned, negative := strings.CutPrefix(s, "-")
	if !negative {
		unsigned = strings.TrimPrefix(s, "+")
	}
	d, millis, err := parseSum(unsigned)
	if negative {
		d, millis = -d, -millis
	}
	return int(d), millis, err
}

// ParseClock reads a local time HH:MM, 00:00 to 23:59, in ms since local midnight.
func ParseClock(s string) (ms int, err error) {
	c, end, ok := event.ReadClock("2000-01-01T" + s)
	if !ok || c.Seconds || end != len("2000-01-01T00:00") || len(s) != len("00:00") {
		return 0, fmt.Errorf("write a time of day as 09:00, from 00:00 to 23:59, got %s", quoted(s))
	}
	return c.Millis, nil
}

// parseSum reads one or more numbers with units, each unit once.
func parseSum(s string) (days, millis int64, err error) {
	if s == "" {
		return 0, 0, errDuration
	}
	seen := map[string]bool{}
	for rest := s; rest != ""; {
		n, unit, tail, err := nextTerm(s, rest)
		if err != nil {
			return 0, 0, err
		}
		if seen[unit] {
			return 0, 0, fmt.Errorf("%s has the unit %q twice", quoted(s), unit)
		}
		seen[unit] = true
		if n > maxDuration/unitMillis(unit) {
			return 0, 0, fmt.Errorf("%s is too long", quoted(s))
		}
		switch unit {
		case "d":
			days += n
		case "w":
			days += 7 * n
		default:
			millis += n * unitMillis(unit)
		}
		rest = tail
	}
	if days*dayMillis+millis > maxDuration {
		return 0, 0, fmt.Errorf("%s is too long", quoted(s))
	}
	return days, millis, nil
}

// nextTerm reads a number and its unit from the beginning of rest, a part of s.
func nextTerm(s, rest string) (n int64, unit, tail string, err error) {
	i := 0
	for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
		n = min(n*10+int64(rest[i]-'0'), maxDuration+1)
		i++
	}
	if i == 0 {
		return 0, "", "", fmt.Errorf("%s is no duration: %w", quoted(s), errDuration)
	}
	end := i
	for end < len(rest) && (rest[end] < '0' || rest[end] > '9') {
		end++
	}
	unit = rest[i:end]
	if unitMillis(unit) == 0 {
		return 0, "", "", badUnit(s, unit)
	}
	return n, unit, rest[end:], nil
}

// unitMillis is the length of a unit; 0 for what is none.
func unitMillis(unit string) int64 {
	switch unit {
	case "ms":
		return 1
	case "s":
		return 1000
	case "m":
		return minuteMillis
	case "h":
		return hourMillis
	case "d":
		return dayMillis
	case "w":
		return 7 * dayMillis
	default:
		return 0
	}
}

// badUnit says what to write instead of a unit that there is not.
func badUnit(s, unit string) error {
	word := strings.TrimSpace(unit)
	switch {
	case word == "":
		return fmt.Errorf("%s has no unit: %w", quoted(s), errDuration)
	case word != unit:
		return fmt.Errorf("%s has a space: write it without", quoted(s))
	case strings.HasPrefix(word, "."):
		return fmt.Errorf("%s has a fraction: write it in a smaller unit, such as 1h30m for 1.5h", quoted(s))
	}
	switch strings.ToLower(strings.TrimSuffix(word, "s")) {
	case "mo", "mon", "month", "y", "yr", "year":
		return monthUnit(s)
	case "min", "minute":
		return fmt.Errorf("%s: minutes are written m", quoted(s))
	case "sec", "second":
		return fmt.Errorf("%s: seconds are written s", quoted(s))
	case "hr", "hour":
		return fmt.Errorf("%s: hours are written h", quoted(s))
	case "day", "week":
		return fmt.Errorf("%s: days are written d and weeks w", quoted(s))
	}
	if word == "M" {
		return monthUnit(s)
	}
	return fmt.Errorf("%s has the unit %q: %w", quoted(s), short(word), errDuration)
}

func monthUnit(s string) error {
	return fmt.Errorf("%s: months and years differ in length and are no units, write them in days, such as 30d or 365d", quoted(s))
}

// quoted is what was written, short enough for a line.
func quoted(s string) string { return fmt.Sprintf("%q", short(s)) }

// short cuts s where its escaped form would pass 40 bytes.
func short(s string) string {
	const most = 40
	s, escaped := strings.ToValidUTF8(s, "?"), 0
	for i, r := range s {
		escaped += len(strconv.QuoteRune(r)) - 2
		if escaped > most {
			return s[:i] + "..."
		}
	}
	return s
}
