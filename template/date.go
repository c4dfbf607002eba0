package template

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// date writes a time in the campaign's zone after a strftime pattern. It reads `now`, which is the fire's time, RFC
// 3339, a local date or date-time in the zone, and epoch seconds or milliseconds as semantics 2.1 has them.
func (f *filters) date(in any, args ...any) (any, error) {
	if in == nil || text(in) == "" {
		return nil, nil
	}
	t, ok := f.time(text(in))
	if !ok {
		return nil, fmt.Errorf("%q is no time", text(in)[:min(len(text(in)), 40)])
	}
	return strftime(t.In(f.zone), text(args[0]))
}

func (f *filters) time(s string) (time.Time, bool) {
	if s == "now" {
		return f.at, true
	}
	if v, err := strconv.ParseFloat(s, 64); err == nil {
		if v < 1e11 && v > -1e11 {
			v *= 1000
		}
		return time.UnixMilli(int64(v)), v > -1e15 && v < 1e15
	}
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, true
	}
	for _, layout := range []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, f.zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// strftimes gives the layouts of Go for the letters of strftime.
var strftimes = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'j': "002", 'H': "15", 'I': "03", 'M': "04", 'S': "05",
	'p': "PM", 'P': "pm", 'a': "Mon", 'A': "Monday", 'b': "Jan", 'h': "Jan", 'B': "January", 'z': "-0700", 'Z': "MST",
	'F': "2006-01-02", 'T': "15:04:05", 'R': "15:04", 'D': "01/02/06", 'c': "Mon Jan _2 15:04:05 2006",
}

// unpadded are the letters that may follow `%-`.
var unpadded = map[byte]string{'m': "1", 'd': "2", 'e': "2", 'I': "3"}

func strftime(t time.Time, pattern string) (any, error) {
	if len(pattern) > 200 {
		return nil, errors.New("a date pattern has at most 200 bytes")
	}
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '%' {
			b.WriteByte(pattern[i])
			continue
		}
		layouts := strftimes
		if i+1 < len(pattern) && pattern[i+1] == '-' {
			layouts = unpadded
			i++
		}
		if i++; i == len(pattern) {
			return nil, errors.New("a date pattern ends in %")
		}
		part, err := directive(t, pattern[i], layouts)
		if err != nil {
			return nil, err
		}
		b.WriteString(part)
	}
	return b.String(), nil
}

func directive(t time.Time, letter byte, layouts map[byte]string) (string, error) {
	switch letter {
	case '%':
		return "%", nil
	case 's':
		return strconv.FormatInt(t.Unix(), 10), nil
	case 'L':
		return fmt.Sprintf("%03d", t.Nanosecond()/1e6), nil
	case 'H':
		if layouts["Y"[0]] == "" { // %-H
			return strconv.Itoa(t.Hour()), nil
		}
	}
	layout, ok := layouts[letter]
	if !ok {
		return "", fmt.Errorf("unknown letter %q in a date pattern", letter)
	}
	return t.Format(layout), nil
}
