package event

import (
	"cmp"
	"strconv"
	"strings"
)

// Decimal is a number by its value: 5, 5.0 and 5e0 are one Decimal, equal by ==, and no digit of a long integer is lost
// (semantics 2.5). The zero Decimal is 0.
type Decimal struct {
	neg  bool
	mant int64  // the significant digits without trailing zeros, where they are at most shortDigits
	long string // the digits where they are more
	exp  int64  // the value is digits x 10^exp
}

const (
	shortDigits = 18      // so many digits fit an int64 with room to multiply by ten
	maxExponent = 1 << 40 // an exponent beyond counts as this one; no arithmetic ever expands it
)

// ParseDecimal reads a JSON number; false for anything else.
func ParseDecimal[T string | []byte](text T) (Decimal, bool) {
	whole, end, ok := mantissa(text)
	if !ok {
		return Decimal{}, false
	}
	exp, ok := exponent(text, end)
	if !ok {
		return Decimal{}, false
	}
	first, last := -1, 0 // the first and the last digit that is not 0
	for k := range end {
		if text[k] >= '1' && text[k] <= '9' {
			if last = k; first < 0 {
				first = k
			}
		}
	}
	if first < 0 {
		return Decimal{}, true
	}
	d := Decimal{neg: text[0] == '-', exp: exp + int64(whole-last)}
	count := last - first + 1
	if last < whole {
		d.exp-- // the digit before the point stands for ones
	} else if first < whole {
		count-- // the point is between
	}
	if text = text[first : last+1]; count > shortDigits {
		d.long = strings.Replace(string(text), ".", "", 1)
		return d, true
	}
	for i := range len(text) {
		if text[i] != '.' {
			d.mant = d.mant*10 + int64(text[i]-'0')
		}
	}
	return d, true
}

// wholeDecimal is ParseDecimal of a number without fraction.
func wholeDecimal(n int64) Decimal {
	d := Decimal{neg: n < 0, mant: max(n, -n)}
	for d.mant != 0 && d.mant%10 == 0 {
		d.mant /= 10
		d.exp++
	}
	return d
}

// isNumber tells whether text is a JSON number.
func isNumber[T string | []byte](text T) bool {
	_, end, ok := mantissa(text)
	if ok {
		_, ok = exponent(text, end)
	}
	return ok
}

// mantissa reads a number up to its exponent and tells where the digits before the point and all digits end.
func mantissa[T string | []byte](text T) (whole, end int, ok bool) {
	start := 0
	if len(text) > 0 && text[0] == '-' {
		start = 1
	}
	whole = digits(text, start)
	if whole == start || text[start] == '0' && whole > start+1 {
		return 0, 0, false
	}
	if whole == len(text) || text[whole] != '.' {
		return whole, whole, true
	}
	end = digits(text, whole+1)
	return whole, end, end > whole+1
}

func digits[T string | []byte](text T, i int) int {
	for i < len(text) && text[i] >= '0' && text[i] <= '9' {
		i++
	}
	return i
}

// exponent reads what follows the digits: nothing, or an exponent and nothing after it.
func exponent[T string | []byte](text T, i int) (exp int64, ok bool) {
	if i == len(text) {
		return 0, true
	}
	if text[i] != 'e' && text[i] != 'E' {
		return 0, false
	}
	i++
	neg := i < len(text) && text[i] == '-'
	if neg || i < len(text) && text[i] == '+' {
		i++
	}
	if i == len(text) || digits(text, i) != len(text) {
		return 0, false
	}
	for ; i < len(text); i++ {
		exp = min(exp*10+int64(text[i]-'0'), maxExponent)
	}
	if neg {
		exp = -exp
	}
	return exp, true
}

// zero tells whether d is 0.
func (d Decimal) zero() bool { return d.mant == 0 && d.long == "" }

// count is the number of significant digits.
func (d Decimal) count() int64 {
	if d.long != "" {
		return int64(len(d.long))
	}
	n := int64(0)
	for m := d.mant; m > 0; m /= 10 {
		n++
	}
	return n
}

// sign is -1, 0 or 1.
func (d Decimal) sign() int {
	switch {
	case d.zero():
		return 0
	case d.neg:
		return -1
	default:
		return 1
	}
}

// Compare is -1, 0 or 1 as d is less than, equal to or greater than o, by exact value.
func (d Decimal) Compare(o Decimal) int {
	if c := cmp.Compare(d.sign(), o.sign()); c != 0 || d.zero() {
		return c
	}
	c := d.compareSize(o)
	if d.neg {
		return -c
	}
	return c
}

// compareSize compares the absolute values; neither is 0.
func (d Decimal) compareSize(o Decimal) int {
	n, m := d.count(), o.count()
	if c := cmp.Compare(d.exp+n, o.exp+m); c != 0 {
		return c
	}
	if d.long == "" && o.long == "" {
		return cmp.Compare(shiftDigits(d.mant, max(0, m-n)), shiftDigits(o.mant, max(0, n-m)))
	}
	return strings.Compare(d.digits(), o.digits())
}

// digits are the significant digits as text.
func (d Decimal) digits() string {
	if d.long != "" {
		return d.long
	}
	return strconv.FormatInt(d.mant, 10)
}

// scaled is d x 10^shift as an integer, its fraction cut off; false where it has more than shortDigits digits.
func (d Decimal) scaled(shift int64) (int64, bool) {
	whole := d.count() + d.exp + shift // digits before the point
	switch {
	case d.zero() || whole <= 0:
		return 0, true
	case whole > shortDigits:
		return 0, false
	}
	v := d.mant
	if d.long != "" {
		for i := range int(whole) { // fewer than it has digits
			v = v*10 + int64(d.long[i]-'0')
		}
	} else {
		v = shiftDigits(v, whole-d.count())
	}
	if d.neg {
		v = -v
	}
	return v, true
}

// shiftDigits is v x 10^by, cut off.
func shiftDigits(v, by int64) int64 {
	for ; by > 0; by-- {
		v *= 10
	}
	for ; by < 0; by++ {
		v /= 10
	}
	return v
}
