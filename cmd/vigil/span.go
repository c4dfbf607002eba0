package main

import (
	"fmt"
	"strings"
	"time"

	"vigil/campaign"
)

// span is a flag that takes the durations of the rule book: 500ms 30s 15m 2h 3d 1w, and sums such as 1d12h.
type span time.Duration

// Set reads a duration; 0 needs no unit.
func (s *span) Set(text string) error {
	if text == "0" {
		text = "0s"
	}
	ms, err := campaign.ParseDuration(text)
	if err == nil {
		*s = span(time.Duration(ms) * time.Millisecond)
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
	for _, unit := range []struct {
		name string
		size time.Duration
	}{{"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}} {
		if n := d / unit.size; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, unit.name)
			d %= unit.size
		}
	}
	return b.String()
}

// Type names the kind of value in the help.
func (s *span) Type() string { return "duration" }

func (s span) millis() int64 { return time.Duration(s).Milliseconds() }
