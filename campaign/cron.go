package campaign

// Cron is a compiled schedule in a zone (semantics 3.7).
type Cron struct{}

// Next is the first instant after the given one, both in ms; math.MaxInt64 where there is none.
func (c *Cron) Next(after int64) int64 { panic("not built yet") }
