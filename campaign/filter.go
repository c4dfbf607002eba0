package campaign

import "vigil/event"

// Filter is a compiled `where` or `who` (semantics 2.5).
type Filter struct{}

// Member is one member of a map in a filter as it was written; maps are []Member, in order.
type Member struct {
	Name  string
	Value any
}

// FilterError is one mistake in a filter.
type FilterError struct {
	Path []string // names and list positions that lead to it from the filter's top
	Msg  string
	Hint string // empty: none
}

// Error is the mistake on one line.
func (e FilterError) Error() string { return e.Msg }

// CompileFilter compiles a filter from plain values: []Member for a map, []any for a list, string, bool, json.Number and
// nil (semantics 2.5). It reports every mistake at once; the filter is nil where there is one.
func CompileFilter(n any) (*Filter, []FilterError) { panic("not built yet") }

// Match tells whether the filter holds for the object v; now, in ms, is what `now` means. A nil Filter always holds.
func (f *Filter) Match(v event.Value, now int64) bool { panic("not built yet") }
