package state

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
)

// Keys begin with a byte that tells what they are, so that no user can be taken for the meta.
const (
	prefixRow = 'u'
	keyMeta   = "m"
	keyTorn   = "w" // there from the first transaction of a Write to its last
)

// Sizes of one database; there is one for each partition (streaming 6). A batch of Badger is 15 % of a memtable.
const (
	memTableBytes   = 8 << 20
	blockCacheBytes = 4 << 20
	valueLogBytes   = 16 << 20
)

// DefaultReserve is the room on the disk, in bytes, below which a Badger writes nothing more: its files are mapped into
// memory with holes in them, and a process that writes into a hole which the disk has no room for is killed by SIGBUS.
const DefaultReserve = 64 << 20

// ErrFull says that the disk has too little room left to write to it safely.
var ErrFull = errors.New("the disk is full")

// Options of a Badger.
type Options struct {
	// Reserve is the room that the disk must have, in bytes; 0: DefaultReserve.
	Reserve uint64
}

// Badger is a Store in a folder of its own, which it locks against other processes.
type Badger struct {
	db      *badger.DB
	dir     string
	reserve uint64
}

// OpenBadger opens the store in dir, made where it is missing, and tells the meta of the last Write; the zero Meta
// where there was none. ErrFull means that the disk has no room for a store, ErrLocked that the folder is another's; any
// other error that it is of no use: see Wipe.
func OpenBadger(dir string, opt Options) (*Badger, Meta, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, Meta{}, fmt.Errorf("make the state folder: %w", err)
	}
	b := &Badger{dir: dir, reserve: cmp.Or(opt.Reserve, DefaultReserve)}
	if err := b.roomFor(0); err != nil {
		return nil, Meta{}, err
	}
	o := badger.DefaultOptions(dir).
		WithLogger(nil).
		WithMemTableSize(memTableBytes).
		WithNumCompactors(0). // see Merge
		WithNumLevelZeroTables(1).
		WithNumLevelZeroTablesStall(math.MaxInt32).
		WithBaseTableSize(tableBytes).
		WithBaseLevelSize(mergedBytes).
		WithBlockCacheSize(blockCacheBytes).
		WithValueLogFileSize(valueLogBytes).
		WithCompression(options.Snappy).
		WithMetricsEnabled(false).
		WithDetectConflicts(false).
		WithChecksumVerificationMode(options.OnBlockRead).
		WithSyncWrites(false)
	leave, err := b.enter()
	if err != nil {
		return nil, Meta{}, err
	}
	db, err := b.openDB(o)
	if err != nil {
		leave()
		if isLocked(err) {
			err = fmt.Errorf("%w: %w", ErrLocked, err)
		}
		return nil, Meta{}, fmt.Errorf("open the state in %s: %w", dir, err)
	}
	b.db = db
	raw, err := b.read([]byte(keyMeta))
	var torn []byte
	if err == nil {
		torn, err = b.read([]byte(keyTorn))
	}
	if err != nil {
		return nil, Meta{}, errors.Join(err, db.Close())
	}
	meta := decodeMeta(raw)
	meta.Torn = torn != nil
	return b, meta, nil
}

// openDB opens the database; a panic over what it finds there is an error.
func (b *Badger) openDB(o badger.Options) (db *badger.DB, err error) {
	if err := b.checkTables(); err != nil {
		return nil, err
	}
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the files are damaged: %v", v)
		}
	}()
	return badger.Open(o)
}

// Wipe removes the folder of a store that is closed; a folder that is not there is fine.
func Wipe(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("wipe the state: %w", err)
	}
	return nil
}

// Get returns the value of key, or nil where there is none.
func (b *Badger) Get(key string) ([]byte, error) {
	return b.read(append([]byte{prefixRow}, key...))
}

