package completion_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"pgregory.net/rapid"

	"vigil/sink/completion"
)

func all(uint16, int32) bool { return true }

// note runs a file just long enough to note these.
func note(f *completion.File, done map[completion.Place]completion.Entry) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { f.Run(ctx) })
	for p, e := range done {
		f.Note(p, e)
	}
	cancel()
	running.Wait()
}

func places(from, n int) map[completion.Place]completion.Entry {
	done := map[completion.Place]completion.Entry{}
	for i := from; i < from+n; i++ {
		p := completion.Place{Topic: uint16(i % 4), Partition: int32(i % 8), Offset: int64(i)}
		done[p] = completion.Entry{ID: uint64(i) * 7919, Status: uint16(i % 3 * 100)}
	}
	return done
}

func TestWhatIsDoneIsRecalled(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "deep", "sink")
	first := places(0, 1000)
	note(completion.New(folder, "a", zerolog.Nop()), first)
	second := completion.New(folder, "a", zerolog.Nop()) // a restart
	if diff := cmp.Diff(first, second.Recall(all)); diff != "" {
		t.Error(diff)
	}
	got := second.Recall(func(topic uint16, partition int32) bool { return topic == 1 && partition == 5 })
	if len(got) != 125 {
		t.Errorf("%d of one partition", len(got))
	}
	if got := completion.New(folder, "b", zerolog.Nop()).Recall(all); len(got) != 0 {
		t.Errorf("%d of another instance", len(got))
	}
	at := completion.Place{Topic: 9, Offset: 7}
	for _, status := range []uint16{204, 0} { // answered, then done
		e := completion.Entry{ID: 1, Status: status}
		note(second, map[completion.Place]completion.Entry{at: e})
		if got := second.Recall(all)[at]; got != e {
			t.Errorf("got %v, want %v", got, e)
		}
	}
}

func TestItStaysSmallAndKeepsTheNewest(t *testing.T) {
	folder := t.TempDir()
	f := completion.New(folder, "a", zerolog.Nop())
	for i := range 20 {
		note(f, places(i*10_000, 10_000))
	}
	total := int64(0)
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		at, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		total += at.Size()
	}
	if total > 4<<20 || len(entries) > 2 {
		t.Errorf("%d bytes in %d files", total, len(entries))
	}
	got := f.Recall(all)
	for p, id := range places(170_000, 30_000) {
		if got[p] != id {
			t.Fatalf("%v is forgotten", p)
		}
	}
}

// TestDamageIsTolerated: whatever is done to the bytes, nothing is recalled that was not noted, and what comes after is.
func TestDamageIsTolerated(t *testing.T) {
	folder := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		path := filepath.Join(folder, "a.done")
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
		known := places(0, 50)
		note(completion.New(folder, "a", zerolog.Nop()), known)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for range rapid.IntRange(0, 20).Draw(t, "flips") {
			text[rapid.IntRange(0, len(text)-1).Draw(t, "at")] ^= byte(rapid.IntRange(1, 255).Draw(t, "bits"))
		}
		text = text[:rapid.IntRange(0, len(text)).Draw(t, "cut")]
		if rapid.Bool().Draw(t, "garbage") {
			text = append(text, bytes.Repeat([]byte{0}, rapid.IntRange(0, 100).Draw(t, "zeros"))...)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		later := places(100, 20)
		f := completion.New(folder, "a", zerolog.Nop())
		note(f, later)
		got := f.Recall(all)
		for p, id := range got {
			if known[p] != id && later[p] != id {
				t.Fatalf("%v was never noted", p)
			}
		}
		for p, id := range later {
			if got[p] != id {
				t.Fatalf("%v, noted after the damage, is forgotten", p)
			}
		}
	})
}

func TestDiskThatTakesNothing(t *testing.T) {
	for name, folder := range map[string]string{"full": "/dev", "no folder": filepath.Join(t.TempDir(), "file", "sub"), "none": ""} {
		file := "a"
		switch name {
		case "full": // every write to /dev/full says that the disk is full
			folder = t.TempDir()
			if err := os.Symlink("/dev/full", filepath.Join(folder, "a.done")); err != nil {
				t.Skip(err)
			}
		case "no folder":
			if err := os.WriteFile(filepath.Dir(folder), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		var text bytes.Buffer
		f := completion.New(folder, file, zerolog.New(&text))
		begin := time.Now()
		note(f, places(0, 10_000))
		if got := f.Recall(func(uint16, int32) bool { return true }); name != "full" && len(got) != 0 {
			t.Errorf("%s: %d recalled", name, len(got))
		}
		if told := bytes.Count(text.Bytes(), []byte("not written")); told > 1 || name != "none" && told == 0 {
			t.Errorf("%s: told %d times in %v", name, told, time.Since(begin))
		}
	}
}

func TestIDTellsRecordsApart(t *testing.T) {
	at := time.UnixMilli(1_800_000_000_000)
	seen := map[uint64]bool{}
	for i := range 1000 {
		for _, name := range []string{"", "a", "b", "0123456789abcdef"} {
			seen[completion.ID(at.Add(time.Duration(i)*time.Millisecond), name)] = true
		}
	}
	if len(seen) != 4000 {
		t.Errorf("%d identities of 4000 records", len(seen))
	}
}
