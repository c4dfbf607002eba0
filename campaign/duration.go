package campaign

// ParseDuration reads a duration such as 30s, 15m, 2h, 3d, 1w, 500ms or a sum of them, in ms; d and w are 24 h and
// 7 x 24 h (semantics 3). The bounds are the caller's.
func ParseDuration(s string) (ms int64, err error) { panic("not built yet") }

// ParseOffset reads a duration with an optional sign; its d and w are calendar days (semantics 3.5).
func ParseOffset(s string) (Offset, error) { panic("not built yet") }

// ParseClock reads a local time HH:MM, 00:00 to 23:59, in ms since local midnight.
func ParseClock(s string) (ms int, err error) { panic("not built yet") }
