package filter

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"vigil/event"
	"vigil/source"
)

// Limits of a filter.
const (
	maxDepth     = 64  // nesting of groups
	maxPathBytes = 256 // of the path of a property
)

// Member is one member of a map in a filter as it was written; a map is []Member, in order.
type Member struct {
	Name  string
	Value any
}

// Error is one mistake in a filter.
type Error struct {
	Path []string // names and list positions that lead to it from the filter's top
	Msg  string
	Hint string // how to put it right; empty: nothing to add
}

// Error is the mistake on one line.
func (e Error) Error() string { return e.Msg }

// Compile compiles a filter from plain values: []Member for a map, []any for a list, string, bool, json.Number, and nil
// for null. It reports every mistake at once; the filter is nil where there is one. A filter without entries holds.
func Compile(n any) (*Filter, []Error) {
	c := &compiler{}
	parts := c.entries(place{}, n)
	if len(c.errors) > 0 {
		return nil, c.errors
	}
	return &Filter{parts}, nil
}

// place is where in the filter the compiler is.
type place []string

func (p place) in(name string) place { return append(slices.Clip(p), name) }

type compiler struct{ errors []Error }

// fail records a mistake; hint may be empty.
func (c *compiler) fail(at place, hint, format string, args ...any) {
	c.errors = append(c.errors, Error{slices.Clone(at), fmt.Sprintf(format, args...), hint})
}

// entries compiles a map of properties and groups, which must all hold.
func (c *compiler) entries(at place, n any) []part {
	members, ok := n.([]Member)
	if !ok {
		c.fail(at, `write it as {property: value} or {property: {operator: value}}`, "a filter must be an object, not %s", kindName(n))
		return nil
	}
	if len(at) > 2*maxDepth {
		c.fail(at, "", "nested more than %d levels", maxDepth)
		return nil
	}
	parts := make([]part, 0, len(members))
	for _, m := range members {
		here := at.in(m.Name)
		switch m.Name {
		case "all":
			parts = append(parts, part{form: allOf, parts: c.group(here, m.Value)})
		case "any":
			parts = append(parts, part{form: anyOf, parts: c.group(here, m.Value)})
		case "not":
			parts = append(parts, part{form: notAll, parts: c.inner(here, m.Value)})
		default:
			parts = append(parts, c.property(here, m))
		}
	}
	return parts
}

// group compiles the list of filters under any and all.
func (c *compiler) group(at place, n any) []part {
	filters, ok := n.([]any)
	if !ok {
		c.fail(at, "write any: [{a: 1}, {b: 2}]", "%s takes a list of filters, not %s", at[len(at)-1], kindName(n))
		return nil
	}
	if len(filters) == 0 {
		c.fail(at, "", "%s needs at least one filter", at[len(at)-1])
	}
	parts := make([]part, len(filters))
	for i, f := range filters {
		parts[i] = part{form: allOf, parts: c.inner(at.in(strconv.Itoa(i)), f)}
	}
	return parts
}

// inner compiles a filter inside a group, where an empty one can only be a slip.
func (c *compiler) inner(at place, n any) []part {
	if members, ok := n.([]Member); ok && len(members) == 0 {
		c.fail(at, "", "this filter is empty: it would hold for everything")
	}
	return c.entries(at, n)
}

// property compiles the checks of one property: a bare value is short for eq.
func (c *compiler) property(at place, m Member) part {
	if m.Name == "" || len(m.Name) > maxPathBytes {
		c.fail(at, "", "the path of a property must have 1 to %d bytes", maxPathBytes)
	}
	p := part{form: property, path: event.Path(m.Name)}
	switch v := m.Value.(type) {
	case []Member:
		p.checks = c.operators(at, v)
	case []any:
		c.fail(at, "write {in: [...]} for one of several values", "a property cannot be compared with a list")
	case nil:
		c.fail(at, "write {exists: false}", "a property cannot be compared with null")
	default:
		if k, ok := c.check(at, "eq", v); ok {
			p.checks = []check{k}
		}
	}
	return p
}

func (c *compiler) operators(at place, members []Member) []check {
	if len(members) == 0 {
		c.fail(at, "", "%s needs an operator", at[len(at)-1])
	}
	checks := make([]check, 0, len(members))
	for _, m := range members {
		if k, ok := c.check(at.in(m.Name), m.Name, m.Value); ok {
			checks = append(checks, k)
		}
	}
	return checks
}

// check compiles one operator with its constant; false where it is a mistake.
func (c *compiler) check(at place, op string, n any) (check, bool) {
	build := builder(op)
	if build == nil {
		c.unknown(at, op, n)
		return check{}, false
	}
	k := check{op: op, want: n}
	before := len(c.errors)
	build(c, at, &k)
	return k, len(c.errors) == before
}

func (c *compiler) unknown(at place, op string, n any) {
	hint := ""
	near := source.Nearest(op, operatorNames())
	_, nested := n.([]Member)
	switch {
	case near != "":
		hint = fmt.Sprintf("did you mean %q?", near)
	case nested && len(at) > 1:
		hint = fmt.Sprintf("a property inside an object is written with a dot: %s.%s", at[len(at)-2], op)
	default:
		hint = "known: " + listed(operatorNames())
	}
	c.fail(at, hint, "there is no operator %q", op)
}

// literal reads a text, number or boolean.
func (c *compiler) literal(at place, n any) (Literal, bool) {
	switch v := n.(type) {
	case string:
		return Literal{Kind: event.String, Text: v}, true
	case bool:
		return Literal{Kind: event.Bool, True: v}, true
	case json.Number:
		if d, ok := event.ParseDecimal(string(v)); ok {
			return Literal{Kind: event.Number, Number: d}, true
		}
		c.fail(at, "", "%q is not a number that JSON knows", string(v))
	case nil:
		c.fail(at, "null counts as missing: use {exists: false}", "a comparison with null is never true")
	default:
		c.fail(at, "", "%s takes a text, a number or a boolean, not %s", operatorAt(at), kindName(n))
	}
	return Literal{}, false
}

// ordered reads a text or a number.
func (c *compiler) ordered(at place, n any) (Literal, bool) {
	l, ok := c.literal(at, n)
	if ok && l.Kind == event.Bool {
		c.fail(at, "use eq or ne", "booleans have no order")
		return l, false
	}
	return l, ok
}

// text reads a text.
func (c *compiler) text(at place, n any) (string, bool) {
	s, ok := n.(string)
	if !ok {
		c.fail(at, "", "%s takes a text, not %s", operatorAt(at), kindName(n))
	}
	return s, ok
}

// operatorAt is the name of the operator at a place, which may be an element of its list.
func operatorAt(at place) string {
	for i := len(at) - 1; i >= 0; i-- {
		if builder(at[i]) != nil {
			return at[i]
		}
	}
	return "eq"
}

func kindName(n any) string {
	switch n.(type) {
	case []Member:
		return "an object"
	case []any:
		return "a list"
	case string:
		return "a text"
	case bool:
		return "a boolean"
	case nil:
		return "nothing"
	default:
		return "a number"
	}
}
