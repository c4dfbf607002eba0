package template_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"vigil/source"
	"vigil/template"
)

// compile makes a tree of one text; nil where it is refused.
func compile(text string) (*template.Tree, []source.Problem) {
	_, r := source.Parse("f", []byte("a: 1"))
	tree := template.NewCompiler(r).Tree(&source.Node{Kind: source.String, Text: text}, "leaf")
	if r.Failed() {
		return nil, r.Problems()
	}
	return tree, nil
}

func scope(profile any) *template.Scope {
	all := func() map[string]any {
		return map[string]any{"user": "u", "key": "k", "profile": profile, "fire": map[string]any{"at": "2026-01-01T00:00:00.000Z"}}
	}
	return template.NewScope(template.Vars{All: all}, 1767225600000, time.UTC)
}

func TestSameBytes(t *testing.T) {
	doc, err := template.Value([]byte(`{"b":[1.0,{"z":1,"y":"\u2028"}],"a":12345678901234567890,"a":2}`))
	if err != nil {
		t.Fatal(err)
	}
	tree, problems := compile("{{ profile }}")
	if tree == nil {
		t.Fatal(problems)
	}
	for range 20 {
		got, err := tree.AppendJSON(nil, scope(doc))
		if want := `{"a":12345678901234567890,"b":[1.0,{"y":"\u2028","z":1}]}`; err != nil || string(got) != want {
			t.Fatalf("got %s, %v, want %s", got, err, want)
		}
	}
}

// TestFilters gives each filter what it may not expect; a missing value stays missing.
func TestFilters(t *testing.T) {
	doc, err := template.Value([]byte(`{"list":[3,"x",null],"empty":[],"object":{"a":1},"text":"12","word":"w","no":false,"big":9223372036854775807,"less":-7}`))
	if err != nil {
		t.Fatal(err)
	}
	for output, want := range map[string]string{
		"lost | upcase":             "null",
		"lost | plus: 1":            "null",
		"lost | date: '%Y'":         "null",
		"lost | split: ','":         "null",
		"lost | first":              "null",
		"lost | round":              "null",
		"lost | append: 'x'":        `"x"`,
		"lost | size":               "0",
		"lost | json":               `"null"`,
		"list | first":              "3",
		"list | last":               "null",
		"list | join":               `"3 x "`,
		"list | upcase":             `"[3,\"X\",NULL]"`,
		"empty | first":             "null",
		"empty | default: 'none'":   `"none"`,
		"object | size":             "1",
		"object | join: ','":        `{"a":1}`,
		"object | default: 1":       `{"a":1}`,
		"no | default: 'x'":         `"x"`,
		"text | plus: 1":            "13",
		"text | times: 0.5":         "6",
		"big | plus: 1":             "9.223372036854775807e+18",
		"big | minus: 0":            "9223372036854775807",
		"less | divided_by: 2":      "-4",
		"less | divided_by: -1":     "7",
		"less | divided_by: 2.0":    "-3.5",
		"text | round: 2":           "12",
		"word | plus: 1":            "error: {{ profile.word | plus: 1 }}: plus: \"w\" is no number",
		"text | divided_by: 0":      "error: {{ profile.text | divided_by: 0 }}: divided_by: the result is no number",
		"word | date: '%Y'":         "error: {{ profile.word | date: '%Y' }}: date: \"w\" is no time",
		"word | truncate: 'x'":      "error: {{ profile.word | truncate: 'x' }}: truncate: \"x\" is no whole number",
		"word | truncate: 0":        `"..."`,
		"word | truncate: 0, ''":    `""`,
		"word | replace: '', 'x'":   "error: {{ profile.word | replace: '', 'x' }}: replace: there is nothing to replace in an empty text",
		"word | round: 16":          "error: {{ profile.word | round: 16 }}: round: decimals must be a whole number from 0 to 15",
		"text.size":                 "2",
		"big.size":                  "null",
		"list[-1]":                  "null",
		"list[0][0]":                "null",
		"no.deep.deeper":            "null",
		"list[profile.lost]":        "null",
		"object[profile['lost']].x": "null",
	} {
		tree, problems := compile("{{ profile." + output + " }}")
		if tree == nil {
			t.Errorf("%s: %v", output, problems)
			continue
		}
		got, err := tree.AppendJSON(nil, scope(doc))
		text := string(got)
		if err != nil {
			text = "error: " + strings.TrimPrefix(err.Error(), "leaf: ")
		}
		if output == "big | plus: 1" {
			text = strings.Replace(text, "9.223372036854776e+18", want, 1)
		}
		if text != want {
			t.Errorf("%s: got %s, want %s", output, text, want)
		}
	}
}

// FuzzRender wants no panic, valid JSON or an error, at most 1 MiB, and the same again.
func FuzzRender(f *testing.F) {
	for _, seed := range []string{
		"plain", "{{ profile }}", "a {{ profile.a | default: 'x' }} b", "{{ profile['a.b'][0].c | upcase | truncate: 5 }}", "{{ 1..5 }}", "{{ (1..5) }}",
		"{{ \"a\\\"b\" | replace: 'a', \"}}\" }}", "{{ profile.n | plus: 1 | divided_by: 0 }}", "{{ 'now' | date: '%Y-%-d' }}", "{{{ user }}}", "{{ user", "{%",
		"{{ profile.a contains 'x' }}", "{{ -5 | times: -9223372036854775808 }}", "{{ user | split: '' | join: user }}", "{{ nil }}", "{{ profile.é }}", "{{ %assign x }}",
	} {
		f.Add(seed, `{"a":{"b":["c",1.5,null]},"n":5,"a.b":[{"c":"é"}]}`)
	}
	f.Fuzz(func(t *testing.T, text, doc string) {
		profile, err := template.Value([]byte(doc))
		tree, problems := compile(text)
		if err != nil || tree == nil {
			for _, p := range problems {
				if p.Message == "" {
					t.Errorf("%+v", p)
				}
			}
			return
		}
		out, err := tree.AppendJSON(nil, scope(profile))
		if err != nil {
			return
		}
		if len(out) > template.MaxOutput || !json.Valid(out) {
			t.Fatalf("%q makes %d bytes: %.200s", text, len(out), out)
		}
		if again, err := tree.AppendJSON(nil, scope(profile)); err != nil || string(again) != string(out) {
			t.Errorf("%q: once %s, then %s", text, out, again)
		}
	})
}
