package config

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// key is one setting: its path in the file, where its value lives, and what the tags of its field say.
type key struct {
	path    string
	value   reflect.Value
	doc     string
	oneOf   []string // the closed list of values; nil: any
	allowed string   // least..most of a number or a duration; of a text, in words
	numbers bool     // the entries of the list may be written as numbers
}

// variable is the key's name in the environment.
func (k key) variable() string { return variable(k.path) }

func variable(path string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// keys are the settings of c, in the order of the file.
func keys(c *Config) []key { return appendKeys(nil, "", reflect.ValueOf(c).Elem()) }

func appendKeys(dst []key, prefix string, section reflect.Value) []key {
	for i := range section.NumField() {
		tag := section.Type().Field(i).Tag
		k := key{path: prefix + tag.Get("yaml"), value: section.Field(i), doc: tag.Get("doc"), allowed: tag.Get("range")}
		_, k.numbers = tag.Lookup("numbers")
		if words, closed := tag.Lookup("oneof"); closed {
			k.oneOf = strings.Split(words, ",")
		}
		if k.value.Kind() == reflect.Struct {
			dst = appendKeys(dst, k.path+".", k.value)
		} else {
			dst = append(dst, k)
		}
	}
	return dst
}

// paths are the names of keys.
func paths(keys []key) []string {
	names := make([]string, 0, len(keys))
	for _, k := range keys {
		names = append(names, k.path)
	}
	return names
}

// setText takes the value of a variable, a flag or a text of the file. Lists are separated by commas, members are
// name=value. The error completes a sentence that begins with the key.
func (k key) setText(text string) error {
	switch k.value.Interface().(type) {
	case Properties:
		for _, member := range splitList(text) {
			name, value, ok := strings.Cut(member, "=")
			if !ok {
				return errors.New("must be name=value,name=value")
			}
			k.setMember(strings.TrimSpace(name), value)
		}
	case []string:
		k.value.Set(reflect.ValueOf(splitList(text)))
	case int:
		v, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("must be a whole number, got %q", text)
		}
		k.value.SetInt(int64(v))
	case time.Duration:
		d, err := parseDuration(text)
		if err != nil {
			return err
		}
		k.value.SetInt(int64(d))
	default:
		k.value.SetString(text)
	}
	return nil
}

func (k key) setMember(name, value string) {
	if k.value.IsNil() {
		k.value.Set(reflect.ValueOf(Properties{}))
	}
	k.value.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(value))
}

// text is the value as setText takes it.
func (k key) text() string {
	switch v := k.value.Interface().(type) {
	case Properties:
		members := make([]string, 0, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			members = append(members, name+"="+v[name])
		}
		return strings.Join(members, ",")
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		return formatDuration(v)
	default:
		return fmt.Sprint(v)
	}
}

// bounds are least and most of a number, or of a duration in nanoseconds.
func (k key) bounds() (least, most int64) {
	from, to, _ := strings.Cut(k.allowed, "..")
	return k.number(from), k.number(to)
}

func (k key) number(text string) int64 {
	if k.value.Type() == reflect.TypeFor[time.Duration]() {
		d, err := parseDuration(text)
		if err != nil { // impossible: the tags are tested
			return 0
		}
		return int64(d)
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil { // impossible: the tags are tested
		return 0
	}
	return n
}

func splitList(text string) []string {
	list := []string{}
	for part := range strings.SplitSeq(text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list
}
