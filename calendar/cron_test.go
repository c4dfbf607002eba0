package calendar_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vigil/calendar"
)

func zone(t interface{ Fatalf(string, ...any) }, name string) *time.Location {
	z, ok := calendar.Zone(name)
	if !ok {
		t.Fatalf("no zone %s", name)
	}
	return z
}

func cron(t interface{ Fatalf(string, ...any) }, expr string, z *time.Location) *calendar.Cron {
	c, err := calendar.ParseCron(expr, z)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	return c
}

// instants are the next n after a time, as local times with their offset.
func instants(c *calendar.Cron, after string, n int, z *time.Location) string {
	start, err := time.Parse(time.RFC3339, after)
	if err != nil {
		panic(err)
	}
	ms := start.UnixMilli()
	var out []string
	for range n {
		ms = c.Next(ms)
		out = append(out, time.UnixMilli(ms).In(z).Format("01-02T15:04Z07:00"))
	}
	return strings.Join(out, " ")
}

func TestCronNext(t *testing.T) {
	for _, row := range []struct{ expr, zone, after, want string }{
		{"0 9 * * MON", "Europe/Paris", "2026-11-25T00:00:00Z", "11-30T09:00+01:00 12-07T09:00+01:00"},
		{"0 9 * * MON", "UTC", "2026-11-30T09:00:00Z", "12-07T09:00Z 12-14T09:00Z"},
		{"0 9 * * MON", "UTC", "2026-11-30T08:59:59.999Z", "11-30T09:00Z 12-07T09:00Z"},
		{"5/15 * * * *", "UTC", "2026-11-25T00:00:00Z", "11-25T00:05Z 11-25T00:20Z 11-25T00:35Z 11-25T00:50Z 11-25T01:05Z"},
		{"0 0 * * 7", "UTC", "2026-11-25T00:00:00Z", "11-29T00:00Z 12-06T00:00Z"},
		{"0 0 * * 0", "UTC", "2026-11-25T00:00:00Z", "11-29T00:00Z 12-06T00:00Z"},
		{"0 0 * * 5-7", "UTC", "2026-11-25T00:00:00Z", "11-27T00:00Z 11-28T00:00Z 11-29T00:00Z 12-04T00:00Z"},
		{"0 0 * * fri-sun", "UTC", "2026-11-25T00:00:00Z", "11-27T00:00Z 11-28T00:00Z 11-29T00:00Z 12-04T00:00Z"},
		{"0 0 * * 0-7/2", "UTC", "2026-11-25T00:00:00Z", "11-26T00:00Z 11-28T00:00Z 11-29T00:00Z 12-01T00:00Z"},
		{"0 0 1 * MON", "UTC", "2026-11-25T00:00:00Z", "11-30T00:00Z 12-01T00:00Z 12-07T00:00Z"},                 // either
		{"0 0 * * MON", "UTC", "2026-11-25T00:00:00Z", "11-30T00:00Z 12-07T00:00Z"},                              // both
		{"0 0 13 * *", "UTC", "2026-11-25T00:00:00Z", "12-13T00:00Z 01-13T00:00Z"},                               // both
		{"0 0 */10 * MON", "UTC", "2026-11-25T00:00:00Z", "11-30T00:00Z 12-01T00:00Z 12-07T00:00Z 12-11T00:00Z"}, // */10 is restricted
		{"0 0 */1 * MON", "UTC", "2026-11-25T00:00:00Z", "11-26T00:00Z 11-27T00:00Z"},                            // so is */1
		{"0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "02-29T00:00Z 02-29T00:00Z"},                               // no leap year 2100
		{"0 0 1 jan,Jul *", "UTC", "2026-11-25T00:00:00Z", "01-01T00:00Z 07-01T00:00Z"},
		{"59 23 31 12 *", "UTC", "2026-12-31T23:58:00Z", "12-31T23:59Z 12-31T23:59Z"},
		{"30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", "03-28T02:30+01:00 03-29T03:00+02:00 03-30T02:30+02:00"},      // a gap
		{"*/15 2-3 29 3 *", "Europe/Berlin", "2026-03-28T00:00:00Z", "03-29T03:00+02:00 03-29T03:15+02:00 03-29T03:30+02:00"}, // once at the end of the gap
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", "10-24T02:30+02:00 10-25T02:30+02:00 10-26T02:30+01:00"},      // a fold
		{"*/30 * 25 10 *", "Europe/Berlin", "2026-10-24T23:45:00Z", "10-25T02:00+02:00 10-25T02:30+02:00 10-25T03:00+01:00"},  // once in a fold
		{"*/30 * * * *", "Europe/Berlin", "2026-10-25T01:10:00Z", "10-25T03:00+01:00"},                                        // from inside the second half
		{"30 2 * * *", "Australia/Lord_Howe", "2026-10-03T00:00:00Z", "10-04T02:30+11:00 10-05T02:30+11:00"},                  // a gap of 30 min
		{"15 2 * * *", "Australia/Lord_Howe", "2026-10-02T16:00:00Z", "10-04T02:30+11:00 10-05T02:15+11:00"},
		{"30 0 * * *", "America/Havana", "2026-03-07T12:00:00Z", "03-08T01:00-04:00 03-09T00:30-04:00"}, // a gap at midnight
		{"0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00:00Z", "12-31T00:00+14:00 12-30T12:00+14:00"}, // a day that never was
	} {
		z := zone(t, row.zone)
		got := instants(cron(t, row.expr, z), row.after, strings.Count(row.want, " ")+1, z)
		if got != row.want {
			t.Errorf("%s in %s after %s:\n got %s\nwant %s", row.expr, row.zone, row.after, got, row.want)
		}
	}
}

func TestCronEnds(t *testing.T) {
	c := cron(t, "* * * * *", time.UTC)
	if got := c.Next(math.MaxInt64); got != math.MaxInt64 {
		t.Errorf("after the last instant: got %d", got)
	}
	if got := c.Next(math.MinInt64); got > -62_135_596_800_000+60_000 {
		t.Errorf("after the first instant: got %d", got)
	}
}

func TestCronRefused(t *testing.T) {
	for expr, want := range map[string]string{
		"":                    `"" has 0 fields: write five, minute, hour, day of month, month and day of week, such as "0 9 * * MON"`,
		"* * * *":             `"* * * *" has 4 fields`,
		"0 * * * * *":         `"0 * * * * *" has 6 fields`,
		"@daily":              `"@daily" has 1 fields`,
		"CRON_TZ=UTC * * * *": `minute "CRON_TZ=UTC": "CRON_TZ=UTC" is not a number from 0 to 59`,
		"60 * * * *":          `minute "60": "60" is not a number from 0 to 59`,
		"* 24 * * *":          `hour "24"`,
		"* * 0 * *":           `day of month "0"`,
		"* * 32 * *":          `day of month "32"`,
		"* * * 0 *":           `month "0": "0" is not a number from 1 to 12 or JAN to DEC`,
		"* * * 13 *":          `month "13"`,
		"* * * * 8":           `day of week "8": "8" is not a number from 0 to 7 or SUN to SAT`,
		"* * * * MOM":         `day of week "MOM"`,
		"? * * * *":           `minute "?"`,
		"-1 * * * *":          `minute "-1"`,
		"+1 * * * *":          `minute "+1"`,
		"1- * * * *":          `minute "1-"`,
		"1,,2 * * * *":        `minute "1,,2"`,
		"1-2-3 * * * *":       `minute "1-2-3"`,
		"*/0 * * * *":         `minute "*/0": the step after / must be a whole number from 1 to 99`,
		"*/x * * * *":         `minute "*/x"`,
		"*/ * * * *":          `minute "*/"`,
		"5-1 * * * *":         `minute "5-1": the range 5-1 runs backwards: write two ranges with a comma`,
		"* * * * SAT-MON":     `day of week "SAT-MON": the range SAT-MON runs backwards`,
		"*-5 * * * *":         `minute "*-5"`,
		"0 0 31 2 *":          `"0 0 31 2 *" never comes: no such month has such a day`,
		"0 0 31 4,6,9,11 *":   `never comes`,
	} {
		_, err := calendar.ParseCron(expr, time.UTC)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", expr, err, want)
		}
	}
}

