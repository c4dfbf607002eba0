package config

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite generated files")

// TestGenerated holds the schema and the documentation to the tags of the fields and the table of properties.
func TestGenerated(t *testing.T) {
	template, err := os.ReadFile("testdata/configuration.md.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string][]byte{
		"config.schema.json":       wantSchema(),
		"../docs/configuration.md": wantReference(string(template)),
	} {
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is out of date, run go test ./config -update: %s", path, diff)
		}
	}
}

// TestTags wants every key to say what it is and what it may be, and every default to be allowed.
func TestTags(t *testing.T) {
	c := Default()
	for _, k := range keys(&c) {
		if !strings.HasSuffix(k.doc, ".") || k.allowed == "" && k.oneOf == nil {
			t.Errorf("%s: no sentence, or nothing said of its values", k.path)
		}
		if kind := k.kind(); kind != "number" && kind != "duration" {
			continue
		}
		if least, most := k.bounds(); least >= most || k.value.Int() < least || k.value.Int() > most {
			t.Errorf("%s: range %s", k.path, k.allowed)
		}
	}
	for _, p := range properties {
		if !strings.HasSuffix(p.text, ".") || p.least > p.most {
			t.Errorf("%s: no sentence, or an empty range", p.name)
		}
	}
}

// wantSchema is config.schema.json.
func wantSchema() []byte {
	c := Default()
	root := object()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	root["$id"] = "https://vigil.invalid/schema/config.json"
	root["title"] = "vigil.yaml"
	for _, k := range keys(&c) {
		at := root
		names := strings.Split(k.path, ".")
		for _, name := range names[:len(names)-1] {
			members := at["properties"].(map[string]any)
			if members[name] == nil {
				members[name] = object()
			}
			at = members[name].(map[string]any)
		}
		at["properties"].(map[string]any)[names[len(names)-1]] = k.schema()
	}
	raw, err := json.MarshalIndent(root, "", "  ")
	if err != nil { // impossible: maps, texts and numbers
		return nil
	}
	return append(raw, '\n')
}

func object() map[string]any {
	return map[string]any{"type": []string{"object", "null"}, "additionalProperties": false, "properties": map[string]any{}}
}

func (k key) schema() map[string]any {
	s := map[string]any{"description": k.doc + " Allowed: " + strings.Trim(k.allowed+strings.Join(k.oneOf, ", "), " ") + "."}
	text := map[string]any{"type": "string"}
	switch v := k.value.Interface().(type) {
	case Properties:
		s["type"], s["additionalProperties"], s["properties"] = []string{"object", "null"}, false, propertySchemas()
		return s
	case []string:
		entry := text
		if k.numbers {
			entry = map[string]any{"type": []string{"integer", "string"}}
		}
		s["anyOf"] = []any{text, map[string]any{"type": []string{"array", "null"}, "items": entry}}
		s["default"] = v
	case int:
		least, most := k.bounds()
		s["anyOf"] = []any{map[string]any{"type": "integer", "minimum": least, "maximum": most}, referenceSchema(), map[string]any{"type": "null"}}
		s["default"] = v
	case time.Duration:
		written := map[string]any{"type": "string", "pattern": `^(0|([0-9]+(ms|s|m|h|d|w))+)$`}
		s["anyOf"] = []any{written, map[string]any{"const": 0}, referenceSchema(), map[string]any{"type": "null"}}
		s["default"] = formatDuration(v)
	default:
		s["type"], s["default"] = []string{"string", "null"}, v
		if k.oneOf != nil {
			s["anyOf"] = []any{map[string]any{"enum": k.oneOf}, referenceSchema(), map[string]any{"type": "null"}}
		}
	}
	return s
}

// referenceSchema is a text with ${env:NAME} or ${file:PATH} in it, which may become anything.
func referenceSchema() map[string]any {
	return map[string]any{"type": "string", "pattern": `\$\{(env|file):`}
}

// propertySchemas are the members of kafka.properties, under each of their names.
func propertySchemas() map[string]any {
	members := map[string]any{}
	for name, path := range moved {
		members[name] = map[string]any{"type": "string", "description": "The same as " + path + "."}
	}
	for _, p := range properties {
		s := map[string]any{"type": "string", "description": p.text}
		if p.most > 0 {
			s = map[string]any{"type": []string{"integer", "string"}, "minimum": p.least, "maximum": p.most, "description": p.text}
		}
		for _, name := range append([]string{p.name}, p.aliases...) {
			members[name] = s
		}
	}
	return members
}

// wantReference is docs/configuration.md.
func wantReference(template string) []byte {
	var rows, props strings.Builder
	c := Default()
	for _, k := range keys(&c) {
		value := "`" + k.yaml() + "`"
		if k.path == "instance" {
			value = "the host name"
		}
		allowed := strings.ReplaceAll(k.allowed, "'", "`")
		if k.oneOf != nil {
			allowed = "`" + strings.Join(k.oneOf, "` `") + "`"
		}
		fmt.Fprintf(&rows, "| `%s` | %s | %s | %s | %s |\n", k.path, k.kind(), value, allowed, strings.ReplaceAll(k.doc, "'", "`"))
	}
	for _, p := range properties {
		allowed := "text"
		switch {
		case p.values != nil:
			allowed = "`" + strings.Join(p.values, "` `") + "`"
		case p.most > 0:
			allowed = fmt.Sprintf("%d..%d", p.least, p.most)
		}
		names := "`" + strings.Join(append([]string{p.name}, p.aliases...), "`, `") + "`"
		fmt.Fprintf(&props, "| %s | %s | %s |\n", names, allowed, p.text)
	}
	fill := strings.NewReplacer("{{keys}}\n", rows.String(), "{{properties}}\n", props.String())
	return []byte(fill.Replace(template))
}

// kind is what the documentation calls the type of the value.
func (k key) kind() string {
	switch k.value.Interface().(type) {
	case Properties:
		return "map"
	case []string:
		return "list"
	case time.Duration:
		return "duration"
	case int:
		return "number"
	default:
		return "text"
	}
}
