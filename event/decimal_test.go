package event_test

import (
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vigil/event"
)

func decimal(t interface{ Fatalf(string, ...any) }, text string) event.Decimal {
	d, ok := event.ParseDecimal(text)
	if !ok {
		t.Fatalf("%.100q is a number", text)
	}
	return d
}

func TestDecimalEqual(t *testing.T) {
	for _, same := range [][]string{
		{"5", "5.0", "5e0", "50e-1", "0.5E1", "0.0005e+4", "5.000000000000000000000000000000"},
		{"0", "-0", "0.000", "0e999999999999999999999", "-0e-5"},
		{"9007199254740993", "9007199254740993.0", "900719925474099300e-2", "9.007199254740993e15"},
		{"123456789012345678901234567890", "123456789012345678901234567890.00", "1.2345678901234567890123456789e29"},
		{"-120", "-12e1", "-0.12e3"},
		{"1e1000000000", "10e999999999"},
	} {
		for _, a := range same {
			x, y := decimal(t, a), decimal(t, same[0])
			if x != y || x.Compare(y) != 0 || y.Compare(x) != 0 {
				t.Errorf("%s and %s are one number", a, same[0])
			}
		}
	}
}

func TestDecimalOrder(t *testing.T) {
	rising := []string{
		"-1e400", "-123456789012345678901234567890", "-9007199254740993", "-9007199254740992", "-1.5", "-1.4999999999999999999999", "-1e-400",
		"0", "1e-999999999999", "1e-400", "0.1", "0.10000000000000000000000000001", "0.11", "1", "1.5", "9007199254740992", "9007199254740993",
		"999999999999999999", "1000000000000000000", "1000000000000000001", "9223372036854775807", "9223372036854775808",
		"123456789012345678901234567890", "123456789012345678901234567891", "1e400", "1e999999999999",
	}
	for i, a := range rising {
		for j, b := range rising {
			want := min(1, max(-1, i-j))
			if got := decimal(t, a).Compare(decimal(t, b)); got != want {
				t.Errorf("%s against %s: got %d, want %d", a, b, got, want)
			}
		}
	}
}

func TestDecimalRefused(t *testing.T) {
	for _, text := range []string{
		"", "-", "+1", "01", "-01", ".5", "5.", "1e", "1e+", "1.e5", "0x10", "1_0", "NaN", "Infinity", " 1", "1 ", "1.2.3", "1e5.5", "--1", "e5", "1e5e5",
	} {
		if _, ok := event.ParseDecimal(text); ok {
			t.Errorf("%q is no number", text)
		}
	}
}

var numberText = rapid.Custom(func(t *rapid.T) string {
	text := rapid.StringMatching(`-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?`).Draw(t, "digits")
	if rapid.Bool().Draw(t, "scientific") {
		text += "e" + strconv.Itoa(rapid.IntRange(-40, 40).Draw(t, "exponent"))
	}
	return text
})

func TestDecimalAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := numberText.Draw(t, "a"), numberText.Draw(t, "b")
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if got, want := decimal(t, a).Compare(decimal(t, b)), x.Cmp(y); got != want {
			t.Fatalf("%s against %s: got %d, want %d", a, b, got, want)
		}
		if same := decimal(t, a) == decimal(t, b); same != (x.Cmp(y) == 0) {
			t.Fatalf("%s == %s: got %t", a, b, same)
		}
	})
}

func TestEpochAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := numberText.Draw(t, "number")
		want, _ := new(big.Rat).SetString(text)
		if new(big.Rat).Abs(want).Cmp(big.NewRat(1e11, 1)) < 0 {
			want.Mul(want, big.NewRat(1000, 1))
		}
		whole := new(big.Int).Quo(want.Num(), want.Denom()) // cuts towards 0
		fits := new(big.Int).Abs(whole).Cmp(big.NewInt(8_640_000_000_000_000)) <= 0
		got, ok := decimal(t, text).Epoch()
		if ok != fits || ok && got != whole.Int64() {
			t.Fatalf("%s: got %d %t, want %s %t", text, got, ok, whole, fits)
		}
	})
}

func FuzzParseDecimal(f *testing.F) {
	for _, seed := range []string{"5", "-0.5e-10", "1e999999999999999999999", strings.Repeat("9", 50), "1.", "01"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, ok := event.ParseDecimal(text)
		v, err := event.ParseValue([]byte(text))
		if isNumber := err == nil && v.Kind() == event.Number && strings.Trim(text, " \t\r\n") == text; ok != isNumber {
			t.Fatalf("%q: a number for us %t, for JSON %t (%v)", text, ok, isNumber, err)
		}
		if ok && d.Compare(d) != 0 {
			t.Fatalf("%q is not itself", text)
		}
	})
}

func BenchmarkDecimal(b *testing.B) {
	v, err := event.ParseValue([]byte(`{"a":5,"b":129.95,"c":1780000000123}`))
	if err != nil {
		b.Fatal(err)
	}
	limit := decimal(b, "100")
	for _, path := range []event.Path{"a", "b", "c"} {
		b.Run(string(path), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				d, _ := v.Get(path).Decimal()
				d.Compare(limit)
			}
		})
	}
}
