// Package filter is the `where` and `who` of campaigns (semantics 2.5): compiled once into typed checks, matched
// against events and profiles without allocation, explained check by check. It is pure and knows no campaign.
package filter

import "vigil/event"

// Filter is a compiled filter. It is immutable; a nil Filter always holds.
type Filter struct{ parts []part }

// form says what a part is.
type form uint8

const (
	property form = iota // every check holds for the property
	allOf                // every part holds
	anyOf                // one part holds
	notAll               // not every part holds
)

// part is a property with its checks, or a group of parts.
type part struct {
	form   form
	path   event.Path
	checks []check
	parts  []part
}

// check compares a property with a constant. It is false for a value of any other kind (semantics 2.5).
type check struct {
	op     string
	want   any     // the constant as it was written, for Explain
	kinds  kindSet // the kinds of value that can be compared
	holds  func(v event.Value, now int64) bool
	equals []Literal // those of eq and in
}

// kindSet has bit k set for the event.Kind k.
type kindSet uint8

func kinds(all ...event.Kind) (set kindSet) {
	for _, k := range all {
		set |= 1 << k
	}
	return set
}

func (s kindSet) has(k event.Kind) bool { return s>>k&1 == 1 }

// Match tells whether the filter holds for the object v; now, in ms, is what `now` means.
func (f *Filter) Match(v event.Value, now int64) bool {
	return f == nil || allHold(f.parts, v, now)
}

func allHold(parts []part, v event.Value, now int64) bool {
	for i := range parts {
		if !parts[i].match(v, now) {
			return false
		}
	}
	return true
}

func (p *part) match(v event.Value, now int64) bool {
	switch p.form {
	case property:
		return p.matchProperty(v.Get(p.path), now)
	case allOf:
		return allHold(p.parts, v, now)
	case notAll:
		return !allHold(p.parts, v, now)
	default:
		for i := range p.parts {
			if p.parts[i].match(v, now) {
				return true
			}
		}
		return false
	}
}

func (p *part) matchProperty(v event.Value, now int64) bool {
	for i := range p.checks {
		if !p.checks[i].match(v, now) {
			return false
		}
	}
	return true
}

func (c *check) match(v event.Value, now int64) bool {
	return c.kinds.has(v.Kind()) && c.holds(v, now)
}

// Equality is a check that a filter cannot hold without: the property is one of the values.
type Equality struct {
	Path   event.Path
	Values []Literal
}

// Equalities are the equality checks that the filter cannot hold without, for an index; in the order written.
func (f *Filter) Equalities() []Equality {
	if f == nil {
		return nil
	}
	return equalities(nil, f.parts)
}

// IsEquality tells whether the filter is one equality check and nothing else: where an index has found it to hold there
// is nothing left to ask.
func (f *Filter) IsEquality() bool {
	return f != nil && len(f.parts) == 1 && f.parts[0].form == property && len(f.parts[0].checks) == 1 &&
		f.parts[0].checks[0].equals != nil
}

func equalities(found []Equality, parts []part) []Equality {
	for i := range parts {
		p := &parts[i]
		if p.form == allOf {
			found = equalities(found, p.parts)
		}
		for j := range p.checks {
			if p.checks[j].equals != nil {
				found = append(found, Equality{p.path, p.checks[j].equals})
			}
		}
	}
	return found
}

// Literal is a text, number or boolean of a filter. Literals are equal by == when the values are: 5 and 5.0 are one.
type Literal struct {
	Kind   event.Kind
	Text   string
	Number event.Decimal
	True   bool
}

// equal tells whether v, which is of any kind, is the literal.
func (l Literal) equal(v event.Value) bool {
	if v.Kind() != l.Kind {
		return false
	}
	switch l.Kind {
	case event.String:
		return string(v.Bytes()) == l.Text
	case event.Number:
		d, ok := v.Decimal()
		return ok && d == l.Number
	default:
		return v.True() == l.True
	}
}

// compare is -1, 0 or 1 as v, a text or number of the literal's kind, is less than, equal to or greater than it.
func (l Literal) compare(v event.Value) int {
	if l.Kind == event.Number {
		d, _ := v.Decimal() // v is a number
		return d.Compare(l.Number)
	}
	b := v.Bytes()
	switch {
	case string(b) < l.Text:
		return -1
	case string(b) > l.Text:
		return 1
	default:
		return 0
	}
}
