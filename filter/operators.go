package filter

import (
	"bytes"
	"errors"
	"regexp"
	"strconv"
	"strings"

	"vigil/calendar"
	"vigil/event"
)

// maxPattern bounds the source of a regular expression, in bytes.
const maxPattern = 1000

func operatorNames() []string {
	return []string{"eq", "ne", "gt", "gte", "lt", "lte", "between", "in", "not_in", "contains", "starts_with", "ends_with", "matches", "exists", "before", "after"}
}

func listed(names []string) string { return strings.Join(names, ", ") }

// builder finds what completes a check of an operator, whose constant is in check.want; nil for no operator.
func builder(op string) func(c *compiler, at place, k *check) {
	switch op {
	case "eq", "ne":
		return (*compiler).equality
	case "gt", "gte", "lt", "lte":
		return (*compiler).order
	case "between":
		return (*compiler).between
	case "in", "not_in":
		return (*compiler).membership
	case "contains":
		return (*compiler).contains
	case "starts_with", "ends_with":
		return (*compiler).affix
	case "matches":
		return (*compiler).pattern
	case "exists":
		return (*compiler).presence
	case "before", "after":
		return (*compiler).moment
	default:
		return nil
	}
}

func (c *compiler) equality(at place, k *check) {
	l, ok := c.literal(at, k.want)
	if !ok {
		return
	}
	k.kinds = kinds(l.Kind)
	if k.op == "ne" {
		k.holds = func(v event.Value, _ int64) bool { return !l.equal(v) }
		return
	}
	k.equals = []Literal{l}
	k.holds = func(v event.Value, _ int64) bool { return l.equal(v) }
}

func (c *compiler) order(at place, k *check) {
	l, ok := c.ordered(at, k.want)
	if !ok {
		return
	}
	k.kinds = kinds(l.Kind)
	switch k.op {
	case "gt":
		k.holds = func(v event.Value, _ int64) bool { return l.compare(v) > 0 }
	case "gte":
		k.holds = func(v event.Value, _ int64) bool { return l.compare(v) >= 0 }
	case "lt":
		k.holds = func(v event.Value, _ int64) bool { return l.compare(v) < 0 }
	default:
		k.holds = func(v event.Value, _ int64) bool { return l.compare(v) <= 0 }
	}
}

func (c *compiler) between(at place, k *check) {
	ends, ok := k.want.([]any)
	if !ok || len(ends) != 2 {
		c.fail(at, "write between: [1, 5]; both ends count", "between takes a list of two values")
		return
	}
	low, ok := c.ordered(at.in("0"), ends[0])
	high, also := c.ordered(at.in("1"), ends[1])
	switch {
	case !ok || !also:
		return
	case low.Kind != high.Kind:
		c.fail(at, "", "between takes two numbers or two texts, not one of each")
		return
	case low.Kind == event.Number && low.Number.Compare(high.Number) > 0, low.Kind == event.String && low.Text > high.Text:
		c.fail(at, "write the smaller one first", "between never holds: the first value is the greater one")
		return
	}
	k.kinds = kinds(low.Kind)
	k.holds = func(v event.Value, _ int64) bool { return low.compare(v) >= 0 && high.compare(v) <= 0 }
}

func (c *compiler) membership(at place, k *check) {
	elements, ok := k.want.([]any)
	if !ok || len(elements) == 0 {
		c.fail(at, "write "+k.op+": [a, b]", "%s takes a list of at least one value", k.op)
		return
	}
	all := make([]Literal, 0, len(elements))
	for i, n := range elements {
		if l, ok := c.literal(at.in(strconv.Itoa(i)), n); ok {
			all = append(all, l)
			k.kinds |= kinds(l.Kind)
		}
	}
	has := membersOf(all)
	if k.op == "not_in" {
		k.holds = func(v event.Value, _ int64) bool { return !has(v) }
		return
	}
	k.equals = all
	k.holds = func(v event.Value, _ int64) bool { return has(v) }
}

