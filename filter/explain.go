package filter

import (
	"encoding/json"
	"strings"

	"vigil/event"
)

// Found says what a check had to compare.
type Found string

// What was found; only a Comparable value can make a check hold, apart from `exists`.
const (
	Comparable Found = "comparable"
	Missing    Found = "missing"
	Null       Found = "null"
	OtherType  Found = "other type"
)

// Clause is one line of an explanation: a check, or a group with its own lines after it, one Depth further in.
type Clause struct {
	Depth int
	Path  string // of the property; empty for a group
	Op    string // an operator, or all, any, not
	Want  string // the constant as JSON; empty for a group
	Value string // the property as JSON, cut to 200 bytes; empty for a group and where it is missing
	Found Found  // empty for a group
	Held  bool
}

// Explain tells of every check in order, also of those that Match need not reach, what was wanted, what was found and
// whether it held. A nil Filter has no clauses.
func (f *Filter) Explain(v event.Value, now int64) []Clause {
	if f == nil {
		return nil
	}
	return explain(nil, f.parts, subject{v, now, 0})
}

// subject is what is explained.
type subject struct {
	v     event.Value
	now   int64
	depth int
}

func explain(out []Clause, parts []part, s subject) []Clause {
	for i := range parts {
		p := &parts[i]
		if p.form == property {
			out = p.explainProperty(out, s)
			continue
		}
		out = append(out, Clause{Depth: s.depth, Op: p.form.String(), Held: p.match(s.v, s.now)})
		inside := subject{s.v, s.now, s.depth + 1}
		out = explain(out, p.parts, inside)
	}
	return out
}

func (p *part) explainProperty(out []Clause, s subject) []Clause {
	v := s.v.Get(p.path)
	for i := range p.checks {
		k := &p.checks[i]
		out = append(out, Clause{
			Depth: s.depth, Path: string(p.path), Op: k.op, Want: wanted(k.want), Value: shown(v), Found: k.found(v), Held: k.match(v, s.now),
		})
	}
	return out
}

func (k *check) found(v event.Value) Found {
	switch {
	case v.Kind() == event.Missing:
		return Missing
	case v.Kind() == event.Null:
		return Null
	case !k.kinds.has(v.Kind()):
		return OtherType
	default:
		return Comparable
	}
}

// String is the name of a group.
func (f form) String() string { return [...]string{"", "all", "any", "not"}[f] }

// wanted is a constant as JSON.
func wanted(n any) string {
	switch v := n.(type) {
	case string:
		return string(event.AppendString(nil, v))
	case json.Number:
		return string(v)
	case bool:
		return map[bool]string{true: "true", false: "false"}[v]
	case []any:
		all := make([]string, len(v))
		for i, element := range v {
			all[i] = wanted(element)
		}
		return "[" + strings.Join(all, ",") + "]"
	default:
		return "null"
	}
}

// shown is a value as JSON, cut where it is long.
func shown(v event.Value) string {
	const most = 200
	if v.Kind() == event.Missing {
		return ""
	}
	text := v.AppendJSON(nil)
	if len(text) > most {
		return strings.ToValidUTF8(string(text[:most]), "") + "..."
	}
	return string(text)
}
