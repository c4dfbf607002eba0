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

// masked stands for a secret.
const masked = "********"

// Show writes the effective configuration as YAML with secrets masked, each value with its origin in a comment where
// origin is true (`vigil config show --origin`).
func (l *Loaded) Show(w io.Writer, origin bool) error {
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
		set, isMap := k.value.Interface().(map[string]string)
		if !isMap || len(set) == 0 {
			l.line(&out, indent+name+": "+k.yaml(), k.path, origin)
			continue
		}
		fmt.Fprintf(&out, "%s%s:\n", indent, name)
		for _, member := range slices.Sorted(maps.Keys(set)) {
			value := set[member]
			if secretProperty(member) {
				value = masked
			}
			l.line(&out, indent+"  "+member+": "+quoted(value), k.path+"."+member, origin)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (l *Loaded) line(out *strings.Builder, text, path string, origin bool) {
	if origin {
		text = fmt.Sprintf("%-48s # %s", text, l.Origins[path])
	}
	out.WriteString(text + "\n")
}

// yaml is the value as YAML in one line.
func (k key) yaml() string {
	switch v := k.value.Interface().(type) {
	case []string:
		if k.path == "kafka.brokers" && len(v) == 1 {
			return quoted(v[0])
		}
		words := make([]string, 0, len(v))
		for _, w := range v {
			words = append(words, quoted(w))
		}
		return "[" + strings.Join(words, ", ") + "]"
	case map[string]string:
		return "{}"
	case string:
		return quoted(v)
	default:
		return k.text()
	}
}

// quoted puts a text in quotes where YAML could take it for something else.
func quoted(text string) string {
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
