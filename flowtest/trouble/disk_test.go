package trouble

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/processor"
	"vigil/state"
	"vigil/trigger"
)

// partitionDir is where the state of a partition is kept.
func (s *stage) partitionDir(id int32) string { return filepath.Join(s.dir, "state", fmt.Sprint(id)) }

// damage is done to the folder of a partition while the processor is stopped.
type damage func(s *stage, dir string)

// files are the files of a kind in dir; there must be some.
func (s *stage) files(dir, kind string) []string {
	s.t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, kind))
	s.must(err)
	if len(found) == 0 {
		s.t.Fatalf("no %s in %s: there is nothing to damage", kind, dir)
	}
	return found
}

func removed(kind string) damage {
	return func(s *stage, dir string) {
		for _, f := range s.files(dir, kind) {
			s.must(os.Remove(f))
		}
	}
}

// cutTo shortens files to a part of what they are.
func cutTo(part float64, kind string) damage {
	return func(s *stage, dir string) {
		for _, f := range s.files(dir, kind) {
			stat, err := os.Stat(f)
			s.must(err)
			s.must(os.Truncate(f, int64(part*float64(stat.Size()))))
		}
	}
}

// scrambled has random bytes here and there in files; those of a memtable are about its beginning, where its entries are.
func scrambled(seed uint64, kind string) damage {
	return func(s *stage, dir string) {
		chance := rand.New(rand.NewPCG(seed, 7))
		for _, f := range s.files(dir, kind) {
			raw, err := os.ReadFile(f)
			s.must(err)
			for range 1 + chance.IntN(20) {
				if n := min(len(raw), 4096); n > 0 {
					raw[chance.IntN(n)] = byte(chance.Uint32())
				}
			}
			s.must(os.WriteFile(f, raw, 0o644))
		}
	}
}

// marked gives a store another meta.
func marked(change func(*state.Meta)) damage {
	return func(s *stage, dir string) {
		store, meta, err := state.OpenBadger(dir, state.Options{})
		s.must(err)
		change(&meta)
		s.must(store.Write(nil, meta))
		s.must(store.Close())
	}
}

// damaged is a partition of the test with what happens to it.
type damaged struct {
	name string
	do   damage
	log  string // of the partition's line that tells of a rebuild; empty: it may be harmless
}

const undamaged = "none"

// anyDamage comes to a store that was closed, and to one as a crash leaves it.
func anyDamage() []damaged {
	all := []damaged{
		{undamaged, func(*stage, string) {}, ""},
		{"all deleted", func(s *stage, dir string) { s.must(os.RemoveAll(dir)) }, ""},
		{"a file in place of the folder", func(s *stage, dir string) {
			s.must(os.RemoveAll(dir))
			s.must(os.WriteFile(dir, []byte("x"), 0o644))
		}, "not a directory"},
		{"manifest deleted", removed("MANIFEST"), ""},
		{"manifest emptied", cutTo(0, "MANIFEST"), ""},
		{"manifest cut", cutTo(0.6, "MANIFEST"), ""},
		{"key registry deleted", removed("KEYREGISTRY"), ""},
		{"key registry cut", cutTo(0.5, "KEYREGISTRY"), ""},
		{"value logs deleted", removed("*.vlog"), ""},
		{"value logs cut", cutTo(0.0000001, "*.vlog"), ""},
		{"discards scrambled", scrambled(1, "DISCARD"), ""},
		{"another changelog", marked(func(m *state.Meta) { m.TopicID = "another" }), "of another changelog topic"},
		{"ahead of the changelog", marked(func(m *state.Meta) { m.Offset = 1 << 40 }), "ahead of the changelog"},
		{"behind the changelog", marked(func(m *state.Meta) { m.Offset = -1 }), "behind the beginning of the changelog"},
		{"a newer schema", marked(func(m *state.Meta) { m.Schema = 99 }), "written by another version"},
		{"too old", marked(func(m *state.Meta) { m.Written = time.Now().Add(-90 * time.Hour).UnixMilli() }), "too old"},
		{"rows that nobody counted", marked(func(m *state.Meta) { m.Digest++ }), "rows are missing or damaged"},
		{"a user lost", anyRow(func([]byte) []byte { return nil }), "rows are missing or damaged"},
		{"a user as before", anyRow(func(row []byte) []byte { row[len(row)-1] ^= 1; return row }), "rows are missing or damaged"},
		{"a user of a newer version", anyRow(func(row []byte) []byte { row[0]++; return row }), "this program knows"},
		{"a clock that cannot be read", func(s *stage, dir string) {
			store, meta, err := state.OpenBadger(dir, state.Options{})
			s.must(err)
			s.must(store.Write([]state.Row{{Key: trigger.PartitionKey, Value: []byte{1}}}, meta))
			s.must(store.Close())
		}, "cut short or malformed"},
		{"no word of what it is", marked(func(m *state.Meta) { *m = state.Meta{} }), "it does not say what it is"},
		{"the process ended twice while it was opened", func(s *stage, dir string) {
			s.must(os.WriteFile(filepath.Join(dir, "opening"), []byte(".."), 0o644))
		}, "the process ended while it was opened"},
	}
	for seed := range uint64(2) {
		all = append(all,
			damaged{fmt.Sprint("manifest scrambled ", seed), scrambled(seed, "MANIFEST"), ""},
			damaged{fmt.Sprint("key registry scrambled ", seed), scrambled(seed, "KEYREGISTRY"), ""},
			damaged{fmt.Sprint("value logs scrambled ", seed), scrambled(seed, "*.vlog"), ""})
	}
	return all
}

