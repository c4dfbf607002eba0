package event

import "time"

// MaxEpochMillis bounds an epoch number, in ms before and after 1970: ECMAScript's bound, about 273,790 years. A number
// beyond is no time.
const MaxEpochMillis = 8_640_000_000_000_000

// millisFrom is the power of ten from which on an epoch number counts milliseconds, not seconds (semantics 2.1).
const (
	millisFrom       = 11
	millisFromNumber = 100_000_000_000
)

// ParseTime reads a time as semantics 2.1 has it: RFC 3339 with offset, or epoch seconds or milliseconds as a number.
// It gives ms since the epoch, the rest cut off; false where v is no time, null and missing included.
func ParseTime(v Value) (ms int64, ok bool) {
	switch v.Kind() {
	case String:
		return ParseRFC3339(v.text())
	case Number:
		if n, ok := shortWhole(v.text()); ok && n >= millisFromNumber && n <= MaxEpochMillis {
			return n, true // by far the most
		}
		d, ok := v.Decimal()
		if !ok {
			return 0, false
		}
		return d.Epoch()
	default:
		return 0, false
	}
}

// Epoch is d as epoch seconds or, from 1e11 on, milliseconds; false beyond the range of a date.
func (d Decimal) Epoch() (ms int64, ok bool) {
	shift := int64(3)
	if d.count()+d.exp > millisFrom {
		shift = 0
	}
	ms, ok = d.scaled(shift)
	return ms, ok && ms <= MaxEpochMillis && ms >= -MaxEpochMillis
}

// ParseRFC3339 reads a time with offset, such as 2026-11-25T09:30:00.5+01:00, strictly; t and z may be small. A leap
// second, which only the last second of a month can be, is the first of the next.
func ParseRFC3339[T string | []byte](text T) (ms int64, ok bool) {
	c, rest, ok := ReadClock(text)
	if !ok || !c.Seconds || c.Space || rest == len(text) {
		return 0, false
	}
	offset, ok := zoneOffset(text[rest:])
	if !ok {
		return 0, false
	}
	ms = c.wall() - offset
	if c.Leap && (ms%dayMillis != 0 || time.UnixMilli(ms).UTC().Day() != 1) {
		return 0, false
	}
	return ms, true
}

// zoneOffset reads Z or +HH:MM, in ms.
func zoneOffset[T string | []byte](text T) (ms int64, ok bool) {
	if len(text) == 1 {
		return 0, text[0] == 'Z' || text[0] == 'z'
	}
	if len(text) != len("+00:00") || text[3] != ':' || text[0] != '+' && text[0] != '-' {
		return 0, false
	}
	hour, minute := number(text[1:3]), number(text[4:6])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return 0, false
	}
	ms = int64(hour*hourMillis + minute*minuteMillis)
	if text[0] == '-' {
		ms = -ms
	}
	return ms, true
}