func (b *Badger) read(key []byte) (value []byte, err error) {
	err = b.db.View(func(txn *badger.Txn) error {
		found, err := txn.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		value, err = found.ValueCopy([]byte{})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the state: %w", err)
	}
	return value, nil
}

// Scan calls f for every row, until f errs. Rows that are damaged may be left out: see Meta.Digest.
func (b *Badger) Scan(f func(key, value []byte) error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("scan the state: the files are damaged: %v", v)
		}
	}()
	err = b.db.View(func(txn *badger.Txn) error {
		it := txn.NewIterator(badger.IteratorOptions{Prefix: []byte{prefixRow}})
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			row := it.Item()
			if err := row.Value(func(v []byte) error { return f(row.Key()[1:], v) }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("scan the state: %w", err)
	}
	return nil
}

// roomFor errs with ErrFull where the disk would have less than the reserve left after some bytes more.
func (b *Badger) roomFor(bytes uint64) error {
	free, ok := room(b.dir)
	if !ok || free >= b.reserve+bytes {
		return nil
	}
	return fmt.Errorf("%w: %s has %d MiB left, %d must stay free", ErrFull, b.dir, free>>20, b.reserve>>20)
}

// Write stores rows in the order of their keys, in transactions as large as they may be, and meta in the last one. It
// writes nothing and errs with ErrFull where the disk has too little room.
func (b *Badger) Write(rows []Row, meta Meta) error {
	if err := b.roomFor(2 * bytesOf(rows)); err != nil { // once in the log of the memtable, once in a table
		return fmt.Errorf("write the state: %w", err)
	}
	slices.SortFunc(rows, func(x, y Row) int { return strings.Compare(x.Key, y.Key) })
	keys := make([]byte, 0, keyBytes(rows))
	w := writer{db: b.db, txn: b.db.NewTransaction(true)}
	defer func() { w.txn.Discard() }()
	if err := w.put([]byte(keyTorn), []byte{}); err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	for _, r := range rows {
		start := len(keys)
		keys = append(append(keys, prefixRow), r.Key...)
		if err := w.put(keys[start:len(keys):len(keys)], r.Value); err != nil {
			return fmt.Errorf("write the state: %w", err)
		}
	}
	err := w.put([]byte(keyTorn), nil)
	if err == nil {
		err = w.put([]byte(keyMeta), encodeMeta(meta))
	}
	if err == nil {
		err = w.txn.Commit()
	}
	if err != nil {
		return fmt.Errorf("write the state: %w", err)
	}
	return nil
}

func keyBytes(rows []Row) int {
	n := 0
	for _, r := range rows {
		n += 1 + len(r.Key)
	}
	return n
}

func bytesOf(rows []Row) (n uint64) {
	for _, r := range rows {
		n += uint64(len(r.Key) + len(r.Value))
	}
	return n
}

// writer spreads rows over transactions.
type writer struct {
	db  *badger.DB
	txn *badger.Txn
}

func (w *writer) put(key, value []byte) error {
	err := w.set(key, value)
	if !errors.Is(err, badger.ErrTxnTooBig) {
		return err
	}
	if err := w.txn.Commit(); err != nil {
		return err
	}
	w.txn = w.db.NewTransaction(true)
	return w.set(key, value)
}

func (w *writer) set(key, value []byte) error {
	if value == nil {
		return w.txn.Delete(key)
	}
	return w.txn.Set(key, value)
}

// Close releases the folder. To close is to write what stands in the log of the memtable into a table: where the disk has
// no room for that, the rows are given up, which makes room.
func (b *Badger) Close() error {
	if err := b.roomFor(0); err != nil {
		if err := b.db.DropAll(); err != nil {
			return fmt.Errorf("give up the state: %w", err)
		}
	}
	if err := errors.Join(b.db.Close(), b.Trust()); err != nil {
		return fmt.Errorf("close the state: %w", err)
	}
	return nil
}

// metaVersion of what encodeMeta writes; version 1 had no digest.
const metaVersion = 2

// encodeMeta writes a version, then the numbers, then the topic id.
func encodeMeta(m Meta) []byte {
	raw := binary.AppendVarint([]byte{metaVersion}, m.Offset)
	raw = binary.AppendVarint(raw, int64(m.Schema))
	raw = binary.AppendVarint(raw, m.Written)
	raw = binary.LittleEndian.AppendUint64(raw, m.Digest)
	return append(raw, m.TopicID...)
}

// unknownSchema is the schema of a meta that this version cannot read.
const unknownSchema = -1

// decodeMeta is the zero Meta for nothing, and one of an unknown schema for what encodeMeta of this version did not write.
func decodeMeta(raw []byte) Meta {
	if len(raw) == 0 {
		return Meta{}
	}
	unknown := Meta{Schema: unknownSchema}
	if raw[0] != metaVersion {
		return unknown
	}
	raw = raw[1:]
	var numbers [3]int64
	for i := range numbers {
		v, n := binary.Varint(raw)
		if n <= 0 {
			return unknown
		}
		numbers[i], raw = v, raw[n:]
	}
	if len(raw) < 8 {
		return unknown
	}
	digest := binary.LittleEndian.Uint64(raw)
	return Meta{Offset: numbers[0], Schema: int(numbers[1]), Written: numbers[2], Digest: digest, TopicID: string(raw[8:])}
}