// membersOf tells whether a value is one of the literals.
func membersOf(all []Literal) func(v event.Value) bool {
	const few = 8 // up to which looking at each is as fast
	if len(all) <= few {
		return func(v event.Value) bool {
			for i := range all {
				if all[i].equal(v) {
					return true
				}
			}
			return false
		}
	}
	texts, numbers, bools := map[string]bool{}, map[event.Decimal]bool{}, [2]bool{}
	for _, l := range all {
		switch {
		case l.Kind == event.String:
			texts[l.Text] = true
		case l.Kind == event.Number:
			numbers[l.Number] = true
		case l.True:
			bools[1] = true
		default:
			bools[0] = true
		}
	}
	return func(v event.Value) bool {
		switch v.Kind() {
		case event.String:
			return texts[string(v.Bytes())]
		case event.Number:
			d, ok := v.Decimal()
			return ok && numbers[d]
		default:
			return v.True() && bools[1] || !v.True() && bools[0]
		}
	}
}

func (c *compiler) contains(at place, k *check) {
	l, ok := c.literal(at, k.want)
	if !ok {
		return
	}
	k.kinds = kinds(event.List)
	if l.Kind == event.String {
		k.kinds = kinds(event.List, event.String)
	}
	sub := []byte(l.Text)
	k.holds = func(v event.Value, _ int64) bool {
		if v.Kind() == event.String {
			return bytes.Contains(v.Bytes(), sub)
		}
		for element := range v.Elements() {
			if l.equal(element) {
				return true
			}
		}
		return false
	}
}

func (c *compiler) affix(at place, k *check) {
	text, ok := c.text(at, k.want)
	if !ok {
		return
	}
	k.kinds = kinds(event.String)
	has := bytes.HasPrefix
	if k.op == "ends_with" {
		has = bytes.HasSuffix
	}
	affix := []byte(text)
	k.holds = func(v event.Value, _ int64) bool { return has(v.Bytes(), affix) }
}

func (c *compiler) pattern(at place, k *check) {
	text, ok := c.text(at, k.want)
	if !ok {
		return
	}
	if len(text) > maxPattern {
		c.fail(at, "", "a pattern must have at most %d bytes", maxPattern)
		return
	}
	re, err := regexp.Compile(text)
	if err != nil {
		c.fail(at, "the syntax is RE2: https://github.com/google/re2/wiki/Syntax", "%s", strings.TrimPrefix(err.Error(), "error parsing regexp: "))
		return
	}
	k.kinds = kinds(event.String)
	k.holds = func(v event.Value, _ int64) bool { return re.Match(v.Bytes()) }
}

func (c *compiler) presence(at place, k *check) {
	want, ok := k.want.(bool)
	if !ok {
		c.fail(at, "", "exists takes true or false, not %s", kindName(k.want))
		return
	}
	k.kinds = ^kindSet(0)
	k.holds = func(v event.Value, _ int64) bool { return v.Present() == want }
}

func (c *compiler) moment(at place, k *check) {
	text, _ := k.want.(string)
	ms, relative, err := parseMoment(text)
	if err != nil {
		c.fail(at, "write a time such as 2026-11-01T00:00:00Z, now, now-7d or now+7d", "%s: %v", k.op, err)
		return
	}
	k.kinds = kinds(event.String, event.Number)
	before := k.op == "before"
	k.holds = func(v event.Value, now int64) bool {
		t, ok := event.ParseTime(v)
		limit := ms
		if relative {
			limit += now
		}
		return ok && (before && t < limit || !before && t > limit)
	}
}

// parseMoment reads an RFC 3339 time, or now with a duration added or taken away.
func parseMoment(text string) (ms int64, relative bool, err error) {
	rest, relative := strings.CutPrefix(text, "now")
	switch {
	case !relative:
		ms, ok := event.ParseRFC3339(text)
		if !ok {
			return 0, false, errors.New("only a time with an offset, or one relative to now, can be compared")
		}
		return ms, false, nil
	case rest == "":
		return 0, true, nil
	case rest[0] != '-' && rest[0] != '+':
		return 0, false, errors.New("what follows now must begin with + or -")
	}
	ms, err = calendar.ParseDuration(rest[1:])
	if rest[0] == '-' {
		ms = -ms
	}
	return ms, true, err
}
