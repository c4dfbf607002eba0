package calendar_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"vigil/calendar"
	"vigil/event"
)

func TestZone(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "America/Port-au-Prince", "Etc/GMT+5", "EST5EDT"} {
		if z, ok := calendar.Zone(name); !ok || z.String() != name {
			t.Errorf("%s is a zone, got %v", name, z)
		}
	}
	for _, name := range []string{
		"", "Local", "local", "Europe", "Europe/", "/Europe/Berlin", "Europe//Berlin", "Europe/../Europe/Berlin", "./UTC", "Europe/Nowhere", "posix/UTC",
		"right/UTC", "localtime", "posixrules", "Factory", "+02:00", "2", "zone.tab", "Europe/Berlin\x00", "Europe\\Berlin", "Europe/Berlin ",
	} {
		if z, ok := calendar.Zone(name); ok {
			t.Errorf("%q is no zone, got %v", name, z)
		}
	}
}

func TestInstant(t *testing.T) {
	const h, m = 3_600_000, 60_000
	for _, row := range []struct {
		year, month, day, millis int
		zone, want               string
	}{
		{2026, 3, 29, 2*h + 30*m, "Europe/Berlin", "2026-03-29T03:30:00+02:00"},       // a gap: forward by it
		{2026, 3, 29, 2 * h, "Europe/Berlin", "2026-03-29T03:00:00+02:00"},            // its first moment
		{2026, 3, 29, 3 * h, "Europe/Berlin", "2026-03-29T03:00:00+02:00"},            // the first after it
		{2026, 3, 29, 2*h - 1, "Europe/Berlin", "2026-03-29T01:59:59.999+01:00"},      // the last before it
		{2026, 10, 25, 2*h + 30*m, "Europe/Berlin", "2026-10-25T02:30:00+02:00"},      // a fold: the first
		{2026, 10, 25, 3 * h, "Europe/Berlin", "2026-10-25T03:00:00+01:00"},           // after it
		{2026, 10, 4, 2*h + 10*m, "Australia/Lord_Howe", "2026-10-04T02:40:00+11:00"}, // a gap of half an hour
		{2026, 4, 5, 1*h + 45*m, "Australia/Lord_Howe", "2026-04-05T01:45:00+11:00"},  // a fold of half an hour
		{2011, 12, 30, 12 * h, "Pacific/Apia", "2011-12-31T12:00:00+14:00"},           // a day that never was
		{2026, 2, 30, 0, "UTC", "2026-03-02T00:00:00Z"},                               // days out of range
		{2026, 1, 0, 0, "UTC", "2025-12-31T00:00:00Z"},
		{2026, 14, 1, 0, "UTC", "2027-02-01T00:00:00Z"},
		{2026, 3, 8, 0, "America/Havana", "2026-03-08T01:00:00-04:00"},
		{1867, 10, 18, 12 * h, "America/Juneau", "1867-10-18T12:00:00+15:02"}, // farther from UTC than any zone today
		{2400, 7, 1, 0, "America/New_York", "2400-07-01T00:00:00-04:00"},
	} {
		z := zone(t, row.zone)
		ms := calendar.Instant(row.year, time.Month(row.month), row.day, row.millis, z)
		if got := time.UnixMilli(ms).In(z).Format(time.RFC3339Nano); got != row.want {
			t.Errorf("%d-%d-%d %d in %s: got %s, want %s", row.year, row.month, row.day, row.millis, row.zone, got, row.want)
		}
	}
}

// TestInstantAndLocal checks that each undoes the other, but for the second time of a fold.
func TestInstantAndLocal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		z := zone(t, rapid.SampledFrom([]string{
			"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Manila", "Africa/Casablanca", "America/Juneau",
		}).Draw(t, "zone"))
		ms := rapid.Int64Range(-4_000_000_000_000, 8_000_000_000_000).Draw(t, "ms")
		if rapid.Bool().Draw(t, "near a change") {
			if _, end := time.UnixMilli(ms).In(z).ZoneBounds(); !end.IsZero() {
				ms = end.UnixMilli() + rapid.Int64Range(-7_200_000, 7_200_000).Draw(t, "from the change")
			}
		}
		year, month, day, millis := calendar.Local(ms, z)
		got := calendar.Instant(year, month, day, millis, z)
		y, mo, d, mi := calendar.Local(got, z)
		if y != year || mo != month || d != day || mi != millis || got > ms {
			t.Fatalf("%d became %d", ms, got)
		}
		if got < ms { // then it is the first of two
			if _, end := time.UnixMilli(got).In(z).ZoneBounds(); end.IsZero() || end.UnixMilli() > ms {
				t.Fatalf("%d became %d without a change between", ms, got)
			}
		}
	})
}

func TestParseDate(t *testing.T) {
	z := zone(t, "Europe/Berlin")
	for doc, want := range map[string]string{
		`"2026-05-01T10:00:00Z"`:           "2026-05-01T10:00:00Z",
		`"2026-05-01T10:00:00.1239-03:00"`: "2026-05-01T13:00:00.123Z",
		`"2026-05-01T10:00:00"`:            "2026-05-01T08:00:00Z",
		`"2026-05-01 10:00:00.5"`:          "2026-05-01T08:00:00.5Z",
		`"2026-05-01 10:00"`:               "2026-05-01T08:00:00Z",
		`"2026-05-01T10:00"`:               "2026-05-01T08:00:00Z",
		`"2026-05-01"`:                     "2026-04-30T22:00:00Z",
		`"2025-03-30T02:30:00"`:            "2025-03-30T01:30:00Z", // a gap
		`"2025-10-26 02:30"`:               "2025-10-26T00:30:00Z", // a fold
		`1780000000`:                       "2026-05-28T20:26:40Z",
		`1780000000000.5`:                  "2026-05-28T20:26:40Z",
		`"$D_1780000000"`:                  "2026-05-28T20:26:40Z",
		`"$D_-1"`:                          "1969-12-31T23:59:59Z",
		`"$D_100000000000"`:                "5138-11-16T09:46:40Z",
	} {
		ms, ok := calendar.ParseDate(value(t, doc), z)
		if got := time.UnixMilli(ms).UTC().Format(time.RFC3339Nano); !ok || got != want {
			t.Errorf("%s: got %s %t, want %s", doc, got, ok, want)
		}
	}
	for _, doc := range []string{
		`""`, `"1780000000"`, `"tomorrow"`, `"2026-05-01T10"`, `"2026-05"`, `"2026-02-30"`, `"2026-05-01 10:00:60"`, `"2026-05-01T24:00"`,
		`"2026-05-01 10:00:00Z"`, `"2026-05-01T10:00Z"`, `"2026-05-01T10:00:00."`, `" 2026-05-01"`, `"2026-05-01 "`, `"2026-05-01T10:00:00+25:00"`,
		`"$D_"`, `"$D_1.5"`, `"$D_1e9"`, `"$D_x"`, `"$d_1"`, `"$D_99999999999999999999"`, `true`, `[]`, `{}`, `null`, `1e300`,
	} {
		if ms, ok := calendar.ParseDate(value(t, doc), z); ok {
			t.Errorf("%s is no date, got %d", doc, ms)
		}
	}
}

func value(t interface{ Fatal(...any) }, doc string) event.Value {
	v, err := event.ParseValue([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func BenchmarkZone(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		calendar.Zone("Europe/Berlin")
	}
}

func BenchmarkInstant(b *testing.B) {
	z := zone(b, "Europe/Berlin")
	b.ReportAllocs()
	for b.Loop() {
		calendar.Instant(2026, 5, 1, 3_600_000, z)
	}
}
