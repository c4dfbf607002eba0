package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// Badger opens its tables in goroutines of its own and takes their ends for what they should be: one that was cut short
// ends the process, and one whose index is damaged is left out without a word. So the ends are looked at before. A table
// is blocks, then an index, its length, the index's checksum and its length.

var errTable = errors.New("is damaged")

// checkTables errs where the end of a table is not what Badger wrote.
func (b *Badger) checkTables() error {
	names, err := filepath.Glob(filepath.Join(b.dir, "*.sst"))
	for _, name := range names {
		err = errors.Join(err, checkTable(name))
	}
	return err
}

func checkTable(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	end := &tail{file: f}
	if stat, err := f.Stat(); err == nil {
		end.left = stat.Size()
	}
	sum := end.take(end.length())
	index := end.take(end.length())
	want, ok := checksum(sum)
	if end.bad || !ok || len(index) == 0 || crc32.Checksum(index, crc32.MakeTable(crc32.Castagnoli)) != want {
		return fmt.Errorf("table %s: %w", name, errTable)
	}
	return nil
}

// tail reads a file from its end.
type tail struct {
	file *os.File
	left int64 // bytes not taken yet
	bad  bool  // there was less than was asked for
}

func (t *tail) take(n int64) []byte {
	if t.bad || n > t.left {
		t.bad = true
		return nil
	}
	t.left -= n
	raw := make([]byte, n)
	_, err := t.file.ReadAt(raw, t.left)
	t.bad = err != nil
	return raw
}

func (t *tail) length() int64 {
	raw := t.take(4)
	if t.bad {
		return 0
	}
	return int64(binary.BigEndian.Uint32(raw))
}

// checksum reads Badger's, a message of protocol buffers: field 1 is the algorithm, 0 for CRC32 and left out then, field 2
// the sum.
func checksum(raw []byte) (sum uint32, ok bool) {
	const sumField, varint = 2, 0
	tag, n := binary.Uvarint(raw)
	if n <= 0 || tag != sumField<<3|varint {
		return 0, false
	}
	v, m := binary.Uvarint(raw[n:])
	return uint32(v), m > 0 && n+m == len(raw)
}
