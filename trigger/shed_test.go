package trigger_test

import (
	"fmt"
	"strings"
	"testing"
)

// A user's record stays below what vigil.state takes, whatever one producer writes; what is dropped for that is counted
// and the newest is kept (semantics 2.11).
func TestRecordHasAnEnd(t *testing.T) {
	const (
		set    = "trigger: {type: actions, key: k, did: [X, Y], within: 30d}\n"
		absent = "trigger: {type: inaction_within_time, key: k, did: X, did_not: Y, within: 30d}\n"
		most   = 8<<20 - 64<<10 // the topic's limit, less what stands around a record
	)
	for name, row := range map[string]struct {
		campaign   string
		events     int
		key, other int // bytes of the key, of another property
	}{
		"many keys with properties":   {set, 3000, 10, 3900},
		"keys of a megabyte":          {set, 12, 1_000_000, 0},
		"many long keys":              {set, 2000, 6000, 0},
		"timers, many with long keys": {absent, 2000, 6000, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdits(t, row.campaign)
			last := ""
			for i := range row.events {
				last = fmt.Sprintf("%07d%s", i, strings.Repeat("k", max(row.key-7, 0)))
				doc := fmt.Sprintf(`{"user":"u","type":"X","id":"x%d","time":%d,"properties":{"k":%q,"o":%q}}`,
					i, start+int64(i)*second, last, strings.Repeat("o", row.other))
				ev, err := e.lines.Decode([]byte(doc), int64(i))
				if err == nil {
					err = e.engine.Apply(ev)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			changed := 0
			e.engine.Changes(func(_ string, record []byte) {
				changed++
				if len(record) > most {
					t.Errorf("a record has %d bytes, at most %d can be written", len(record), most)
				}
			})
			if changed != 2 { // the user and the partition
				t.Errorf("%d records changed, want 2", changed)
			}
			e.engine.Commit()
			if n := e.engine.Stats().HistoryTruncated; n == 0 {
				t.Error("nothing is counted as history_truncated")
			}
			e.told = nil
			doc := fmt.Sprintf(`{"user":"u","type":"Y","id":"y","time":%d,"properties":{"k":%q}}`, start+int64(row.events)*second, last)
			ev, err := e.lines.Decode([]byte(doc), int64(row.events))
			if err == nil {
				err = e.engine.Apply(ev)
			}
			if err != nil || len(e.told) != 1 {
				t.Errorf("the newest event is forgotten: %q, %v", e.told, err)
			}
		})
	}
}
