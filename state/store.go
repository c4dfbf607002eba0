// Package state keeps the records of users on the local disk, as a cache of the changelog topic that is thrown away
// and rebuilt whenever in doubt. Keys are users, values opaque bytes. It never interprets a value and knows no Kafka.
package state

// Row is one user's record; a nil Value deletes it.
type Row struct {
	Key   string
	Value []byte
}

// Meta is stored with the rows and says which changelog they are a cache of, and up to where.
type Meta struct {
	Offset  int64  // the next changelog offset to read
	TopicID string // of the changelog; another id means that the rows are of another topic
	Schema  int    // layout of rows and meta
	Digest  uint64 // of the rows, as their owner counts it
	Torn    bool   // a Write did not come to its end: some rows may be newer, and the digest is of before. Read, not written
	Written int64  // when, in ms since the epoch; a deletion older than the topic remembers makes the rows worthless
}

// Store holds the rows of one input partition. Get and Scan may be called while Write or Merge runs on another goroutine;
// Write has one caller.
type Store interface {
	// Get returns the value of key, or nil where there is none. The caller owns the bytes.
	Get(key string) ([]byte, error)
	// Scan calls f for every row, in no promised order, until f errs. The bytes are f's only during the call.
	Scan(f func(key, value []byte) error) error
	// Write stores rows, then meta; a crash in between leaves rows newer than meta, which a replay repairs. It may
	// sort rows in place; their bytes must not change until it returns.
	Write(rows []Row, meta Meta) error
	// Merge does what Writes have put off so that reads stay cheap. It has the caller of Write, and may take seconds.
	Merge() error
	// Close releases the store; rows written are kept.
	Close() error
}
