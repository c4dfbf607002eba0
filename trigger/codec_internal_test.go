package trigger

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"vigil/campaign"
	"vigil/event"
)

var update = flag.Bool("update", false, "write the golden files anew")

var times = rapid.Int64Range(1_600_000_000_000, 1_900_000_000_000)

func drawThread(t *rapid.T, events []*event.Snapshot) *thread {
	th := &thread{}
	th.reset(rapid.StringN(0, 8, 20).Draw(t, "key"))
	th.spent = rapid.Bool().Draw(t, "spent")
	th.count = rapid.Uint64Range(0, 300).Draw(t, "count")
	pick := rapid.SampledFrom(events)
	for range rapid.IntRange(0, 4).Draw(t, "kept") {
		th.kept = append(th.kept, mark{pick.Draw(t, "ev"), rapid.Uint16().Draw(t, "did"), rapid.Bool().Draw(t, "not")})
	}
	th.dones = rapid.SliceOfN(times, 0, 4).Draw(t, "dones")
	if rapid.Bool().Draw(t, "cycle") {
		th.cycleT0, th.cycleEnd = times.Draw(t, "t0"), times.Draw(t, "end")
		th.dateTS, th.cancelTS = times.Draw(t, "date"), times.Draw(t, "cancel")
	}
	slots := rapid.SampledFrom([]string{"", "delay", "inaction", "session", "-1d@1748876400000"})
	for range rapid.IntRange(0, 2).Draw(t, "decided") {
		th.decided = append(th.decided, decidedSlot{slots.Draw(t, "slot"), times.Draw(t, "clock")})
		th.fired = append(th.fired, firedTimer{times.Draw(t, "t0"), times.Draw(t, "due"), "anchor", slots.Draw(t, "slot")})
	}
	for range rapid.IntRange(0, 3).Draw(t, "timers") {
		tm := &timer{due: times.Draw(t, "due"), t0: times.Draw(t, "t0"), slot: slots.Draw(t, "slot"), rev: 7}
		tm.deferred, tm.held, tm.resumed = rapid.Bool().Draw(t, "d"), rapid.Bool().Draw(t, "h"), rapid.Bool().Draw(t, "r")
		if rapid.Bool().Draw(t, "anchored") {
			tm.anchor = pick.Draw(t, "anchor")
		}
		for range rapid.IntRange(0, 2).Draw(t, "events") {
			tm.events = append(tm.events, pick.Draw(t, "ev"))
		}
		th.timers = append(th.timers, tm)
	}
	return th
}

func drawUser(t *rapid.T) *user {
	u := &user{}
	u.reset()
	var events []*event.Snapshot
	for range rapid.IntRange(1, 25).Draw(t, "events") {
		events = append(events, &event.Snapshot{
			ID: rapid.StringN(0, 6, 12).Draw(t, "id"), Type: "A", TS: times.Draw(t, "ts"), Props: []byte(`{"a":1}`),
		})
	}
	if rapid.Bool().Draw(t, "known") {
		u.erased, u.newest = times.Draw(t, "erased"), times.Draw(t, "newest")
		u.profile = []byte(`{"country":"CA"}`)
	}
	for range rapid.IntRange(0, 80).Draw(t, "seen") {
		u.seen = append(u.seen, seenID{rapid.Uint64().Draw(t, "hash"), times.Draw(t, "rt")})
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "sections") {
		s := next(&u.sections)
		s.reset(strings.Repeat("c", i+1), rapid.Uint32().Draw(t, "print"))
		s.fires = rapid.SliceOfN(times, 0, 3).Draw(t, "fires")
		for range rapid.IntRange(0, 3).Draw(t, "threads") {
			s.threads = append(s.threads, drawThread(t, events))
		}
	}
	return u
}

// A record reads back as what was written, also into a user that held another before.
func TestRecordRoundTrip(t *testing.T) {
	reused := &user{}
	rapid.Check(t, func(t *rapid.T) {
		var w, again writer
		record, flags, due := w.encode(drawUser(t))
		if record == nil {
			return
		}
		if err := reused.decode(record); err != nil {
			t.Fatal(err)
		}
		second, flags2, due2 := again.encode(reused)
		if !bytes.Equal(record, second) || flags != flags2 || due != due2 {
			t.Fatalf("wrote %x, read and wrote %x", record, second)
		}
		r := reader{b: record}
		if f, d := r.header(); f != flags || d != due {
			t.Fatalf("header says %b %d, want %b %d", f, d, flags, due)
		}
	})
}

// FuzzRecord: any bytes either decode or err; what decodes can be written again.
func FuzzRecord(f *testing.F) {
	for _, name := range goldenNames(f) {
		f.Add(readGolden(f, name))
	}
	f.Add([]byte{recordVersion, 0xff})
	f.Fuzz(func(t *testing.T, record []byte) {
		var u user
		if u.decode(record) == nil {
			new(writer).encode(&u)
		}
		_, _ = decodePartition(record)
	})
}

