package campaign

import "vigil/event"

// Filter is a compiled `where` or `who` (semantics 2.5).
type Filter struct{}

// Match tells whether the filter holds for the object v; now, in ms, is what `now` means. A nil Filter always holds.
func (f *Filter) Match(v event.Value, now int64) bool { panic("not built yet") }
