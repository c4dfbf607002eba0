package event_test

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vigil/event"
)

func TestParseRFC3339(t *testing.T) {
	for text, want := range map[string]int64{
		"1970-01-01T00:00:00Z":           0,
		"1970-01-01t00:00:00z":           0,
		"1969-12-31T23:59:59.999Z":       -1,
		"1969-12-31T23:59:59.9999Z":      -1,
		"2026-05-28T20:26:40.5Z":         rt + 500,
		"2026-05-28T20:26:40.12Z":        rt + 120,
		"2026-05-28T20:26:40.0019Z":      rt + 1,
		"2026-05-28T22:26:40+02:00":      rt,
		"2026-05-28T14:56:40-05:30":      rt,
		"2026-05-28T20:26:40-00:00":      rt,
		"2016-12-31T23:59:60Z":           1483228800000,
		"2016-12-31T23:59:60.7Z":         1483228800000,
		"2017-01-01T00:59:60+01:00":      1483228800000,
		"2024-02-29T00:00:00Z":           1709164800000,
		"0000-01-01T00:00:00Z":           -62167219200000,
		"9999-12-31T23:59:59.999999999Z": 253402300799999,
	} {
		if got, ok := event.ParseRFC3339(text); !ok || got != want {
			t.Errorf("%s: got %d %t, want %d", text, got, ok, want)
		}
	}
}

func TestParseRFC3339Refused(t *testing.T) {
	for _, text := range []string{
		"", "Z", "2026-05-28", "2026-05-28T20:26Z", "2026-05-28T20:26:40", "2026-05-28 20:26:40Z", "2026-05-28T20:26:40+0200",
		"2026-05-28T20:26:40+02", "2026-05-28T20:26:40.Z", "2026-05-28T20:26:40,5Z", "2026-05-28T24:00:00Z", "2026-05-28T20:60:00Z",
		"2026-05-28T20:26:60Z", "2026-05-28T23:59:60Z", "2026-05-28T20:26:61Z", "2026-02-29T00:00:00Z", "2026-04-31T00:00:00Z",
		"2026-00-01T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-00T00:00:00Z", "+2026-05-28T20:26:40Z", "2026-5-28T20:26:40Z",
		"2026-05-28T20:26:40+24:00", "2026-05-28T20:26:40+02:60", "2026-05-28T20:26:40Z ", " 2026-05-28T20:26:40Z", "2026-05-28T20:26:40ZZ",
		"2026-05-28T20:26:4xZ", "20260528T202640Z", "2026-05-28T20:26:40.5.5Z", "now", "2026-05-28T2",
	} {
		if ms, ok := event.ParseRFC3339(text); ok {
			t.Errorf("%q is no time, got %d", text, ms)
		}
	}
}

func TestParseRFC3339AgainstGo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := rapid.Int64Range(-62_135_596_800, 253_402_300_000).Draw(t, "seconds")
		nanos := rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")
		zone := time.FixedZone("", rapid.IntRange(-1439, 1439).Draw(t, "minutes")*60)
		want := time.Unix(seconds, nanos).In(zone)
		if want.Year() < 0 || want.Year() > 9999 {
			return
		}
		text := want.Format(time.RFC3339Nano)
		if got, ok := event.ParseRFC3339([]byte(text)); !ok || got != want.UnixMilli() {
			t.Fatalf("%s: got %d %t, want %d", text, got, ok, want.UnixMilli())
		}
	})
}

func TestParseTime(t *testing.T) {
	for doc, want := range map[string]int64{
		"0": 0, "-0": 0, "1780000000": rt, "1780000000.1239": rt + 123, "1.78e9": rt, "1780000000000": rt, "1780000000000.9": rt, "1.78e12": rt,
		"99999999999": 99_999_999_999_000, "99999999999.9999": 99_999_999_999_999, "100000000000": 100_000_000_000,
		"-99999999999": -99_999_999_999_000, "-100000000000": -100_000_000_000, "-1.5": -1500, "1e-400": 0, "1e-9999999999": 0,
		"8640000000000000": 8_640_000_000_000_000, `"1970-01-01T00:00:01Z"`: 1000,
	} {
		v, err := event.ParseValue([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := event.ParseTime(v); !ok || got != want {
			t.Errorf("%s: got %d %t, want %d", doc, got, ok, want)
		}
	}
	for _, doc := range []string{"8640000000000001", "-8640000000000001", "1e16", "1e400", "1e99999999999999999999", `"5"`, "null", "true", "[]", "{}", `""`} {
		v, err := event.ParseValue([]byte(doc))
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := event.ParseTime(v); ok {
			t.Errorf("%s is no time, got %d", doc, got)
		}
	}
	if _, ok := event.ParseTime(event.Value{}); ok {
		t.Error("a missing value is no time")
	}
}

// The form of RFC 3339: time.Parse alone also takes 1:00, a comma and an offset of 24:00 (go.dev/issue/54580).
var rfc3339 = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$`)

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"2026-05-28T20:26:40.5+02:00", "2016-12-31T23:59:60Z", "2026-02-29T00:00:00Z", "2026-05-28T20:26:40"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := event.ParseRFC3339(text)
		if strings.Contains(text, ":60") { // Go knows no leap seconds
			return
		}
		want, err := time.Parse(time.RFC3339, strings.ToUpper(text))
		valid := err == nil && rfc3339.MatchString(text)
		if ok != valid || ok && got != want.UnixMilli() {
			t.Fatalf("%q: got %d %t, want %d (%v)", text, got, ok, want.UnixMilli(), err)
		}
	})
}

func BenchmarkParseTime(b *testing.B) {
	for _, doc := range []string{`"2026-05-28T22:26:40.123+02:00"`, "1780000000123"} {
		v, err := event.ParseValue([]byte(doc))
		if err != nil {
			b.Fatal(err)
		}
		b.Run(v.Text(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				event.ParseTime(v)
			}
		})
	}
}
