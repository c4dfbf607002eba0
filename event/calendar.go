package event

import "time"

const (
	minuteMillis = 60 * 1000
	hourMillis   = 60 * minuteMillis
	dayMillis    = 24 * hourMillis
)

// Clock is a date and a time of day as written, before any zone.
type Clock struct {
	Year, Month, Day int
	Millis           int  // since midnight
	Seconds          bool // written with seconds
	Space            bool // a space stood for the T
	Leap             bool // written with second 60, which the next minute then begins with
}

// ReadClock reads a date and a time of day, YYYY-MM-DDTHH:MM with optional seconds and fraction, from the beginning of
// text and tells where it ends; false where text does not begin so.
func ReadClock[T string | []byte](text T) (c Clock, end int, ok bool) {
	if !readDate(text, &c) || len(text) < len("2006-01-02T15:04") || text[13] != ':' {
		return c, 0, false
	}
	c.Space = text[10] == ' '
	if !c.Space && text[10] != 'T' && text[10] != 't' {
		return c, 0, false
	}
	hour, minute := number(text[11:13]), number(text[14:16])
	if hour < 0 || hour > 23 || minute < 0 || minute > 59 {
		return c, 0, false
	}
	c.Millis = hour*hourMillis + minute*minuteMillis
	end = 16
	if end == len(text) || text[end] != ':' {
		return c, end, true
	}
	if len(text) < end+3 {
		return c, 0, false
	}
	second := number(text[end+1 : end+3])
	if second < 0 || second > 60 {
		return c, 0, false
	}
	c.Seconds, c.Leap = true, second == 60
	millis, end := fraction(text, end+3)
	if c.Leap {
		millis = 0
	}
	c.Millis += second*1000 + millis
	return c, end, true
}

// ReadDate reads a date, YYYY-MM-DD and nothing else; false where text is none.
func ReadDate[T string | []byte](text T) (c Clock, ok bool) {
	ok = len(text) == len("2006-01-02") && readDate(text, &c)
	return c, ok
}

func readDate[T string | []byte](text T, c *Clock) bool {
	if len(text) < len("2006-01-02") || text[4] != '-' || text[7] != '-' {
		return false
	}
	century, year := number(text[:2]), number(text[2:4])
	c.Month, c.Day = number(text[5:7]), number(text[8:10])
	if century < 0 || year < 0 || c.Month < 1 || c.Month > 12 {
		return false
	}
	c.Year = century*100 + year
	return c.Day >= 1 && time.Date(c.Year, time.Month(c.Month), c.Day, 0, 0, 0, 0, time.UTC).Day() == c.Day
}

// number is a number of two digits; -1 for anything else.
func number[T string | []byte](text T) int {
	a, b := text[0]-'0', text[1]-'0'
	if a > 9 || b > 9 {
		return -1
	}
	return int(a)*10 + int(b)
}

// fraction reads the optional fraction of a second at i and cuts it to ms; a point without digits stays unread.
func fraction[T string | []byte](text T, i int) (millis, end int) {
	if i == len(text) || text[i] != '.' {
		return 0, i
	}
	end = digits(text, i+1)
	if end == i+1 {
		return 0, i
	}
	for k := i + 1; k <= i+3; k++ {
		millis *= 10
		if k < end {
			millis += int(text[k] - '0')
		}
	}
	return millis, end
}

// wall is the clock taken as if it were UTC, in ms since the epoch.
func (c Clock) wall() int64 {
	return time.Date(c.Year, time.Month(c.Month), c.Day, 0, 0, 0, 0, time.UTC).UnixMilli() + int64(c.Millis)
}
