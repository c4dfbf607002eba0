package webhook

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// Times on the wire: RFC 3339, UTC, ms.
const timeLayout = "2006-01-02T15:04:05.000Z"

// wire appends members to one JSON object; it spares the reflection that encoding/json needs for every record.
type wire struct{ b []byte }

func (w *wire) name(name string) {
	switch {
	case len(w.b) == 0:
		w.b = append(w.b, '{')
	case w.b[len(w.b)-1] != '{':
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

func (w *wire) int(name string, v int64) {
	w.name(name)
	w.b = strconv.AppendInt(w.b, v, 10)
}

func (w *wire) text(name, v string) {
	w.name(name)
	w.b = appendText(w.b, v)
}

func (w *wire) texts(name string, m map[string]string) {
	w.name(name)
	w.b = append(w.b, '{')
	for i, k := range sortedKeys(m) {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.b = append(appendText(w.b, k), ':')
		w.b = appendText(w.b, m[k])
	}
	w.b = append(w.b, '}')
}

func (w *wire) base64(name string, v []byte) {
	w.name(name)
	w.b = append(w.b, '"')
	w.b = base64.StdEncoding.AppendEncode(w.b, v)
	w.b = append(w.b, '"')
}

func (w *wire) time(name string, t *time.Time) {
	w.name(name)
	if t == nil {
		w.b = append(w.b, "null"...)
		return
	}
	w.b = append(w.b, '"')
	w.b = appendTime(w.b, t.UTC())
	w.b = append(w.b, '"')
}

// appendTime appends a time as AppendFormat with timeLayout does, at half the cost.
func appendTime(dst []byte, t time.Time) []byte {
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(dst, timeLayout)
	}
	hour, minute, second := t.Clock()
	millis := t.Nanosecond() / int(time.Millisecond)
	dst = appendPair(appendPair(dst, year/100), year%100)
	dst = appendPair(append(dst, '-'), int(month))
	dst = appendPair(append(dst, '-'), day)
	dst = appendPair(append(dst, 'T'), hour)
	dst = appendPair(append(dst, ':'), minute)
	dst = appendPair(append(dst, ':'), second)
	dst = appendPair(append(dst, '.'), millis/10)
	return append(dst, byte('0'+millis%10), 'Z')
}

// appendPair appends a number below 100 as two digits.
func appendPair(dst []byte, n int) []byte { return append(dst, byte('0'+n/10), byte('0'+n%10)) }

// appendText appends v as a JSON string; what is no UTF-8 becomes U+FFFD.
func appendText(dst []byte, v string) []byte {
	for i := range len(v) {
		if c := v[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(v) // a string always encodes
			return append(dst, quoted...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, v...)
	return append(dst, '"')
}

func sortedKeys(m map[string]string) []string {
	if len(m) == 0 {
		return nil
	}
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
