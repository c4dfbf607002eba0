package trigger

import (
	"encoding/json"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDescribe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := drawUser(t)
		record, _, due := new(writer).encode(u)
		if record == nil {
			return
		}
		d, err := Describe(record)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatal(err)
		}
		timers, want := 0, 0
		for _, c := range d.Campaigns {
			for _, th := range c.Threads {
				timers += len(th.Timers)
			}
		}
		u.eachTimer(func(*section, *thread, *timer) { want++ })
		if timers != want || len(d.Campaigns) != len(u.sections) || d.SeenIDs != len(u.seen) {
			t.Fatalf("%d timers, want %d: %+v", timers, want, d)
		}
		if due != never && !d.NextDue.Equal(time.UnixMilli(due)) || due == never && !d.NextDue.IsZero() {
			t.Fatalf("next due %s, want %d", d.NextDue, due)
		}
	})
}

func FuzzDescribe(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{recordVersion, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{9, 9})
	f.Add([]byte{recordVersion, flagProfile, 0, 0, 2, '{', '}', 0, 0, 0})
	f.Add([]byte{recordVersion, flagProfile, 0, 0, 1, '{', 0, 0, 0})
	f.Add([]byte{recordVersion, 0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, record []byte) {
		d, err := Describe(record)
		if err != nil {
			return
		}
		if _, err := json.Marshal(d); err != nil {
			t.Fatal(err)
		}
	})
}
