package template

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// filter makes a value of a value and arguments. A missing value stays missing unless the filter says what becomes of it.
type filter = func(in any, args ...any) (any, error)

// arity is how many arguments a filter takes.
type arity struct{ least, most int }

func (a arity) String() string {
	switch {
	case a.most == 0:
		return "no argument"
	case a.least == a.most:
		return fmt.Sprintf("%d argument(s)", a.least)
	default:
		return fmt.Sprintf("%d to %d arguments", a.least, a.most)
	}
}

// arities is the closed list of filters.
var arities = map[string]arity{
	"default": {1, 1}, "upcase": {}, "downcase": {}, "capitalize": {}, "strip": {}, "truncate": {1, 2}, "append": {1, 1},
	"prepend": {1, 1}, "replace": {2, 2}, "split": {1, 1}, "join": {0, 1}, "size": {}, "first": {}, "last": {},
	"round": {0, 1}, "plus": {1, 1}, "minus": {1, 1}, "times": {1, 1}, "divided_by": {1, 1}, "date": {1, 1}, "json": {},
	"url_encode": {},
}

func filterNames() []string {
	sorted := make([]string, 0, len(arities))
	for name := range arities {
		sorted = append(sorted, name)
	}
	slices.Sort(sorted)
	return sorted
}

// filters are those of one fire: date needs its time and zone.
type filters struct {
	at   time.Time
	zone *time.Location
}

func (f *filters) all() map[string]filter {
	return map[string]filter{
		"default":    orElse,
		"upcase":     ofText(strings.ToUpper),
		"downcase":   ofText(strings.ToLower),
		"capitalize": ofText(capitalize),
		"strip":      ofText(strings.TrimSpace),
		"url_encode": ofText(url.QueryEscape),
		"truncate":   truncate,
		"append":     func(in any, args ...any) (any, error) { return concat(text(in), text(args[0])) },
		"prepend":    func(in any, args ...any) (any, error) { return concat(text(args[0]), text(in)) },
		"replace":    replace,
		"split":      split,
		"join":       join,
		"size":       length,
		"first":      func(in any, _ ...any) (any, error) { return element(in, 0), nil },
		"last":       func(in any, _ ...any) (any, error) { return element(in, -1), nil },
		"json":       func(in any, _ ...any) (any, error) { return string(appendJSON(nil, in)), nil },
		"round":      round,
		"plus":       arithmetic(func(a, b float64) float64 { return a + b }, addInts),
		"minus":      arithmetic(func(a, b float64) float64 { return a - b }, func(a, b int64) (int64, bool) { return addInts(a, -b) }),
		"times":      arithmetic(func(a, b float64) float64 { return a * b }, multiplyInts),
		"divided_by": arithmetic(func(a, b float64) float64 { return a / b }, divideInts),
		"date":       f.date,
	}
}

func ofText(f func(string) string) filter {
	return func(in any, _ ...any) (any, error) {
		if in == nil {
			return nil, nil
		}
		return f(text(in)), nil
	}
}

// orElse stands in for what is missing, false, or an empty text, list or object.
func orElse(in any, args ...any) (any, error) {
	empty := in == nil || in == any(false)
	switch v := in.(type) {
	case string:
		empty = v == ""
	case []any:
		empty = len(v) == 0
	case map[string]any:
		empty = len(v) == 0
	}
	if empty {
		return args[0], nil
	}
	return in, nil
}

func capitalize(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	if n == 0 || c == utf8.RuneError {
		return s
	}
	return string(unicode.ToUpper(c)) + s[n:]
}

func concat(a, b string) (any, error) {
	if len(a)+len(b) > MaxOutput {
		return nil, ErrTooLarge
	}
	return a + b, nil
}

// truncate cuts to a number of characters, the ellipsis included.
func truncate(in any, args ...any) (any, error) {
	most, err := wholeNumber(args[0])
	if in == nil || err != nil {
		return nil, err
	}
	ellipsis := "..."
	if len(args) > 1 {
		ellipsis = text(args[1])
	}
	chars := []rune(text(in))
	if len(chars) <= most {
		return string(chars), nil
	}
	keep := max(0, most-utf8.RuneCountInString(ellipsis))
	return string(chars[:keep]) + ellipsis, nil
}