// damageOf are those of one kind of file, whose loss is noticed.
func damageOf(kind, log string) []damaged {
	all := []damaged{{kind + " deleted", removed(kind), log}}
	for _, part := range []float64{0, 0.00001, 0.2, 0.6, 0.99} {
		all = append(all, damaged{fmt.Sprint(kind, " cut to ", part), cutTo(part, kind), ""})
	}
	for seed := range uint64(8) {
		all = append(all, damaged{fmt.Sprint(kind, " scrambled ", seed), scrambled(seed, kind), ""})
	}
	return all
}

// anyRow changes one user's row behind the back of everybody, as the loss of a file may that held the newest.
func anyRow(change func(row []byte) []byte) damage {
	return func(s *stage, dir string) {
		store, meta, err := state.OpenBadger(dir, state.Options{})
		s.must(err)
		rows := map[string][]byte{}
		s.must(store.Scan(func(key, value []byte) error { rows[string(key)] = slices.Clone(value); return nil }))
		for key, row := range rows {
			if key != trigger.PartitionKey {
				s.must(store.Write([]state.Row{{Key: key, Value: change(row)}}, meta))
				break
			}
		}
		s.must(store.Close())
	}
}

// TestGateG7StateDisposable: the state on the disk is deleted, cut, scrambled, aged, or of something else, in each partition
// in its own way. It is a cache: what is fired is what an uninterrupted run fires, and in the end disk and changelog agree
// on every user. It runs on the ordinary clock: a database that cannot be opened leaves a goroutine behind.
func TestGateG7StateDisposable(t *testing.T) {
	t.Run("after a stop", func(t *testing.T) {
		t.Parallel()
		disposable(t, false, append(anyDamage(), damageOf("*.sst", "rebuilt")...))
	})
	t.Run("after a crash", func(t *testing.T) {
		t.Parallel()
		disposable(t, true, append(anyDamage(), damageOf("*.mem", "")...))
	})
}

// disposable runs with damages between two lives of a processor, one partition for each.
func disposable(t *testing.T, crash bool, damages []damaged) {
	t.Helper()
	s := onClock(t, len(damages))
	p := s.start()
	for range 2 {
		s.sendRound()
		s.settled()
	}
	left := t.TempDir()
	if crash { // what a SIGKILL leaves is what is there now
		s.must(os.CopyFS(filepath.Join(left, "state"), os.DirFS(filepath.Join(s.dir, "state"))))
		s.sendRound()
		s.settled()
	}
	p.stop()
	if crash {
		s.dir = left
	}
	for id, d := range damages {
		d.do(s, s.partitionDir(int32(id)))
	}
	s.text.Reset()
	p = s.start()
	s.sendRound()
	s.settled()
	p.stop()
	for id, d := range damages {
		line := s.text.Line(fmt.Sprintf(`"partition":%d,`, id), "rebuilt from the changelog")
		if !strings.Contains(line, d.log) || d.name == undamaged && line != "" {
			t.Errorf("%s: the log lacks %q: %s", d.name, d.log, line)
		}
	}
	s.agrees()
}

// agrees wants the same users on the disk of a processor that has stopped as in the changelog.
func (s *stage) agrees() {
	s.t.Helper()
	for id := range int32(s.partitions()) {
		want, got := map[string]string{}, map[string]string{}
		for _, r := range s.read(s.topics.State) {
			switch {
			case r.Partition != id:
			case r.Value == nil:
				delete(want, string(r.Key))
			default:
				want[string(r.Key)] = string(r.Value)
			}
		}
		store, _, err := state.OpenBadger(s.partitionDir(id), state.Options{})
		s.must(err)
		s.must(store.Scan(func(key, value []byte) error { got[string(key)] = string(value); return nil }))
		s.must(store.Close())
		if len(want) == 0 {
			s.t.Errorf("the changelog of partition %d is empty", id)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			s.t.Errorf("users of partition %d on the disk (-changelog +disk)\n%s", id, diff)
		}
	}
}

// However many partitions a process has, what they did is on the disk soon after they fell silent, though one writes at a
// time.
func TestCheckpointsOfManyPartitions(t *testing.T) {
	const many = 24
	inBubbleOf(t, many, func(s *stage) {
		p := s.start()
		s.sendRound()
		s.settled()
		<-time.After(time.Second)
		left := t.TempDir()
		s.must(os.CopyFS(left, os.DirFS(s.dir)))
		p.stop()
		s.dir = left
		for id := range int32(many) {
			store, meta, err := state.OpenBadger(s.partitionDir(id), state.Options{})
			s.must(err)
			if meta == (state.Meta{}) {
				t.Errorf("nothing of partition %d is on the disk", id)
			}
			s.must(store.Close())
		}
	})
}

// A second owner of the same folder is refused with what to do, and does not touch it.
func TestSecondOwnerOfAFolder(t *testing.T) {
	inBubble(t, func(s *stage) {
		p := s.start()
		s.sendRound()
		s.settled()
		other := s.start(func(cfg *processor.Config) {
			cfg.Instance, cfg.Group, cfg.Topics.State = "b", "another.processor", "another.state"
		})
		other.ended("another process has", filepath.Join(s.dir, "state"), "its own data_dir")
		if text := s.text.Text(); strings.Contains(text, "rebuilt") {
			t.Errorf("the folder in use was wiped:\n%s", text)
		}
		s.sendRound()
		s.settled()
		p.stop()
	})
}