// The golden rows are of every version ever released; each must decode for good.
func TestGoldenRecords(t *testing.T) {
	if *update {
		record, _, _ := new(writer).encode(sampleUser())
		writeGolden(t, "user-v1.hex", record)
		writeGolden(t, "partition-v1.hex", (&partition{clock: 1748858400000, cursors: []cursor{{id: "weekly", next: 1749452400000}}}).encode())
		writeGolden(t, "partition-v1-visiting.hex", visiting().encode())
	}
	for v := 1; v <= recordVersion; v++ {
		name := fmt.Sprintf("user-v%d.hex", v)
		var u user
		if err := u.decode(readGolden(t, name)); err != nil {
			t.Fatal(err)
		}
		want, _, _ := new(writer).encode(sampleUser())
		if got, _, _ := new(writer).encode(&u); !bytes.Equal(got, want) {
			t.Errorf("%s reads as %x, want %x", name, got, want)
		}
	}
	part, err := decodePartition(readGolden(t, "partition-v1.hex"))
	if err != nil || part.clock != 1748858400000 || part.cursors[0] != (cursor{id: "weekly", next: 1749452400000}) {
		t.Errorf("partition-v1.hex reads as %+v, %v", part, err)
	}
	part, err = decodePartition(readGolden(t, "partition-v1-visiting.hex"))
	if err != nil || !part.equal(visiting()) {
		t.Errorf("partition-v1-visiting.hex reads as %+v, %v", part, err)
	}
}

// visiting is a partition of which two schedules are half evaluated.
func visiting() *partition {
	return &partition{clock: 1748858400000, cursors: []cursor{
		{id: "daily", next: 1748858398000, after: "ada"}, {id: "monthly", next: 1751277600000}, {id: "weekly", next: 1748858398000, after: "u7"},
	}}
}

// A record of a version to come is refused as such, wherever it is met; one that is malformed is another error.
func TestNewerRecordsAreRefused(t *testing.T) {
	newest := []byte{recordVersion + 1, 0, 0, 0, 0}
	engine := New(campaign.NewCatalog(nil), Options{}, func(*Decision) {})
	_, partition := decodePartition(newest)
	for name, err := range map[string]error{
		"user": new(user).decode(newest), "partition": partition, "load": engine.Load("ada", newest), "load partition": engine.Load(PartitionKey, newest),
	} {
		if !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), fmt.Sprintf("version %d, this program knows %d", recordVersion+1, recordVersion)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var bad *RecordError
	if err := engine.Load("ada", []byte{recordVersion}); !errors.As(err, &bad) || errors.Is(err, ErrNewer) || bad.User != "ada" {
		t.Errorf("a record cut short: %v", err)
	}
}

// The digest is that of what a store holds: the same after a restart, another where a record is lost or an older one.
func TestDigest(t *testing.T) {
	old, now := []byte{recordVersion, 0, 1}, []byte{recordVersion, 0, 2}
	digest := func(records map[string][]byte) uint64 {
		e := New(campaign.NewCatalog(nil), Options{}, func(*Decision) {})
		for name, record := range records {
			if err := e.Load(name, record); err != nil {
				t.Fatal(err)
			}
		}
		e.Checkpoint(math.MaxInt, func(string, []byte) {})
		return e.Digest()
	}
	e := New(campaign.NewCatalog(nil), Options{}, func(*Decision) {})
	for _, step := range []struct {
		name   string
		record []byte
	}{{"ada", old}, {"bob", old}, {"eve", now}, {"ada", now}, {"eve", nil}} {
		if err := e.Load(step.name, step.record); err != nil {
			t.Fatal(err)
		}
		e.Checkpoint(math.MaxInt, func(string, []byte) {})
	}
	all := map[string][]byte{"ada": now, "bob": old}
	if got := digest(all); got != e.Digest() {
		t.Errorf("digest %x after a restart, %x before", got, e.Digest())
	}
	for name, records := range map[string]map[string][]byte{
		"a record lost": {"ada": now}, "an older record": {"ada": old, "bob": old}, "nothing": {}, "one too many": {"ada": now, "bob": old, "eve": now},
	} {
		if digest(records) == e.Digest() {
			t.Errorf("%s has the same digest", name)
		}
	}
}

func sampleUser() *user {
	u := &user{}
	u.reset()
	u.erased, u.newest, u.profile = 1748858400000, 1748858460000, []byte(`{"country":"CA"}`)
	u.seen = []seenID{{1, 1748858400000}, {2, 1748858460000}}
	ev := &event.Snapshot{ID: "e1", Type: "cart_add", TS: 1748858460000, Props: []byte(`{"value":149.0}`)}
	s := next(&u.sections)
	s.reset("abandoned-cart", 0xdecade)
	s.fires = []int64{1748858400001}
	th := next(&s.threads)
	th.reset("cart-7")
	th.spent, th.count, th.kept, th.dones = true, 3, []mark{{ev, 5, true}}, []int64{1748858400000}
	th.cycleT0, th.cycleEnd, th.dateTS, th.cancelTS = 1, 2, 3, 4
	th.decided = []decidedSlot{{"-1d@1748876400000", 9}}
	th.fired = []firedTimer{{1, 2, "e0", "inaction"}}
	th.timers = []*timer{{due: 1748860260000, t0: 1748858460000, anchor: ev, events: []*event.Snapshot{ev}, slot: "inaction", rev: 9, held: true}}
	return u
}

func goldenNames(tb testing.TB) []string {
	names, err := filepath.Glob("testdata/*.hex")
	if err != nil {
		tb.Fatal(err)
	}
	return names
}

func readGolden(tb testing.TB, name string) []byte {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", filepath.Base(name)))
	if err != nil {
		tb.Fatal(err)
	}
	record, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		tb.Fatal(err)
	}
	return record
}

func writeGolden(tb testing.TB, name string, record []byte) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join("testdata", name), []byte(hex.EncodeToString(record)+"\n"), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// The heap gives deadlines back in order.
func TestHeap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h heap
		for i, due := range rapid.SliceOf(rapid.Int64Range(0, 50)).Draw(t, "dues") {
			h.push(entry{due, uint32(i)})
		}
		last := int64(-1)
		for len(h) > 0 {
			if h[0].due < last {
				t.Fatalf("%d after %d", h[0].due, last)
			}
			last = h[0].due
			h.pop()
		}
	})
}