// oracle finds the instants of a schedule in [from, to) by looking at every minute: wall times that come, at their
// first time, and for those that never come the first minute after them.
func oracle(c wallClock, from, to time.Time) []int64 {
	var out []int64
	seen := map[time.Time]bool{} // wall times that came
	var before time.Time
	for t := from.Add(-48 * time.Hour); t.Before(to); t = t.Add(time.Minute) {
		local := t.In(c.zone)
		wall := time.Date(local.Year(), local.Month(), local.Day(), local.Hour(), local.Minute(), 0, 0, time.UTC)
		due := !seen[wall] && c.matches(wall)
		for skipped := before.Add(time.Minute); !before.IsZero() && skipped.Before(wall); skipped = skipped.Add(time.Minute) {
			due = due || !seen[skipped] && c.matches(skipped)
		}
		seen[wall], before = true, wall
		if due && !t.Before(from) {
			out = append(out, t.UnixMilli())
		}
	}
	return out
}

// wallClock is a schedule as sets that no code of the room made.
type wallClock struct {
	minutes, hours, days, months, weekdays []int // nil: *
	zone                                   *time.Location
}

func (c wallClock) matches(wall time.Time) bool {
	in := func(set []int, v int) bool { return set == nil || slices.Contains(set, v) }
	day := in(c.days, wall.Day()) && in(c.weekdays, int(wall.Weekday()))
	if c.days != nil && c.weekdays != nil {
		day = in(c.days, wall.Day()) || in(c.weekdays, int(wall.Weekday()))
	}
	return in(c.minutes, wall.Minute()) && in(c.hours, wall.Hour()) && day && in(c.months, int(wall.Month()))
}

