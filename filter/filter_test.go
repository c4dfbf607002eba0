package filter_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vigil/event"
	"vigil/filter"
)

const now = 1_780_000_000_000 // 2026-05-28T20:26:40Z

// plain is a JSON document as the values that Compile reads.
func plain(doc string) (any, error) {
	d := json.NewDecoder(strings.NewReader(doc))
	d.UseNumber()
	return plainValue(d)
}

func plainValue(d *json.Decoder) (any, error) {
	token, err := d.Token()
	if err != nil {
		return nil, err
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return token, nil
	}
	members, elements := []filter.Member{}, []any{}
	for d.More() {
		name := ""
		if delim == '{' {
			token, err := d.Token()
			if err != nil {
				return nil, err
			}
			name = token.(string)
		}
		v, err := plainValue(d)
		if err != nil {
			return nil, err
		}
		members, elements = append(members, filter.Member{Name: name, Value: v}), append(elements, v)
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if delim == '{' {
		return members, nil
	}
	return elements, nil
}

func compile(t interface {
	Helper()
	Fatal(...any)
}, doc string,
) *filter.Filter {
	t.Helper()
	n, err := plain(doc)
	if err != nil {
		t.Fatal(err)
	}
	f, errs := filter.Compile(n)
	if len(errs) > 0 {
		t.Fatal(doc, errs)
	}
	return f
}

func object(t interface {
	Helper()
	Fatal(...any)
}, doc string,
) event.Value {
	t.Helper()
	v, err := event.ParseValue([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestMatch has, for each filter, the values of the property v that it holds for and those that it does not; `-` is a
// missing property.
func TestMatch(t *testing.T) {
	for _, row := range []struct{ filter, holds, not string }{
		{`{"v":5}`, `5 5.0 5e0 50e-1`, `"5" 6 true null - [5] {}`},
		{`{"v":{"eq":5}}`, `5`, `"5" null -`},
		{`{"v":{"ne":5}}`, `6 5.1 -5`, `5 5.0 "5" true null - [] {}`},
		{`{"v":9007199254740993}`, `9007199254740993 9007199254740993.0`, `9007199254740992 9007199254740994 9007199254740993.1`},
		{`{"v":{"gt":9007199254740992}}`, `9007199254740993 1e400`, `9007199254740992 9007199254740991 -1e400`},
		{`{"v":{"gte":100}}`, `100 100.0 1e2 100.01`, `99.999 "100" null -`},
		{`{"v":{"lt":0}}`, `-1 -0.1 -1e-400`, `0 -0 0.1 "" false`},
		{`{"v":{"lte":"5"}}`, `"5" "4" "" "10"`, `5 4 "50" null -`},
		{`{"v":{"gt":"a"}}`, `"b" "aa" "é"`, `"a" "A" ""`},
		{`{"v":{"between":[1,5]}}`, `1 5 5.0 3.3`, `0.99 5.01 "3" null -`},
		{`{"v":{"between":["a","c"]}}`, `"a" "c" "bzz"`, `"ca" "A" 2`},
		{`{"v":{"in":[5,"5",true]}}`, `5 5.0 "5" true`, `6 "6" false null - [5]`},
		{`{"v":{"in":[1,2,3,4,5,6,7,8,9,"x",false]}}`, `1 9.0 "x" false`, `10 "1" true null -`},
		{`{"v":{"not_in":[5,6]}}`, `7 5.5`, `5 6.0 "7" true null - []`},
		{`{"v":{"not_in":[5,"x"]}}`, `7 "y"`, `5 "x" true`},
		{`{"v":{"not_in":[1,2,3,4,5,6,7,8,9]}}`, `10`, `1 "10"`},
		{`{"v":{"contains":"bc"}}`, `"abcd" "bc" ["bc"] ["a","bc"]`, `"b" ["abc"] [] 5 null - {"bc":1}`},
		{`{"v":{"contains":5}}`, `[5] [1,5.0]`, `["5"] [[5]] "5" 5 [] null -`},
		{`{"v":{"contains":true}}`, `[true]`, `[false] ["true"] "true"`},
		{`{"v":{"starts_with":"ab"}}`, `"ab" "abc"`, `"a" "xab" ["ab"] 5 null -`},
		{`{"v":{"ends_with":"é"}}`, `"é" "caf\u00e9"`, `"e" ""`},
		{`{"v":{"matches":"b+"}}`, `"abbc" "b"`, `"ac" 5 null - ["b"]`},
		{`{"v":{"matches":"^b+$"}}`, `"bb"`, `"abb"`},
		{`{"v":{"exists":true}}`, `5 "" false [] {}`, `null -`},
		{`{"v":{"exists":false}}`, `null -`, `5 "" false`},
		{`{"v":{"before":"2026-05-28T20:26:40Z"}}`, `"2026-05-28T20:26:39.999Z" 1779999999 1779999999999 0`, `"2026-05-28T20:26:40Z" 1780000000 "2026-05-28" "x" true null - [0]`},
		{`{"v":{"after":"2026-05-28T22:26:40+02:00"}}`, `1780000000.001 "2026-05-28T20:26:40.001Z"`, `1780000000 null -`},
		{`{"v":{"before":"now"}}`, `1779999999.999`, `1780000000`},
		{`{"v":{"after":"now-7d"}}`, `1779395200.001 1780000000 1880000000`, `1779395200 "now"`},
		{`{"v":{"before":"now+1d12h"}}`, `1780129599`, `1780129600`},
		{`{"v":{"gte":1,"lt":3,"ne":2}}`, `1 2.5`, `0 2 3`},
		{`{"v":""}`, `""`, `null - "x"`},
		{`{"v":{"contains":""}}`, `"" "x" [""]`, `["x"] []`},
		{`{"not":{"v":5}}`, `6 "5" null - true`, `5 5.0`},
		{`{"not":{"v":{"ne":5}}}`, `5 "6" null -`, `6`},
		{`{"not":{"v":{"gte":1,"lte":3}}}`, `0 4 null`, `1 2 3`},
		{`{"any":[{"v":1},{"v":{"gt":5}}]}`, `1 6`, `2 5 "1" -`},
		{`{"all":[{"v":{"gt":1}},{"v":{"lt":3}}]}`, `2`, `1 3 -`},
		{`{"not":{"any":[{"v":1},{"all":[{"v":{"gt":5}},{"not":{"v":7}}]}]}}`, `2 7 -`, `1 6`},
		{`{}`, `1 -`, ``},
	} {
		f := compile(t, row.filter)
		wantEach(t, f, row.filter, row.holds, true)
		wantEach(t, f, row.filter, row.not, false)
	}
}

// wantEach matches each of the values, separated by spaces, as the property v.
func wantEach(t *testing.T, f *filter.Filter, name, values string, want bool) {
	t.Helper()
	for _, v := range strings.Fields(values) {
		doc := `{"w":1,"v":` + v + `}`
		if v == "-" {
			doc = `{"w":1}`
		}
		if got := f.Match(object(t, doc), now); got != want {
			t.Errorf("%s for %s: got %t", name, doc, got)
		}
	}
}

func TestMatchPaths(t *testing.T) {
	v := object(t, `{"item":{"brand":"acme"},"item.size":"L","eq":5,"in":{"gt":7}}`)
	for doc, want := range map[string]bool{
		`{"item.brand":"acme","item.size":"L"}`: true,
		`{"item.brand":"acme","item.size":"M"}`: false,
		`{"item.colour":{"exists":false}}`:      true,
		`{"eq":5}`:                              true, // operators are names of properties too
		`{"in.gt":{"eq":7}}`:                    true,
		`{"item":{"exists":true}}`:              true,
	} {
		if got := compile(t, doc).Match(v, now); got != want {
			t.Errorf("%s: got %t", doc, got)
		}
	}
	var none *filter.Filter
	if !none.Match(event.Value{}, now) || none.Equalities() != nil || none.Explain(v, now) != nil {
		t.Error("a nil filter holds")
	}
	if compile(t, `{"a":1}`).Match(event.Value{}, now) || !compile(t, `{"a":{"exists":false}}`).Match(event.Value{}, now) {
		t.Error("nothing has no properties")
	}
}

func TestMistakes(t *testing.T) {
	for doc, want := range map[string]string{
		`5`:                                      ": a filter must be an object, not a number",
		`null`:                                   ": a filter must be an object, not nothing",
		`[]`:                                     ": a filter must be an object, not a list",
		`{"a":[1,2]}`:                            "a: a property cannot be compared with a list (write {in: [...]} for one of several values)",
		`{"a":null}`:                             "a: a property cannot be compared with null (write {exists: false})",
		`{"a":{}}`:                               "a: a needs an operator",
		`{"":1}`:                                 ": the path of a property must have 1 to 256 bytes",
		`{"a":{"greater":1}}`:                    `a/greater: there is no operator "greater" (known: eq, ne, gt,`,
		`{"a":{"gtr":1}}`:                        `a/gtr: there is no operator "gtr" (did you mean "gt"?)`,
		`{"a":{"startswith":"x"}}`:               `a/startswith: there is no operator "startswith" (did you mean "starts_with"?)`,
		`{"item":{"brand":{"eq":1}}}`:            `item/brand: there is no operator "brand" (a property inside an object is written with a dot: item.brand)`,
		`{"a":{"eq":null}}`:                      "a/eq: a comparison with null is never true (null counts as missing: use {exists: false})",
		`{"a":{"eq":[1]}}`:                       "a/eq: eq takes a text, a number or a boolean, not a list",
		`{"a":{"ne":{"b":1}}}`:                   "a/ne: ne takes a text, a number or a boolean, not an object",
		`{"a":{"gt":true}}`:                      "a/gt: booleans have no order (use eq or ne)",
		`{"a":{"between":[1]}}`:                  "a/between: between takes a list of two values",
		`{"a":{"between":5}}`:                    "a/between: between takes a list of two values",
		`{"a":{"between":[1,"5"]}}`:              "a/between: between takes two numbers or two texts",
		`{"a":{"between":[5,1]}}`:                "a/between: between never holds",
		`{"a":{"between":[true,null]}}`:          "a/between/0: booleans have no order (use eq or ne); a/between/1: a comparison with null",
		`{"a":{"in":5}}`:                         "a/in: in takes a list of at least one value (write in: [a, b])",
		`{"a":{"in":[]}}`:                        "a/in: in takes a list of at least one value",
		`{"a":{"not_in":[1,null,[2]]}}`:          "a/not_in/1: a comparison with null is never true (null counts as missing: use {exists: false}); a/not_in/2: not_in takes a text, a number or a boolean, not a list",
		`{"a":{"contains":[1]}}`:                 "a/contains: contains takes a text",
		`{"a":{"starts_with":5}}`:                "a/starts_with: starts_with takes a text, not a number",
		`{"a":{"matches":"("}}`:                  "a/matches: missing closing ): `(`",
		`{"a":{"matches":"(?=x)"}}`:              "a/matches: invalid or unsupported Perl syntax",
		`{"a":{"exists":"yes"}}`:                 "a/exists: exists takes true or false, not a text",
		`{"a":{"before":"2026-11-01"}}`:          "a/before: before: only a time with an offset, or one relative to now, can be compared (write a time such as",
		`{"a":{"before":5}}`:                     "a/before: before: only a time",
		`{"a":{"after":"now-1y"}}`:               "a/after: after: \"1y\": months and years differ in length",
		`{"a":{"after":"now -1d"}}`:              "a/after: after: what follows now must begin with + or -",
		`{"a":{"after":"now-"}}`:                 "a/after: after: write a number and a unit",
		`{"a":{"after":"now--1d"}}`:              "a/after: after: a duration has no sign",
		`{"a":{"after":"nowhere"}}`:              "a/after: after: what follows now",
		`{"not":5}`:                              "not: a filter must be an object, not a number",
		`{"not":[{"a":1}]}`:                      "not: a filter must be an object, not a list",
		`{"not":{}}`:                             "not: this filter is empty",
		`{"any":{"a":1}}`:                        "any: any takes a list of filters, not an object (write any: [{a: 1}, {b: 2}])",
		`{"all":[]}`:                             "all: all needs at least one filter",
		`{"any":[{},5]}`:                         "any/0: this filter is empty: it would hold for everything; any/1: a filter must be an object",
		`{"a":[1],"not":{"b":{"x":1}}}`:          "a: a property cannot be compared with a list (write {in: [...]} for one of several values); not/b/x: there is no operator \"x\"",
		`{"` + strings.Repeat("a", 257) + `":1}`: ": the path of a property",
		strings.Repeat(`{"not":`, 140) + `{"a":1}` + strings.Repeat("}", 140): "not: nested more than 64 levels",
	} {
		n, err := plain(doc)
		if err != nil {
			t.Fatal(err)
		}
		f, errs := filter.Compile(n)
		var told []string
		for _, e := range errs {
			line := strings.Join(e.Path, "/") + ": " + e.Error()
			if e.Hint != "" {
				line += " (" + e.Hint + ")"
			}
			told = append(told, line)
		}
		if got := strings.Join(told, "; "); f != nil || !strings.Contains(got, want) {
			t.Errorf("%.60s:\n got %s\nwant %s", doc, got, want)
		}
	}
	if f, errs := filter.Compile([]filter.Member{{Name: "a", Value: json.Number("0x10")}}); f != nil || len(errs) != 1 {
		t.Errorf("0x10: got %v", errs)
	}
}

func TestEqualities(t *testing.T) {
	f := compile(t, `{"a":1,"b":{"in":["x","y"],"ne":"z"},"not":{"c":1},"any":[{"d":1}],"all":[{"e":true},{"f":{"gt":1}}]}`)
	var got []string
	for _, e := range f.Equalities() {
		got = append(got, fmt.Sprint(e.Path, len(e.Values)))
	}
	if diff := cmp.Diff([]string{"a1", "b2", "e1"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestExplain(t *testing.T) {
	f := compile(t, `{"a":{"gte":5,"exists":true},"not":{"b":"x"},"any":[{"c":{"in":[1,"y"]}},{"d":true}],"e":{"before":"now"}}`)
	var got []string
	for _, c := range f.Explain(object(t, `{"a":7,"b":null,"c":"y","d":"no"}`), now) {
		got = append(got, fmt.Sprintf("%*s%s %s %s | %s %s %t", 2*c.Depth, "", c.Path, c.Op, c.Want, c.Value, c.Found, c.Held))
	}
	want := []string{
		`a gte 5 | 7 comparable true`,
		`a exists true | 7 comparable true`,
		` not  |   true`,
		`  b eq "x" | null null false`,
		` any  |   true`,
		`   all  |   true`,
		`    c in [1,"y"] | "y" comparable true`,
		`   all  |   false`,
		`    d eq true | "no" other type false`,
		`e before "now" |  missing false`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func FuzzCompile(f *testing.F) {
	for _, seed := range []string{
		`{"a":{"gte":5},"not":{"b":"x"},"any":[{"c":{"in":[1,"y"]}},{"d":true}],"e":{"before":"now-7d"}}`, `{"a":{"matches":"(a|b)*"}}`, `{"any":[[]]}`,
	} {
		f.Add(seed, `{"a":7,"b":null,"c":"y","d":[1],"e":1780000000}`)
	}
	f.Fuzz(func(t *testing.T, doc, props string) {
		n, err := plain(doc)
		v, invalid := event.ParseValue([]byte(props))
		if err != nil || invalid != nil {
			return
		}
		compiled, errs := filter.Compile(n)
		if (compiled == nil) != (len(errs) > 0) {
			t.Fatalf("%q: %v and %v", doc, compiled, errs)
		}
		if compiled == nil {
			return
		}
		held := true
		for _, c := range compiled.Explain(v, now) {
			held = held && (c.Held || c.Depth > 0)
		}
		if got := compiled.Match(v, now); got != held {
			t.Fatalf("%q for %q: %t, but explained as %t", doc, props, got, held)
		}
	})
}

func BenchmarkMatch(b *testing.B) {
	v := object(b, `{"cart_id":"c-18231","value":129.95,"qty":5,"currency":"EUR","category":"shoes","item":{"sku":"A-1","brand":"acme"},"tags":["sale","new"],"seen":"2026-05-28T20:26:39Z"}`)
	for _, doc := range []string{
		`{"value":{"gte":100},"category":{"in":["shoes","bags"]}}`, `{"qty":{"gte":1}}`, `{"category":"shoes"}`, `{"item.brand":"acme"}`, `{"tags":{"contains":"new"}}`,
		`{"seen":{"after":"now-7d"}}`, `{"category":{"matches":"^sho"}}`, `{"category":{"in":["1","2","3","4","5","6","7","8","shoes"]}}`,
	} {
		b.Run(doc, func(b *testing.B) {
			f := compile(b, doc)
			b.ReportAllocs()
			for b.Loop() {
				if !f.Match(v, now) {
					b.Fatal("it holds")
				}
			}
		})
	}
}
