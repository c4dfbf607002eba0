package state

import (
	"fmt"
	"sync"
)

// Badger merges tables in the background, as many as it likes at a time, and so does every other partition of a process:
// all of them are due in the same seconds, for users are spread evenly. On two cores a fire then waited 400 ms for its turn
// (docs/decisions/0064). So Badger's own compactors are off, and whoever writes merges, one store of the process at a time.
const (
	tableBytes    = 16 << 20 // of a merged table; Badger merges up to three at a time by one goroutine
	mergedBytes   = 1 << 40  // below which what is merged stands in one level
	fewTables     = 8        // new tables that are left alone: a read looks into each,
	mergeShare    = 4        // or while they are less than one part in so many of what they are merged into,
	manyTables    = 40       // but not for ever
	tooManyTables = 80       // for which a store waits for its turn
)

// merging is held by the store that merges.
var merging sync.Mutex

// merge takes the new tables into the merged ones once they are many. Where the disk has no room for both it is left for
// later.
func (b *Badger) merge() error {
	levels := b.db.Levels()
	fresh, merged := levels[0], levels[len(levels)-1]
	if fresh.NumTables < fewTables || fresh.NumTables < manyTables && fresh.Size < merged.Size/mergeShare {
		return nil
	}
	if b.roomFor(uint64(fresh.Size+merged.Size)) != nil {
		return nil
	}
	if fresh.NumTables >= tooManyTables {
		merging.Lock()
	} else if !merging.TryLock() {
		return nil
	}
	defer merging.Unlock()
	if err := b.db.Flatten(1); err != nil {
		return fmt.Errorf("merge tables: %w", err)
	}
	return nil
}
