package campaign

import "vigil/filter"

// Filter is a compiled `where` or `who` (semantics 2.5). A nil Filter always holds.
type Filter = filter.Filter

// Member is one member of a map in a filter as it was written; maps are []Member, in order.
type Member = filter.Member

// FilterError is one mistake in a filter.
type FilterError = filter.Error

// CompileFilter compiles a filter from plain values: []Member for a map, []any for a list, string, bool, json.Number and
// nil (semantics 2.5). It reports every mistake at once; the filter is nil where there is one.
func CompileFilter(n any) (*Filter, []FilterError) { return filter.Compile(n) }
