package config

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Schema is the JSON Schema of a configuration file (`vigil schema config`).
func Schema() []byte {
	c := Default()
	root := object()
	root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
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
	s := map[string]any{"description": k.doc}
	text := map[string]any{"type": "string"}
	switch v := k.value.Interface().(type) {
	case map[string]string:
		members := map[string]any{}
		for _, name := range propertyNames() {
			p, _ := findProperty(name)
			members[name] = map[string]any{"type": []string{"string", "number", "boolean"}, "description": cmp.Or(p.text, moved[name])}
		}
		s["type"], s["additionalProperties"], s["properties"] = []string{"object", "null"}, false, members
	case []string:
		s["anyOf"] = []any{text, map[string]any{"type": "array", "items": text}}
		s["default"] = v
	case int:
		s["type"], s["default"] = []string{"integer", "string"}, v
	case time.Duration:
		s["type"], s["default"] = []string{"string", "integer"}, formatDuration(v)
		s["pattern"] = `^(0|([0-9]+(ms|s|m|h|d|w))+|.*\$\{.*)$`
	default:
		s["type"], s["default"] = "string", v
		if k.oneOf != nil {
			s["enum"] = k.oneOf
		}
	}
	return s
}

//go:embed reference.md.tmpl
var referenceText string

// Reference is docs/configuration.md.
func Reference() []byte {
	var rows, props strings.Builder
	c := Default()
	for _, k := range keys(&c) {
		value := k.yaml()
		if k.path == "instance" {
			value = "the host name"
		}
		fmt.Fprintf(&rows, "| `%s` | `%s` | `%s` | %s |\n", k.path, value, k.variable(), strings.ReplaceAll(k.doc, "'", "`"))
	}
	for _, p := range properties {
		name := "`" + p.name + "`"
		if p.alias != "" {
			name += ", `" + p.alias + "`"
		}
		fmt.Fprintf(&props, "| %s | %s | %s |\n", name, strings.Trim(strings.Join(p.values, ", "), ", "), p.text)
	}
	return []byte(strings.NewReplacer("{{keys}}\n", rows.String(), "{{properties}}\n", props.String()).Replace(referenceText))
}
