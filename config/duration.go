package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// units are those of the rule book (libraries 7), the largest first.
var units = []struct {
	name string
	size time.Duration
}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

// parseDuration reads 500ms 30s 15m 2h 3d 1w and sums such as 1d12h; 0 needs no unit.
func parseDuration(text string) (time.Duration, error) {
	if text == "0" {
		return 0, nil
	}
	bad := fmt.Errorf("must be a duration such as 500ms, 30s, 15m, 2h or 1d12h, got %q", text)
	var sum time.Duration
	for rest := text; rest != "" || text == ""; {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		letters := len(rest[digits:]) - len(strings.TrimLeft(rest[digits:], "wdhms"))
		n, err := strconv.ParseInt(rest[:digits], 10, 31)
		size := unit(rest[digits : digits+letters])
		if err != nil || size == 0 || time.Duration(n) > maxDuration/size || sum > maxDuration {
			return 0, bad
		}
		sum, rest = sum+time.Duration(n)*size, rest[digits+letters:]
	}
	return sum, nil
}

const maxDuration = time.Duration(1 << 61) // 73 years: what is longer is out of every range

func unit(name string) time.Duration {
	for _, u := range units {
		if u.name == name {
			return u.size
		}
	}
	return 0
}

// formatDuration writes what parseDuration reads.
func formatDuration(d time.Duration) string {
	if d == 0 {
		return "0s"
	}
	if d < 0 || d%time.Millisecond != 0 {
		return d.String()
	}
	var b strings.Builder
	for _, u := range units[1:] { // weeks read worse than days, and 1d than 24h
		if u.name == "d" && d < 2*u.size && d%u.size == 0 {
			continue
		}
		if n := d / u.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			d %= u.size
		}
	}
	return b.String()
}
