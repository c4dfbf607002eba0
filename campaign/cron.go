package campaign

import "time"

// Cron is a compiled schedule in a zone (semantics 3.7).
type Cron struct{}

// ParseCron reads the five fields of a schedule.
func ParseCron(expr string, zone *time.Location) (*Cron, error) { panic("not built yet") }

// Next is the first instant after the given one, both in ms; math.MaxInt64 where there is none.
func (c *Cron) Next(after int64) int64 { panic("not built yet") }