func replace(in any, args ...any) (any, error) {
	if in == nil {
		return nil, nil
	}
	s, old, by := text(in), text(args[0]), text(args[1])
	if old == "" {
		return nil, errors.New("there is nothing to replace in an empty text")
	}
	if grow := len(by) - len(old); grow > 0 && len(s)+strings.Count(s, old)*grow > MaxOutput {
		return nil, ErrTooLarge
	}
	return strings.ReplaceAll(s, old, by), nil
}

func split(in any, args ...any) (any, error) {
	if in == nil {
		return nil, nil
	}
	s, sep := text(in), text(args[0])
	if 4*strings.Count(s, sep)+len(s) > MaxOutput {
		return nil, ErrTooLarge
	}
	parts := []any{}
	for _, part := range strings.Split(s, sep) {
		parts = append(parts, part)
	}
	return parts, nil
}

func join(in any, args ...any) (any, error) {
	list, ok := in.([]any)
	if !ok {
		return in, nil
	}
	sep := " "
	if len(args) > 0 {
		sep = text(args[0])
	}
	if len(list)*len(sep)+size(in, MaxOutput) > 2*MaxOutput {
		return nil, ErrTooLarge
	}
	var b strings.Builder
	for i, v := range list {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(text(v))
	}
	return b.String(), nil
}

// length counts characters, elements or members; 0 for anything else.
func length(in any, _ ...any) (any, error) {
	switch v := in.(type) {
	case string:
		return integer(int64(utf8.RuneCountInString(v))), nil
	case []any:
		return integer(int64(len(v))), nil
	case map[string]any:
		return integer(int64(len(v))), nil
	default:
		return integer(0), nil
	}
}

func element(in any, i int) any {
	list, ok := in.([]any)
	if !ok || len(list) == 0 {
		return nil
	}
	return list[(i+len(list))%len(list)]
}

// decimal is v as a number: a number, a text that is one, or an integer literal of the template.
func decimal(v any) (f float64, i int64, whole bool, err error) {
	if literal, ok := v.(float64); ok { // 2.0 in a template asks for no division of integers
		return literal, 0, false, nil
	}
	s := text(v)
	if i, err = strconv.ParseInt(s, 10, 64); err == nil {
		return float64(i), i, true, nil
	}
	if f, err = strconv.ParseFloat(s, 64); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, 0, false, fmt.Errorf("%q is no number", s[:min(len(s), 40)])
	}
	return f, 0, false, nil
}

func wholeNumber(v any) (int, error) {
	_, i, whole, err := decimal(v)
	if err != nil || !whole || i < 0 || i > MaxOutput {
		return 0, fmt.Errorf("%q is no whole number", text(v))
	}
	return int(i), nil
}

// arithmetic computes on integers exactly as long as they fit, else on floats.
func arithmetic(floats func(a, b float64) float64, ints func(a, b int64) (int64, bool)) filter {
	return func(in any, args ...any) (any, error) {
		if in == nil {
			return nil, nil
		}
		a, aInt, aWhole, err := decimal(in)
		if err != nil {
			return nil, err
		}
		b, bInt, bWhole, err := decimal(args[0])
		if err != nil {
			return nil, err
		}
		if aWhole && bWhole {
			if v, ok := ints(aInt, bInt); ok {
				return integer(v), nil
			}
		}
		return float(floats(a, b))
	}
}

func addInts(a, b int64) (int64, bool) {
	c := a + b
	return c, b != math.MinInt64 && (c > a) == (b > 0)
}

func multiplyInts(a, b int64) (int64, bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	c := a * b
	return c, a != math.MinInt64 && b != math.MinInt64 && c/b == a
}

// divideInts rounds down, as Liquid does.
func divideInts(a, b int64) (int64, bool) {
	if b == 0 || b == -1 {
		return -a, b == -1 && a != math.MinInt64
	}
	c := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		c--
	}
	return c, true
}

// round rounds half away from zero, to a whole number or to a number of decimals from 0 to 15.
func round(in any, args ...any) (any, error) {
	if in == nil {
		return nil, nil
	}
	places := 0
	if len(args) > 0 {
		n, err := wholeNumber(args[0])
		if err != nil || n > 15 {
			return nil, errors.New("decimals must be a whole number from 0 to 15")
		}
		places = n
	}
	v, i, whole, err := decimal(in)
	if err != nil || whole {
		return integer(i), err
	}
	scale := math.Pow10(places)
	if scaled := v * scale; math.Abs(scaled) < 1<<52 {
		v = math.Round(scaled) / scale
	}
	return float(v)
}
