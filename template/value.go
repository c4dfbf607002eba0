package template

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"vigil/event"
	"vigil/source"
)

// MaxOutput bounds a rendered body and the result of every filter, in bytes.
const MaxOutput = 1 << 20

// ErrTooLarge is the error for what would grow beyond MaxOutput.
var ErrTooLarge = errors.New("the result is larger than 1 MiB")

// number is a JSON number as it was written. It is a struct so that the expression library takes it for nothing else.
type number struct{ text string }

func integer(v int64) number { return number{strconv.FormatInt(v, 10)} }

// float makes a number; it errs on what JSON cannot say.
func float(v float64) (number, error) {
	if math.IsInf(v, 0) || math.IsNaN(v) {
		return number{}, errors.New("the result is no number")
	}
	if v == math.Trunc(v) && math.Abs(v) < 1e15 {
		return integer(int64(v)), nil
	}
	return number{strconv.FormatFloat(v, 'g', -1, 64)}, nil
}

// Integer is a whole number as a value.
func Integer(v int64) any { return integer(v) }

// Value reads a JSON document into what outputs are made of: nil, bool, string, a number that keeps its text, []any and
// map[string]any.
func Value(doc []byte) (any, error) {
	v, err := event.ParseValue(doc)
	if err != nil {
		return nil, err
	}
	return FromJSON(v), nil
}

// FromJSON is a JSON value as what outputs are made of.
func FromJSON(v event.Value) any {
	switch v.Kind() {
	case event.Bool:
		return v.True()
	case event.Number:
		return number{v.NumberText()}
	case event.String:
		return v.Text()
	case event.List:
		list := []any{}
		for _, element := range v.Items() {
			list = append(list, FromJSON(element))
		}
		return list
	case event.Object:
		members := map[string]any{}
		v.Each(func(name []byte, member event.Value) {
			if _, taken := members[string(name)]; !taken {
				members[string(name)] = FromJSON(member)
			}
		})
		return members
	default:
		return nil
	}
}

// AppendValue writes what Value has read as JSON, members sorted by name.
func AppendValue(dst []byte, v any) []byte { return appendJSON(dst, v) }

// appendJSON writes a value as JSON, members sorted by name.
func appendJSON(dst []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(dst, v)
	case number:
		return append(dst, v.text...)
	case int:
		return strconv.AppendInt(dst, int64(v), 10)
	case float64:
		return append(dst, fmt.Sprint(v)...)
	case string:
		return source.AppendString(dst, v)
	case []any:
		dst = append(dst, '[')
		for i, element := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(dst, element)
		}
		return append(dst, ']')
	case map[string]any:
		dst = append(dst, '{')
		for i, name := range names(v) {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendJSON(append(source.AppendString(dst, name), ':'), v[name])
		}
		return append(dst, '}')
	default:
		return append(dst, "null"...)
	}
}

func names(object map[string]any) []string {
	sorted := make([]string, 0, len(object))
	for name := range object {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}

// text is a value inside text: nothing for a missing one, JSON for lists and objects.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return string(appendJSON(nil, v))
	}
}

// size is about the number of bytes of v as JSON; it stops counting beyond most.
func size(v any, most int) int {
	n := 4
	switch v := v.(type) {
	case string:
		n = len(v) + 2
	case number:
		n = len(v.text)
	case []any:
		for i := 0; i < len(v) && n <= most; i++ {
			n += 1 + size(v[i], most-n)
		}
	case map[string]any:
		for name, member := range v {
			if n += len(name) + 4 + size(member, most-n); n > most {
				break
			}
		}
	}
	return n
}
