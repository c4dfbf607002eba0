package state

import (
	"fmt"
	"sync"
)

// Badger merges tables in the background, as many as it likes at a time, and so does every other partition of a process:
// all of them are due in the same seconds, for users are spread evenly. On two cores a fire then waited 400 ms for its turn
// (docs/decisions/0064). So Badger's own compactors are off, and who writes checkpoints merges, one store of the process at a time.
const (
	// tableBytes of a merged table, before compression. Badger merges up to three by one goroutine and more by up to five,
	// and takes twice as much memory for each table it makes, new ones too.
	tableBytes    = 16 << 20
	mergedBytes   = 1 << 40 // below which what is merged stands in one level
	fewTables     = 8       // new tables that are left alone: a read looks into each,
	mergeShare    = 4       // or while they are less than one part in so many of what they are merged into,
	manyTables    = 80      // but not for ever
	tooManyTables = 160     // for which a store waits for its turn
)

// merging is held by the store that merges.
var merging sync.Mutex

// Merge takes new tables into the merged ones where they are many, which takes about a second for 250,000 users. While another
// store of the process merges, and where the disk has no room for both, it leaves them for later; ErrFull says that they
// are too many for that. An error means that the store may be of no use until it is opened again.
func (b *Badger) Merge() error {
	levels := b.db.Levels()
	fresh, merged := levels[0], levels[len(levels)-1]
	merge, must := due(fresh.NumTables, fresh.Size, merged.Size)
	if !merge {
		return nil
	}
	if err := b.roomFor(uint64(fresh.Size + merged.Size)); err != nil {
		if !must {
			return nil
		}
		return fmt.Errorf("merge the state: %w", err)
	}
	if must {
		merging.Lock()
	} else if !merging.TryLock() {
		return nil
	}
	defer merging.Unlock()
	if err := b.db.Flatten(1); err != nil {
		return fmt.Errorf("merge the state: %w", err)
	}
	return nil
}

// due says whether so many new tables, of so many bytes, are to be merged into so many bytes, and whether that must be.
func due(tables int, fresh, merged int64) (merge, must bool) {
	return tables >= manyTables || tables >= fewTables && fresh >= merged/mergeShare, tables >= tooManyTables
}
