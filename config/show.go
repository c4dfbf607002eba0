package config

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// stars stand for a secret.
const stars = "********"

// Show writes the effective configuration as YAML with secrets masked, each value with its origin in a comment where
// origin is true (`vigil config show --origin`).
func (l Loaded) Show(w io.Writer, origin bool) error {
	var out strings.Builder
	section := ""
	for _, k := range keys(&l.Config) {
		names := strings.Split(k.path, ".")
		parent, name := strings.Join(names[:len(names)-1], "."), names[len(names)-1]
		if parent != section && parent != "" && !strings.HasPrefix(section, parent+".") {
			fmt.Fprintf(&out, "%s%s:\n", strings.Repeat("  ", len(names)-2), names[len(names)-2])
		}
		section = parent
		indent := strings.Repeat("  ", len(names)-1)
		set, isMap := k.value.Interface().(Properties)
		if !isMap || len(set) == 0 {
			l.line(&out, indent+name+": "+k.yaml(), k.path, origin)
			continue
		}
		fmt.Fprintf(&out, "%s%s:\n", indent, name)
		shown := set.masked()
		for _, member := range slices.Sorted(maps.Keys(shown)) {
			l.line(&out, indent+"  "+member+": "+quoted(shown[member]), k.path+"."+member, origin)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (l Loaded) line(out *strings.Builder, text, path string, origin bool) {
	if origin {
		text = fmt.Sprintf("%-48s # %s", text, l.Origins[path])
	}
	out.WriteString(text + "\n")
}

// yaml is the value as YAML in one line.
func (k key) yaml() string {
	switch v := k.value.Interface().(type) {
	case []string:
		if slices.Equal(v, []string{Embedded}) {
			return Embedded
		}
		words := make([]string, 0, len(v))
		for _, w := range v {
			words = append(words, quoted(w))
		}
		return "[" + strings.Join(words, ", ") + "]"
	case Properties:
		return "{}"
	case string:
		return quoted(v)
	default:
		return k.text()
	}
}

// quoted puts a text in quotes where YAML could take it for something else, and keeps ${ from being a reference.
func quoted(text string) string {
	text = strings.ReplaceAll(text, "${", "$${")
	plain := strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/") == ""
	word := text != "" && (text[0] >= 'a' && text[0] <= 'z' || text[0] == '.' && strings.Contains(text, "/"))
	if plain && word && !slices.Contains([]string{"true", "false", "null", "yes", "no", "on", "off"}, text) {
		return text
	}
	raw, err := json.Marshal(text)
	if err != nil { // impossible for a string
		return strconv.Quote(text)
	}
	return string(raw)
}
