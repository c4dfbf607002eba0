package state

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/dgraph-io/badger/v4"
)

// written is a store's rows as its owner knows them.
type written map[string][]byte

// some are n rows of a KiB, of which every tenth is deleted.
func (w written) some(r *rand.Rand, n int) (rows []Row) {
	for range n {
		row := Row{Key: fmt.Sprint("user", r.IntN(40_000))}
		if delete(w, row.Key); r.IntN(10) > 0 {
			row.Value = make([]byte, 1024)
			for i := range 16 {
				row.Value[i] = byte(r.Uint32())
			}
			w[row.Key] = row.Value
		}
		rows = append(rows, row)
	}
	return slices.DeleteFunc(rows, func(row Row) bool { // two of one user: the later one counts
		return !bytes.Equal(w[row.Key], row.Value)
	})
}

func (w written) compare(t *testing.T, b *Badger) {
	t.Helper()
	got := written{}
	must(t, b.Scan(func(k, v []byte) error { got[string(k)] = bytes.Clone(v); return nil }))
	if !maps.EqualFunc(got, w, bytes.Equal) {
		t.Errorf("the store has %d rows, not the %d that were written", len(got), len(w))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string) *Badger {
	t.Helper()
	b, _, err := OpenBadger(dir, Options{})
	must(t, err)
	return b
}

// New tables are merged before they are many, nothing that runs by the clock does it, and every row stays what it was
// written as: in a bubble, where a compactor of Badger's would let the test hang.
func TestMerge(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		r, rows := rand.New(rand.NewPCG(1, 2)), written{}
		b := open(t, dir)
		merges, before := 0, 0
		for range 60 {
			must(t, b.Write(rows.some(r, 3_000), Meta{}))
			must(t, b.Merge())
			fresh := b.db.Levels()[0].NumTables
			if fresh < before {
				merges++
			}
			if before = fresh; fresh > fewTables+5 { // five more may be on their way
				t.Fatalf("%d tables wait to be merged", fresh)
			}
		}
		if merges == 0 {
			t.Error("nothing was merged")
		}
		rows.compare(t, b)
		must(t, b.Close())
		b = open(t, dir)
		rows.compare(t, b)
		must(t, b.Close())
	})
}

// A store whose levels Badger's own compactors filled, as versions before this one left them, goes on.
func TestMergeOfSeveralLevels(t *testing.T) {
	dir := t.TempDir()
	r, rows := rand.New(rand.NewPCG(3, 4)), written{}
	db, err := badger.Open(badger.DefaultOptions(dir).WithLogger(nil).WithMemTableSize(1 << 20).WithBaseTableSize(256 << 10).
		WithBaseLevelSize(512 << 10).WithNumLevelZeroTables(2).WithNumCompactors(2).WithDetectConflicts(false).WithValueThreshold(64 << 10))
	must(t, err)
	full := func() (n int) {
		for _, level := range db.Levels()[1:] {
			if level.Size > 0 {
				n++
			}
		}
		return n
	}
	for i := 0; full() < 2; i++ {
		if i == 500 {
			t.Fatal("all of it stands in one level")
		}
		batch := db.NewWriteBatch()
		for _, row := range rows.some(r, 1_000) {
			if key := append([]byte{prefixRow}, row.Key...); row.Value == nil {
				must(t, batch.Delete(key))
			} else {
				must(t, batch.Set(key, row.Value))
			}
		}
		must(t, batch.Flush())
	}
	must(t, db.Close())
	b := open(t, dir)
	rows.compare(t, b)
	for i, before := 0, 0; b.db.Levels()[0].NumTables >= before; i++ {
		if i == 100 {
			t.Fatal("nothing was merged")
		}
		before = b.db.Levels()[0].NumTables
		must(t, b.Write(rows.some(r, 3_000), Meta{}))
		must(t, b.Merge())
	}
	for i, level := range b.db.Levels() {
		if i > 0 && i < len(b.db.Levels())-1 && level.Size > 0 {
			t.Errorf("%d bytes stand in level %d", level.Size, i)
		}
	}
	rows.compare(t, b)
	must(t, b.Close())
}

// While another store merges, and where there is no room for it, tables are left for later.
func TestMergeIsLeftForLater(t *testing.T) {
	r, rows := rand.New(rand.NewPCG(5, 6)), written{}
	b := open(t, t.TempDir())
	for b.db.Levels()[0].NumTables < fewTables+2 {
		must(t, b.Write(rows.some(r, 3_000), Meta{}))
	}
	left := func(why string) {
		t.Helper()
		must(t, b.Merge())
		if fresh := b.db.Levels()[0].NumTables; fresh < fewTables+2 {
			t.Errorf("%d new tables: merged %s", fresh, why)
		}
	}
	func() {
		merging.Lock()
		defer merging.Unlock()
		left("beside another store")
	}()
	b.reserve = 1 << 62
	left("on a disk without room")
	b.reserve = DefaultReserve
	must(t, b.Merge())
	if fresh := b.db.Levels()[0].NumTables; fresh > 1 { // one may come in after the last look
		t.Errorf("%d new tables: not merged", fresh)
	}
	rows.compare(t, b)
	must(t, b.Close())
}

func TestDue(t *testing.T) {
	const merged = 400 << 20
	for _, row := range []struct {
		tables      int
		fresh       int64
		merge, must bool
	}{
		{7, merged, false, false},
		{8, merged / 4, true, false},
		{8, merged/4 - 1, false, false},
		{79, merged/4 - 1, false, false},
		{80, 0, true, false},
		{159, merged, true, false},
		{160, 0, true, true},
	} {
		if merge, must := due(row.tables, row.fresh, merged); merge != row.merge || must != row.must {
			t.Errorf("%d tables of %d bytes: merge %v, must %v", row.tables, row.fresh, merge, must)
		}
	}
}
