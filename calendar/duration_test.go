package calendar_test

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vigil/calendar"
)

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]int64{
		"500ms": 500, "0s": 0, "30s": 30_000, "15m": 900_000, "2h": 7_200_000, "3d": 259_200_000, "1w": 604_800_000,
		"1d12h": 129_600_000, "1s500ms": 1500, "500ms1s": 1500, "1w1d1h1m1s1ms": 694_861_001, "007s": 7000, "400d": 34_560_000_000, "1000000d": 86_400_000_000_000,
	} {
		if got, err := calendar.ParseDuration(text); err != nil || got != want {
			t.Errorf("%s: got %d %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"":                      "write a number and a unit",
		"30":                    `"30" has no unit: write a number and a unit such as`,
		"s":                     `"s" is no duration`,
		"h30m":                  `"h30m" is no duration`,
		"1.5h":                  `"1.5h" has a fraction`,
		"-1d":                   `a duration has no sign, got "-1d"`,
		"+1d":                   `a duration has no sign`,
		"1M":                    "months and years differ in length and are no units, write them in days",
		"1mo":                   "months and years",
		"2months":               "months and years",
		"1y":                    "months and years",
		"1Y":                    "months and years",
		"30min":                 "minutes are written m",
		"30secs":                "seconds are written s",
		"2hours":                "hours are written h",
		"3days":                 "days are written d",
		"30 m":                  "has a space",
		" 30m":                  `" 30m" is no duration`,
		"1h30":                  "has no unit",
		"1h2h":                  `has the unit "h" twice`,
		"5S":                    `has the unit "S"`,
		"PT30M":                 `"PT30M" is no duration`,
		"1000001d":              "is too long",
		"142858w":               "is too long",
		"1000000d1ms":           "is too long",
		"99999999999999999999s": "is too long",
		"9223372036854775807ms": "is too long",
		"١d":                    "is no duration",
	} {
		if got, err := calendar.ParseDuration(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %d %v, want %s", text, got, err, want)
		}
	}
}

func TestParseOffset(t *testing.T) {
	for text, want := range map[string]string{
		"0s": "0 0", "-1d": "-1 0", "3d": "3 0", "+3d": "3 0", "24h": "0 86400000", "-1d12h": "-1 -43200000", "1w": "7 0", "-2w1d": "-15 0", "-500ms": "0 -500", "-0d": "0 0",
	} {
		days, millis, err := calendar.ParseOffset(text)
		if got := fmt.Sprint(days, " ", millis); err != nil || got != want {
			t.Errorf("%s: got %s %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-", "+", "--1d", "-+1d", "1d-12h", "1", "-1M", "- 1d"} {
		if days, millis, err := calendar.ParseOffset(text); err == nil {
			t.Errorf("%q is no offset, got %d %d", text, days, millis)
		}
	}
}

func TestParseClock(t *testing.T) {
	for text, want := range map[string]int{"00:00": 0, "09:00": 32_400_000, "23:59": 86_340_000} {
		if got, err := calendar.ParseClock(text); err != nil || got != want {
			t.Errorf("%s: got %d %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "9:00", "24:00", "09:60", "09:00:00", "0900", "09:0", "09:00Z", "-1:00", "09:00.5", "9", "٠٩:٠٠"} {
		if got, err := calendar.ParseClock(text); err == nil {
			t.Errorf("%q is no time of day, got %d", text, got)
		}
	}
}

// TestDurationSums checks that a sum is the sum of its terms, in any order.
func TestDurationSums(t *testing.T) {
	units := map[string]int64{"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"ms", "s", "m", "h", "d", "w"}), 1, 6, rapid.ID).Draw(t, "units")
		text, want := "", int64(0)
		for _, unit := range names {
			n := rapid.Int64Range(0, 1000).Draw(t, unit)
			text += fmt.Sprint(n) + unit
			want += n * units[unit]
		}
		if got, err := calendar.ParseDuration(text); err != nil || got != want {
			t.Fatalf("%s: got %d %v, want %d", text, got, err, want)
		}
		days, millis, err := calendar.ParseOffset("-" + text)
		if got := -(int64(days)*86_400_000 + millis); err != nil || got != want {
			t.Fatalf("-%s: got %d %v, want %d", text, got, err, want)
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, seed := range []string{"1d12h", "-500ms", "1.5h", "1M", "999999999999999999999w", "1h1h"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ms, err := calendar.ParseDuration(text)
		if err == nil && (ms < 0 || ms > 86_400_000_000_000) || err != nil && len(err.Error()) > 400 {
			t.Fatalf("%q: %d %v", text, ms, err)
		}
		days, millis, err := calendar.ParseOffset(text)
		if total := int64(days)*86_400_000 + millis; err == nil && (total < -86_400_000_000_000 || total > 86_400_000_000_000) {
			t.Fatalf("%q: %d %d", text, days, millis)
		}
		_, _ = calendar.ParseClock(text)
	})
}
