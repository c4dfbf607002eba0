package state_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vigil/state"
)

// stores are the implementations; open opens the store, or opens it again, and tells its meta.
func stores(t *testing.T) map[string]func() (state.Store, state.Meta) {
	dir := t.TempDir()
	memory := state.NewMemory()
	return map[string]func() (state.Store, state.Meta){
		"memory": func() (state.Store, state.Meta) { return memory, memory.Meta() },
		"badger": func() (state.Store, state.Meta) {
			b, meta, err := state.OpenBadger(filepath.Join(dir, "0"), state.Options{})
			if err != nil {
				t.Fatal(err)
			}
			return b, meta
		},
	}
}

func contents(t *testing.T, s state.Store) map[string]string {
	t.Helper()
	got := map[string]string{}
	if err := s.Scan(func(k, v []byte) error { got[string(k)] = string(v); return nil }); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestStore(t *testing.T) {
	for name, open := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s, meta := open()
			if meta != (state.Meta{}) {
				t.Errorf("a new store has the meta %+v", meta)
			}
			written := state.Meta{Offset: 42, TopicID: "a topic", Schema: 1, Written: 1700000000000}
			must(t, s.Write([]state.Row{{"m", []byte("a user named m")}, {"b", []byte{}}, {"\xffpartition", []byte("p")}}, state.Meta{}))
			must(t, s.Write([]state.Row{{"ada", []byte("1")}, {"b", nil}, {"gone", nil}}, written))
			want := map[string]string{"m": "a user named m", "ada": "1", "\xffpartition": "p"}
			for range 2 {
				if diff := cmp.Diff(want, contents(t, s)); diff != "" {
					t.Error(diff)
				}
				if v, err := s.Get("b"); v != nil || err != nil {
					t.Errorf("a deleted row: %q, %v", v, err)
				}
				if v, err := s.Get("ada"); string(v) != "1" || err != nil {
					t.Errorf("ada: %q, %v", v, err)
				}
				must(t, s.Close())
				if s, meta = open(); meta != written {
					t.Errorf("meta %+v, want %+v", meta, written)
				}
			}
			stop := errors.New("enough")
			if err := s.Scan(func(_, _ []byte) error { return stop }); !errors.Is(err, stop) {
				t.Errorf("Scan: %v", err)
			}
			must(t, s.Close())
		})
	}
}

// An empty value is a row, not a deletion.
func TestEmptyValue(t *testing.T) {
	for name, open := range stores(t) {
		s, _ := open()
		must(t, s.Write([]state.Row{{"ada", []byte{}}}, state.Meta{}))
		if v, err := s.Get("ada"); v == nil || err != nil {
			t.Errorf("%s: %v, %v", name, v, err)
		}
		must(t, s.Close())
	}
}

func TestStoreAgainstMap(t *testing.T) {
	for name, open := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s, _ := open()
			model := map[string]string{}
			rapid.Check(t, func(rt *rapid.T) {
				rows := map[string][]byte{}
				for range rapid.IntRange(0, 20).Draw(rt, "rows") {
					key := rapid.StringN(0, 8, 16).Draw(rt, "key")
					rows[key] = nil
					if rapid.Bool().Draw(rt, "set") {
						rows[key] = []byte(rapid.String().Draw(rt, "value"))
					}
				}
				var list []state.Row
				for k, v := range rows {
					list = append(list, state.Row{Key: k, Value: v})
					delete(model, k)
					if v != nil {
						model[k] = string(v)
					}
				}
				if err := s.Write(list, state.Meta{Offset: 1}); err != nil {
					rt.Fatal(err)
				}
				if diff := cmp.Diff(model, contents(t, s)); diff != "" {
					rt.Fatal(diff)
				}
			})
			must(t, s.Close())
		})
	}
}

// One Write beyond the size of a Badger transaction, with a value that is larger than one by itself.
func TestLargeWrite(t *testing.T) {
	for name, open := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s, _ := open()
			rows := []state.Row{{"large", make([]byte, 3<<20)}}
			for i := range 20_000 {
				rows = append(rows, state.Row{Key: fmt.Sprint("user-", i), Value: make([]byte, 200)})
			}
			must(t, s.Write(rows, state.Meta{Offset: 7}))
			must(t, s.Close())
			s, meta := open()
			if got := len(contents(t, s)); got != len(rows) || meta.Offset != 7 {
				t.Errorf("%d rows, meta %+v", got, meta)
			}
			must(t, s.Close())
		})
	}
}

func TestWipe(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "3")
	b, _, err := state.OpenBadger(dir, state.Options{})
	must(t, err)
	must(t, b.Write([]state.Row{{"ada", []byte("1")}}, state.Meta{Offset: 1}))
	must(t, b.Close())
	must(t, state.Wipe(dir))
	must(t, state.Wipe(dir))
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
	b, meta, err := state.OpenBadger(dir, state.Options{})
	must(t, err)
	if meta != (state.Meta{}) {
		t.Errorf("meta %+v", meta)
	}
	must(t, b.Close())
}

// A folder that Badger cannot make sense of is an error, not a panic: the caller wipes it.
func TestBroken(t *testing.T) {
	dir := t.TempDir()
	must(t, os.WriteFile(filepath.Join(dir, "MANIFEST"), []byte("this is none"), 0o644))
	if _, _, err := state.OpenBadger(dir, state.Options{}); err == nil {
		t.Error("a broken folder was opened")
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// A disk without room for a store is told before anything is written to it.
func TestNoRoom(t *testing.T) {
	_, _, err := state.OpenBadger(t.TempDir(), state.Options{Reserve: 1 << 62})
	if !errors.Is(err, state.ErrFull) {
		t.Errorf("opened on a disk without room: %v", err)
	}
}

// A disk that gets full under a store refuses the next write, and takes it once there is room again; the process lives.
func TestDiskGetsFull(t *testing.T) {
	disk := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=96m", "none", disk).CombinedOutput(); err != nil {
		t.Skipf("a small disk cannot be mounted: %s", out)
	}
	t.Cleanup(func() { must(t, exec.Command("umount", disk).Run()) })
	s, _, err := state.OpenBadger(filepath.Join(disk, "state"), state.Options{})
	must(t, err)
	must(t, s.Write([]state.Row{{"ada", []byte("1")}}, state.Meta{Offset: 1}))

	ballast := filepath.Join(disk, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 100<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk did not get full: %v", err)
	}
	if err := s.Write(sizedRows(4<<20), state.Meta{Offset: 2}); !errors.Is(err, state.ErrFull) {
		t.Errorf("a write to a full disk: %v", err)
	}
	if v, err := s.Get("ada"); string(v) != "1" || err != nil {
		t.Errorf("ada on a full disk: %q, %v", v, err)
	}
	must(t, os.Remove(ballast))
	must(t, s.Write(sizedRows(1<<20), state.Meta{Offset: 3}))

	if err := os.WriteFile(ballast, make([]byte, 100<<20), 0o644); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk did not get full again: %v", err)
	}
	must(t, s.Close())
	must(t, os.Remove(ballast))
	s, meta, err := state.OpenBadger(filepath.Join(disk, "state"), state.Options{})
	must(t, err)
	if meta != (state.Meta{}) {
		t.Errorf("what was given up has the meta %+v", meta)
	}
	must(t, s.Close())
}

// sizedRows are rows of so many bytes in all.
func sizedRows(bytes int) (rows []state.Row) {
	for i := range bytes / 1024 {
		rows = append(rows, state.Row{Key: fmt.Sprint("user", i), Value: make([]byte, 1024)})
	}
	return rows
}
