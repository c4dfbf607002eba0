// Package completion is the completion file: which deliveries of this instance are answered, and which are done, written
// down within moments and never synced. It lies between an answer and the next commit of offsets: a sink that is killed
// finds in it what it need not send again. It survives a kill, not a crash of the machine, and it is never needed:
// without it, or with a damaged one, more deliveries are sent twice, none is lost. It never calls done what the broker
// has not got.
package completion

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	entrySize  = 28              // checksum, status, topic, partition, offset, identity
	fileSize   = 1 << 20         // bytes before a new file is begun; the one before is kept
	maxPending = 1 << 20         // bytes that wait for a slow disk; more are let go
	quarantine = 5 * time.Second // after an error of the disk
)

// Place is one offset of one partition. Topic is a number of the caller's.
type Place struct {
	Topic     uint16
	Partition int32
	Offset    int64
}

// Entry is what is known of the record at a place.
type Entry struct {
	ID     uint64 // as ID gives it
	Status uint16 // that of the answer where the outcome is not acked yet; 0: done
}

// ID tells the record at an offset from another one that may be there in another life of the topic.
func ID(at time.Time, name string) uint64 {
	const prime = 1099511628211 // FNV-1a
	h := uint64(14695981039346656037)
	for i, ms := 0, at.UnixMilli(); i < 8; i++ {
		h = (h ^ uint64(ms>>(8*i)&0xff)) * prime
	}
	for i := range len(name) {
		h = (h ^ uint64(name[i])) * prime
	}
	return h
}

// File is the completion file of one instance. Note may be called by many at a time.
type File struct {
	path string
	log  zerolog.Logger
	wake chan struct{} // holds 1

	mu      sync.Mutex // guards what follows
	pending []byte
	spare   []byte

	// Owned by Run.
	file *os.File
	size int64
	rest time.Time // no writing before
}

// New makes a file named so in a folder, which need not exist; an empty folder means that nothing is written.
func New(folder, name string, log zerolog.Logger) *File {
	f := &File{log: log, wake: make(chan struct{}, 1)}
	if folder != "" {
		f.path = filepath.Join(folder, name+".done")
	}
	return f
}

// Note notes what is known of the record at a place. It does not wait for the disk.
func (f *File) Note(p Place, e Entry) {
	if f.path == "" {
		return
	}
	f.mu.Lock()
	if len(f.pending) < maxPending {
		f.pending = appendEntry(f.pending, p, e)
	}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func appendEntry(b []byte, p Place, e Entry) []byte {
	at := len(b)
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, e.Status)
	b = binary.BigEndian.AppendUint16(b, p.Topic)
	b = binary.BigEndian.AppendUint32(b, uint32(p.Partition))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Offset))
	b = binary.BigEndian.AppendUint64(b, e.ID)
	binary.BigEndian.PutUint32(b[at:], crc32.ChecksumIEEE(b[at+4:]))
	return b
}

// Run writes until ctx ends.
func (f *File) Run(ctx context.Context) {
	defer f.close()
	for {
		select {
		case <-f.wake:
			f.write(time.Now())
		case <-ctx.Done():
			f.write(time.Now())
			return
		}
	}
}

// write writes what is pending. After an error it rests, and forgets what comes meanwhile: nothing waits for it.
func (f *File) write(now time.Time) {
	f.mu.Lock()
	batch := f.pending
	f.pending, f.spare = f.spare[:0], nil
	f.mu.Unlock()
	if len(batch) > 0 && !now.Before(f.rest) {
		if err := f.append(batch); err != nil {
			f.rest = now.Add(quarantine)
			f.close()
			f.log.Warn().Err(err).Msg("completion file not written: a kill now would send more deliveries twice")
		}
	}
	f.mu.Lock()
	f.spare = batch[:0]
	f.mu.Unlock()
}

func (f *File) append(batch []byte) error {
	if err := f.open(); err != nil {
		return err
	}
	n, err := f.file.Write(batch)
	if err != nil { // a part of it may be there: entries must stay in step
		return errors.Join(err, f.file.Truncate(f.size))
	}
	if f.size += int64(n); f.size < fileSize {
		return nil
	}
	f.close()
	return os.Rename(f.path, f.older())
}

func (f *File) older() string { return f.path + ".1" }

// open opens the file for writing behind its last whole entry.
func (f *File) open() error {
	if f.file != nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	at, err := file.Stat()
	if err == nil {
		f.size = at.Size() - at.Size()%entrySize
		err = file.Truncate(f.size)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	f.file = file
	return nil
}

func (f *File) close() {
	if f.file != nil {
		_ = f.file.Close() // nothing was promised
		f.file = nil
	}
}

// Recall reads back what was noted last of each place that is wanted. What cannot be read says nothing.
func (f *File) Recall(wanted func(topic uint16, partition int32) bool) map[Place]Entry {
	if f.path == "" {
		return nil
	}
	noted := map[Place]Entry{}
	for _, name := range [...]string{f.older(), f.path} {
		text, err := read(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.log.Warn().Err(fmt.Errorf("read the completion file: %w", err)).Msg("what was done since the last commit is sent again")
		}
		for ; len(text) >= entrySize; text = text[entrySize:] {
			if p, e, ok := decodeEntry(text[:entrySize]); ok && wanted(p.Topic, p.Partition) {
				noted[p] = e
			}
		}
	}
	return noted
}

// read reads a file as far as one of ours can be long.
func read(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // only read
	return io.ReadAll(io.LimitReader(file, fileSize+maxPending+entrySize))
}

func decodeEntry(b []byte) (p Place, e Entry, ok bool) {
	p = Place{binary.BigEndian.Uint16(b[6:]), int32(binary.BigEndian.Uint32(b[8:])), int64(binary.BigEndian.Uint64(b[12:]))}
	e = Entry{ID: binary.BigEndian.Uint64(b[20:]), Status: binary.BigEndian.Uint16(b[4:])}
	return p, e, binary.BigEndian.Uint32(b) == crc32.ChecksumIEEE(b[4:])
}