func (c wallClock) expr() string {
	var out []string
	for _, set := range [][]int{c.minutes, c.hours, c.days, c.months, c.weekdays} {
		if set == nil {
			out = append(out, "*")
			continue
		}
		out = append(out, strings.ReplaceAll(strings.Trim(fmt.Sprint(set), "[]"), " ", ","))
	}
	return strings.Join(out, " ")
}

// TestCronAgainstMinutes compares with the oracle around the changes of several zones.
func TestCronAgainstMinutes(t *testing.T) {
	changes := map[string][]string{
		"UTC":                 {"2026-02-28T12:00:00Z", "2026-12-31T12:00:00Z"},
		"Europe/Berlin":       {"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z"},
		"America/New_York":    {"2027-03-14T07:00:00Z", "2027-11-07T06:00:00Z"},
		"Australia/Lord_Howe": {"2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z"},
		"America/Havana":      {"2026-03-08T05:00:00Z", "2026-11-01T05:00:00Z"},
		"Asia/Kathmandu":      {"1985-12-31T18:30:00Z"},
		"Pacific/Apia":        {"2011-12-30T10:00:00Z"},
		"Africa/Casablanca":   {"2026-02-15T02:00:00Z", "2026-03-22T02:00:00Z"},
	}
	some := func(t *rapid.T, name string, least, most int) []int {
		if rapid.IntRange(0, 2).Draw(t, name+" any") == 0 {
			return nil
		}
		return rapid.SliceOfNDistinct(rapid.IntRange(least, most), 1, 4, rapid.ID).Draw(t, name)
	}
	for name, times := range changes {
		t.Run(name, func(t *testing.T) {
			z := zone(t, name)
			rapid.Check(t, func(t *rapid.T) {
				change, err := time.Parse(time.RFC3339, rapid.SampledFrom(times).Draw(t, "change"))
				if err != nil {
					t.Fatal(err)
				}
				c := wallClock{some(t, "minute", 0, 59), some(t, "hour", 0, 4), some(t, "day", 1, 31), nil, some(t, "weekday", 0, 6), z}
				from, to := change.Add(-6*time.Hour), change.Add(30*time.Hour)
				compiled, err := calendar.ParseCron(c.expr(), z)
				if err != nil {
					t.Fatal(err)
				}
				var got []int64
				for ms := compiled.Next(from.UnixMilli() - 1); ms < to.UnixMilli(); ms = compiled.Next(ms) {
					got = append(got, ms)
				}
				if diff := cmp.Diff(oracle(c, from, to), got); diff != "" {
					t.Fatalf("%s from %s:\n%s", c.expr(), from, diff)
				}
			})
		})
	}
}

// TestCronYears follows daily and weekly schedules through years of changes: every instant comes once, in order.
func TestCronYears(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"} {
		z := zone(t, name)
		for _, expr := range []string{"30 2 * * *", "15 1 * * SUN", "0 0 31 * *"} {
			days := datesOf(t, cron(t, expr, z), z)
			if want := map[string]int{"30 2 * * *": 3653, "15 1 * * SUN": 522, "0 0 31 * *": 70}[expr]; days != want {
				t.Errorf("%s in %s: %d days, want %d", expr, name, days, want)
			}
		}
	}
}

// datesOf counts the local dates of the instants of ten years, which must be in order.
func datesOf(t *testing.T, c *calendar.Cron, z *time.Location) int {
	dates := map[string]bool{}
	ms := time.Date(2020, 1, 1, 0, 0, 0, 0, z).UnixMilli() - 1
	for end := time.Date(2030, 1, 1, 0, 0, 0, 0, z).UnixMilli(); ; {
		next := c.Next(ms)
		if next >= end {
			return len(dates)
		}
		if next <= ms {
			t.Fatalf("%d after %d", next, ms)
		}
		ms = next
		dates[time.UnixMilli(ms).In(z).Format(time.DateOnly)] = true
	}
}

func FuzzParseCron(f *testing.F) {
	for _, seed := range []string{"0 9 * * MON", "5/15 0-4,7 */2 JAN-MAR 5-7", "0 0 31 2 *", "99 * * * *", "* * * * SUN-SUN"} {
		f.Add(seed, int64(1_780_000_000_000))
	}
	f.Fuzz(func(t *testing.T, expr string, after int64) {
		c, err := calendar.ParseCron(expr, zone(t, "America/New_York"))
		if err != nil {
			return
		}
		if next := c.Next(after); next <= after && next != math.MaxInt64 || next != math.MaxInt64 && next%60_000 != 0 && after > 0 {
			t.Fatalf("%q after %d: %d", expr, after, next)
		}
	})
}

func BenchmarkCronNext(b *testing.B) {
	for _, expr := range []string{"0 9 * * MON", "*/5 * * * *", "0 0 29 2 *"} {
		b.Run(expr, func(b *testing.B) {
			c := cron(b, expr, zone(b, "Europe/Paris"))
			b.ReportAllocs()
			for b.Loop() {
				c.Next(1_780_000_000_000)
			}
		})
	}
}
