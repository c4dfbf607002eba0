package event_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"vigil/event"
)

func TestParseValueErrors(t *testing.T) {
	for doc, want := range map[string]string{
		"":                  "parse JSON: byte 0: the end, not a value",
		`{"a":tru}`:         "parse JSON: byte 5: not true",
		`{"a":1,}`:          "parse JSON: byte 7: not a name",
		`{"a" 1}`:           "parse JSON: byte 5: not a colon",
		`[1 2]`:             "parse JSON: byte 3: not a comma or the end of an object or list",
		`[1`:                "parse JSON: byte 2: the end, not a comma or the end of an object or list",
		`"\u12g4"`:          "parse JSON: byte 5: not a hexadecimal digit",
		`"\x"`:              "parse JSON: byte 2: not an escape",
		"\"\n\"":            "parse JSON: byte 1: not a character of a text",
		`"a`:                "parse JSON: byte 2: the end, not the end of a text",
		`[01]`:              "parse JSON: byte 1: not a number",
		`{} {}`:             "parse JSON: byte 3: more after the end",
		"\"\xff\"":          "parse JSON: not valid UTF-8",
		deepList(301, "1"):  "parse JSON: nested deeper than 300 levels",
		deepList(299, "01"): "parse JSON: byte 299: not a number",
	} {
		if _, err := event.ParseValue([]byte(doc)); err == nil || err.Error() != want {
			t.Errorf("%.60q: got %v, want %s", doc, err, want)
		}
	}
	if _, err := event.ParseValue([]byte(deepList(299, "1"))); err != nil {
		t.Error(err)
	}
}

func deepList(depth int, inner string) string {
	return strings.Repeat("[", depth) + inner + strings.Repeat("]", depth)
}

func FuzzParseValue(f *testing.F) {
	for _, seed := range []string{
		`{"a":[1,-0.5e+10,"\u00e9\n",true,false,null,{}]}`, `[1,]`, `"\ud800"`, `"\ud83d\ude00"`, "\"\x1f\"", `{"a":1}x`, ` [ ] `, `1e`, `-`, `"\`, `{"\u0061":1,"a":2}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, doc string) {
		v, err := event.ParseValue([]byte(doc))
		if err != nil && strings.Contains(err.Error(), "deeper") {
			return
		}
		if want := json.Valid([]byte(doc)) && utf8.ValidString(doc); (err == nil) != want {
			t.Fatalf("%q: valid %t, but %v", doc, want, err)
		}
		if err != nil {
			return
		}
		out := v.AppendJSON(nil)
		again, err := event.ParseValue(out)
		if err != nil || string(again.AppendJSON(nil)) != string(out) {
			t.Fatalf("%q became %q, which does not read back: %v", doc, out, err)
		}
		if strings.Contains(strings.ToLower(doc), `\ud`) {
			return // halves of surrogate pairs
		}
		var before, after any
		if json.Unmarshal([]byte(doc), &before) == nil && json.Unmarshal(out, &after) == nil && !reflect.DeepEqual(before, after) {
			t.Fatalf("%q became %q, which means something else", doc, out)
		}
	})
}

func TestEscapes(t *testing.T) {
	for doc, want := range map[string]string{
		`"a\"\\\/\b\f\n\r\tz"`:        "a\"\\/\b\f\n\r\tz",
		`"\u00e9\u0000\ud83d\ude00!"`: "\u00e9\x00\U0001f600!",
		`"\ud83d"`:                    `\ud83d`,
		`"\uD83Dx\ude00"`:             `\uD83Dx\ude00`,
		`"\ud83d\u0041"`:              "\ufffd",
		`"\ud83d\n"`:                  "\\ud83d\n",
	} {
		v, err := event.ParseValue([]byte(doc))
		if err != nil || v.Text() != want {
			t.Errorf("%s: got %q, %v, want %q", doc, v.Text(), err, want)
		}
	}
	v, err := event.ParseValue([]byte(` { "\u0061b" : "x\ty" , "c":"d" } `))
	if got := string(v.AppendJSON(nil)); err != nil || got != `{"ab":"x\ty","c":"d"}` || v.Get("ab").Text() != "x\ty" {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestGetIsStable checks that the member found does not depend on what was asked before.
func TestGetIsStable(t *testing.T) {
	for _, first := range []event.Path{"missing", "a"} {
		v, err := event.ParseValue([]byte(`{"\u0061":1,"a":2}`))
		if err != nil {
			t.Fatal(err)
		}
		v.Get(first)
		if got := v.Get("a").NumberText(); got != "1" {
			t.Errorf("after %q: got %s, want the first of equal names", first, got)
		}
	}
}

func TestGet(t *testing.T) {
	v, err := event.ParseValue([]byte(`{"a.b":1,"a":{"b":2,"c.d":3,"c":{"d":4,"e":5},"n":null},"l":[7],"":8,"x.y":{"z":9},"x":{"y":{"w":10}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[event.Path]string{
		"a.b": "1", "a.c.d": "3", "a.c.e": "5", "a.n": "null", "a.n.x": "null", "l": "[7]", "l.0": "null", "": "8", "x.y.z": "9", "x.y.w": "10",
		"nope": "null", "a.": "null", ".a": "null", "a..b": "null",
	} {
		if got := string(v.Get(path).AppendJSON(nil)); got != want {
			t.Errorf("%s: got %s, want %s", path, got, want)
		}
	}
	if v.Get("a.n").Kind() != event.Null || v.Get("l.0").Kind() != event.Missing {
		t.Error("null and missing are told apart")
	}
}

func BenchmarkGetMissing(b *testing.B) {
	v, err := event.ParseValue([]byte(`{"a":{"b":1},"c":2}`))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		v.Get("a.x.y")
	}
}
