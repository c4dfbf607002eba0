package source_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vigil/source"
)

func TestParse(t *testing.T) {
	for file, want := range map[string]string{
		"on: 1\nyes: no\n":                                             `{"on":1,"yes":"no"}`,
		"a: [1.0, 1e3, 0x10, 1_000, .5, +7, -0]":                       `{"a":[1.0,1e3,16,1000,0.5,7,-0]}`,
		"a: 99999999999999999999999":                                   `{"a":99999999999999999999999}`,
		"a: \"99999999999999999999999\"":                               `{"a":"99999999999999999999999"}`,
		"a: 2026-01-01\nb: 02:30\nc: -1d":                              `{"a":"2026-01-01","b":"02:30","c":"-1d"}`,
		"a: ~\nb:\nc: null":                                            `{"a":null,"b":null,"c":null}`,
		"a: |\n  x\n  y\nb: >\n  x\n  y\n":                             `{"a":"x\ny\n","b":"x y\n"}`,
		"a: \"\\u00e9 \\n\"\nb: '{{ x }}'":                             `{"a":"é \n","b":"{{ x }}"}`,
		"- a: 1\n  b: 2\n-\n  c: 3\n":                                  `[{"a":1,"b":2},{"c":3}]`,
		"%YAML 1.2\n---\na: 1\n":                                       `{"a":1}`,
		"---\na: 1\n...\n":                                             `{"a":1}`,
		"# c\na: {b: 1, on: x}\n":                                      `{"a":{"b":1,"on":"x"}}`,
		"\ufeffa: 1\n":                                                 `{"a":1}`,
		"\ufeff{\"a\":1}":                                              `{"a":1}`,
		"a: x\r\nb:\r\n  - 'y'\r\n  - z # c\r\nd: |\r\n  p\r\n  q\r\n": `{"a":"x","b":["y","z"],"d":"p\nq\n"}`,
		"true: 1\n5: 2\n":                                              `{"5":2,"true":1}`,
		"{\n\t\"b\": [1.50, \"\\ud83d\\ude00<\"],\n\t\"a\": null}":     `{"a":null,"b":[1.50,"😀<"]}`,
	} {
		n, r := source.Parse("f", []byte(file))
		if got := string(n.AppendJSON(nil)); got != want || len(r.Problems()) > 0 {
			t.Errorf("%q: got %s, %v, want %s", file, got, r.Problems(), want)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, file := range []string{
		"a:\n  - x\n  - {é: y,  z: \"w\"}\n",
		"{\"a\":\n  [ \"x\",\n   {\"é\": \"y\",\n\t\t\"z\": \"w\"}]}",
	} {
		n, _ := source.Parse("f", []byte(file))
		var got []string
		var walk func(n *source.Node)
		walk = func(n *source.Node) {
			got = append(got, fmt.Sprintf("%v %d:%d", n.Kind, n.Line, n.Col))
			for _, element := range n.Items {
				walk(element)
			}
			for _, f := range n.Fields {
				got = append(got, fmt.Sprintf("%s %d:%d", f.Name, f.Line, f.Col))
				walk(f.Value)
			}
		}
		walk(n)
		want := "an object 1:1, a 1:1, a list 2:3, a text 2:5, an object 3:5, é 3:6, a text 3:9, z 3:13, a text 3:16"
		if strings.HasPrefix(file, "{") {
			want = "an object 1:1, a 1:2, a list 2:3, a text 2:5, an object 3:4, é 3:5, a text 3:10, z 4:3, a text 4:8"
		}
		if diff := cmp.Diff(want, strings.Join(got, ", ")); diff != "" {
			t.Errorf("%q: %s", file, diff)
		}
	}
}

func TestProblems(t *testing.T) {
	deep := strings.Repeat("[", 70) + strings.Repeat("]", 70)
	for file, want := range map[string]string{
		"":                               "f:1:1: error: empty: the file is empty",
		"# only\n":                       "f:1:1: error: empty: the file is empty",
		"a: 1\n---\nb: 2\n":              "f:3:1: error: documents: a file holds one document; this begins another",
		"a: 1\nb:\n  c: 1\n  c: 2\na: 3": "f:4:3: error: duplicate_field: \"c\" is already set on line 3\nf:5:1: error: duplicate_field: \"a\" is already set on line 1",
		`{"a":1,"a":2}`:                  "f:1:8: error: duplicate_field: \"a\" is already set on line 1",
		"a: &x 5\nb: *x\n":               "f:1:4: error: anchor: anchors and aliases are not read; write it out\nf:2:4: error: anchor: anchors and aliases are not read; write it out",
		"<<: {a: 1}\n":                   "f:1:1: error: anchor: merge keys, anchors and aliases are not read; write it out",
		"a: !!str 5":                     "f:1:4: error: tag: tags are not read; put a text in quotes",
		"a: .inf\nb: .nan":               "f:1:4: error: number: .inf is no JSON number\nf:2:4: error: number: .nan is no JSON number",
		"a: [1":                          "f:1:4: error: syntax: sequence end token ']' not found",
		"x: 5\n y: 6":                    "f:1:4: error: syntax: mapping value is not allowed in this context",
		"a: \xff":                        "f:1:1: error: encoding: the file is not UTF-8",
		"a: " + deep:                     "f:1:68: error: too_deep: nested more than 64 levels",
		deep:                             "f:1:66: error: too_deep: nested more than 64 levels",
		strings.Repeat("a", 256<<10+1):   "f:1:1: error: too_large: a file is at most 256 KiB, this one has 262145 bytes",
	} {
		_, r := source.Parse("f", []byte(file))
		var got []string
		for _, p := range r.Problems() {
			got = append(got, p.String())
		}
		if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%.40q: %s", file, diff)
		}
	}
}

func TestExcerpt(t *testing.T) {
	n, r := source.Parse("f", []byte("a: 1\nbé: [x, wrong]\n"))
	r.Fail(n.Field("bé").Items[1], "code", "message %d\nhint", 5)
	want := source.Problem{
		File: "f", Line: 2, Col: 9, Severity: source.Error, Code: "code", Message: "message 5", Hint: "hint",
		Excerpt: "   2 | bé: [x, wrong]\n     |         ^",
	}
	if diff := cmp.Diff([]source.Problem{want}, r.Problems()); diff != "" {
		t.Error(diff)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"within", "did", "did_not", "property", "id", "webhook"}
	for name, want := range map[string]string{
		"witin": "within", "withni": "within", "Within": "within", "didnot": "did_not", "properties": "property", "x": "",
		"webhok": "webhook", "window": "", "di": "did", strings.Repeat("w", 100): "",
	} {
		if got := source.Nearest(name, names); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// FuzzParse wants no panic, valid JSON of whatever is read, and the same tree from that JSON.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"a: 1\nb: [x, {c: d}]\n", `{"a":[1.0,"x"],"b":{"c":null}}`, "a: &x 5\nb: *x\n", "a: |\n  x\n", "- - - 1", "? a\n: b", "a: [1",
		"a: 'x", "<<: *a", "%YAML 1.2\n---\n", "\ta: 1", "a: !!binary x", "{a: b, c}", "\"a\": 0x_1\n", "a: 1_\nb: 0o7\nc: 0b1\nd: -.5",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		n, r := source.Parse("f", src)
		for _, p := range r.Problems() {
			if p.Code == "" || p.Message == "" {
				t.Errorf("%+v", p)
			}
		}
		if n == nil || r.Failed() {
			return
		}
		doc := n.AppendJSON(nil)
		if !json.Valid(doc) {
			t.Fatalf("%q becomes %s", src, doc)
		}
		again, r := source.Parse("f", doc)
		if r.Failed() || string(again.AppendJSON(nil)) != string(doc) {
			t.Errorf("%s becomes %s, %v", doc, again.AppendJSON(nil), r.Problems())
		}
	})
}
