package config

import (
	"fmt"
	"reflect"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"time"

	"vigil/source"
)

// key is one setting: its path in the file, where its value lives, and what the tags of its field say.
type key struct {
	path  string
	value reflect.Value
	doc   string
	oneOf []string // the closed list of values; nil: any
}

// variable is the key's name in the environment.
func (k key) variable() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

// keys are the settings of c, in the order of the file.
func keys(c *Config) []key { return appendKeys(nil, "", reflect.ValueOf(c).Elem()) }

func appendKeys(dst []key, prefix string, section reflect.Value) []key {
	for i := range section.NumField() {
		tag := section.Type().Field(i).Tag
		k := key{path: prefix + tag.Get("yaml"), value: section.Field(i), doc: tag.Get("doc")}
		if allowed, closed := tag.Lookup("oneof"); closed {
			k.oneOf = strings.Split(allowed, ",")
		}
		if k.value.Kind() == reflect.Struct {
			dst = appendKeys(dst, k.path+".", k.value)
		} else {
			dst = append(dst, k)
		}
	}
	return dst
}

// setNode takes the value of a file. A problem is noted in r.
func (k key) setNode(r *source.Reader, n *source.Node, expand func(*source.Node, string) string) {
	text := func(n *source.Node) string { return expand(n, n.Text) }
	switch k.value.Interface().(type) {
	case map[string]string:
		if !r.Is(n, source.Object, k.path) {
			return
		}
		for _, f := range n.Fields {
			if f.Value.Kind == source.Object || f.Value.Kind == source.List {
				r.Fail(f.Value, "wrong_type", "%s.%s must be a text, a number or a boolean, not %s", k.path, f.Name, f.Value.Kind)
				continue
			}
			k.setMember(f.Name, text(f.Value))
		}
	case []string:
		if n.Kind != source.List {
			if r.Is(n, source.String, k.path+" (or a list)") {
				k.value.Set(reflect.ValueOf(splitList(text(n))))
			}
			return
		}
		list := make([]string, 0, len(n.Items))
		for _, entry := range n.Items {
			if entry.Kind == source.Object { // host:9092 inside {...}
				r.Fail(entry, "wrong_type", "an entry of %s must be a text\nput it in quotes", k.path)
			} else if r.Is(entry, source.String, "an entry of "+k.path) {
				list = append(list, text(entry))
			}
		}
		k.value.Set(reflect.ValueOf(list))
	case int:
		if n.Kind == source.String || r.Is(n, source.Number, k.path) {
			k.setOrFail(r, n, text(n))
		}
	case time.Duration:
		if n.Kind == source.Number && n.Text == "0" || r.Is(n, source.String, k.path+" (a duration such as 100ms)") {
			k.setOrFail(r, n, text(n))
		}
	default:
		if r.Is(n, source.String, k.path) {
			k.setOrFail(r, n, text(n))
		}
	}
}

func (k key) setOrFail(r *source.Reader, n *source.Node, text string) {
	if err := k.setText(text); err != nil {
		r.Fail(n, "invalid_value", "%s %v", k.path, err)
	}
}

// setText takes the value of a variable or a flag. Lists are separated by commas, members are name=value. The error
// completes a sentence that begins with the key.
func (k key) setText(text string) error {
	switch k.value.Interface().(type) {
	case map[string]string:
		for _, member := range splitList(text) {
			name, value, ok := strings.Cut(member, "=")
			if !ok {
				return fmt.Errorf("must be name=value,name=value")
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
		k.value.Set(reflect.ValueOf(map[string]string{}))
	}
	k.value.SetMapIndex(reflect.ValueOf(name), reflect.ValueOf(value))
}

// text is the value as setText takes it.
func (k key) text() string {
	switch v := k.value.Interface().(type) {
	case map[string]string:
		members := make([]string, 0, len(v))
		for name, value := range v {
			members = append(members, name+"="+value)
		}
		sort.Strings(members)
		return strings.Join(members, ",")
	case []string:
		return strings.Join(v, ",")
	case time.Duration:
		return formatDuration(v)
	default:
		return fmt.Sprint(v)
	}
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

// units are those of the rule book, in the order in which a sum names them.
var units = []struct {
	name string
	size time.Duration
}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}, {"h", time.Hour}, {"m", time.Minute}, {"s", time.Second}, {"ms", time.Millisecond}}

var durationForm = regexp.MustCompile(`^(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?$`)

// parseDuration reads 500ms 30s 15m 2h 3d 1w and sums such as 1d12h; 0 needs no unit.
func parseDuration(text string) (sum time.Duration, err error) {
	counts := durationForm.FindStringSubmatch(text)
	if text != "0" && (counts == nil || text == "") {
		return 0, fmt.Errorf("must be a duration such as 500ms, 30s, 15m, 2h or 1d12h, got %q", text)
	}
	for i, u := range units {
		if counts != nil && counts[i+1] != "" {
			n, _ := strconv.ParseInt(counts[i+1], 10, 64) // digits, as matched
			sum += time.Duration(n) * u.size
		}
	}
	return sum, nil
}

// formatDuration writes what parseDuration reads.
func formatDuration(d time.Duration) string {
	text := d.String()
	for _, end := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, end) {
			text = text[:len(text)-2]
		}
	}
	if strings.Contains(text, ".") {
		return strconv.FormatInt(d.Milliseconds(), 10) + "ms"
	}
	return text
}
