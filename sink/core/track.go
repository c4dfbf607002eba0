package core

import (
	"bytes"
	"encoding/base64"
	"strings"
	"sync"
	"time"
)

// Window is how many offsets may lie between the watermark and the newest fetched: as a bitmap they take 3,339 bytes of
// commit metadata, below the broker's 4,096.
const Window = 20_000

const metaPrefix = "v1:"

// Track knows which offsets of one partition are done. Offsets that were never fetched (transaction markers,
// aborted or compacted records) are no marks at all and therefore never hold the watermark.
type Track struct {
	mu       sync.Mutex // guards what follows
	marks    []mark     // fetched offsets from the watermark on, in order
	first    uint64     // sequence number of marks[0]
	next     int64      // the offset after the newest fetched; 0 before the first
	epoch    int32      // leader epoch of the newest fetched
	dirty    bool       // something is to be committed
	known    bitmap     // what the last owner had done above its watermark
	knownLow int64      // the offset of the first bit of known
}

// mark is one fetched offset.
type mark struct {
	offset int64
	since  int64 // when it was decided, in ms: for the age of what is unfinished
	done   bool
}

// Fetched takes note of a record and returns its sequence number; fresh is false where the last owner had finished it.
func (t *Track) Fetched(offset int64, epoch int32, since time.Time) (seq uint64, fresh bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reach(offset, epoch)
	if t.known.get(offset - t.knownLow) {
		t.dirty = true
		return 0, false
	}
	t.marks = append(t.marks, mark{offset: offset, since: since.UnixMilli()})
	return t.first + uint64(len(t.marks)) - 1, true
}

// Passed takes note of a control record: nothing is to be done for it.
func (t *Track) Passed(offset int64, epoch int32) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.reach(offset, epoch)
	t.dirty = true
}

// reach takes note of how far was read. Where the log has lost its end, or was made anew, what was there is no longer: it
// waits for nothing, and what has taken its place is not done.
func (t *Track) reach(offset int64, epoch int32) {
	if offset < max(t.next, t.knownLow) {
		for i := range t.marks {
			t.marks[i].done = t.marks[i].done || t.marks[i].offset >= offset
		}
		t.pass()
		t.known, t.dirty = nil, true
	}
	t.next, t.epoch = offset+1, epoch
}

// Finish marks an offset done: the records that carry its outcome are acked.
func (t *Track) Finish(seq uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if seq >= t.first { // else its log has lost it
		t.marks[seq-t.first].done = true
	}
	t.dirty = true
	t.pass()
}

// pass moves the watermark up to the first open mark.
func (t *Track) pass() {
	n := 0
	for n < len(t.marks) && t.marks[n].done {
		n++
	}
	t.marks, t.first = t.marks[n:], t.first+uint64(n)
}

// Span is the number of offsets from the watermark to the newest fetched.
func (t *Track) Span() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.marks) == 0 {
		return 0
	}
	return t.next - t.marks[0].offset
}

// Oldest is when the unfinished delivery that was decided first was decided, in ms; false where all is done. On a
// parking topic that is not the one at the watermark.
func (t *Track) Oldest() (since int64, any bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.marks {
		if !m.done && (!any || m.since < since) {
			since, any = m.since, true
		}
	}
	return since, any
}

// Commit is what to commit now: the watermark, its leader epoch and the metadata; ok is false where nothing changed
// since the last call.
func (t *Track) Commit() (offset int64, epoch int32, meta string, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.dirty {
		return 0, 0, "", false
	}
	t.dirty = false
	low := t.next
	if len(t.marks) > 0 {
		low = t.marks[0].offset
	}
	return low, t.epoch, t.doneAbove(low).encode(), true
}

// doneAbove is the bitmap of what is done from low on: all that was fetched and is no open mark, and what the last owner
// had done and was not fetched yet.
func (t *Track) doneAbove(low int64) bitmap {
	done := make(bitmap, Window/8)
	for i := range min(t.next-low, Window) {
		done.set(i)
	}
	for _, m := range t.marks {
		if !m.done && m.offset < low+Window {
			done.clear(m.offset - low)
		}
	}
	for i := max(t.next-t.knownLow, 0); i < int64(len(t.known))*8; i++ {
		if at := t.knownLow + i - low; t.known.get(i) && at < Window {
			done.set(at)
		}
	}
	return bitmap(bytes.TrimRight(done, "\x00"))
}

// Resume takes in what the last owner committed.
func (t *Track) Resume(low int64, meta string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.knownLow, t.known = low, decodeBitmap(meta)
}

// Again says that a commit did not succeed.
func (t *Track) Again() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dirty = true
}

// bitmap holds one bit an offset.
type bitmap []byte

func (b bitmap) get(i int64) bool { return i >= 0 && i < int64(len(b))*8 && b[i/8]&(1<<(i%8)) != 0 }

func (b bitmap) set(i int64)   { b[i/8] |= 1 << (i % 8) }
func (b bitmap) clear(i int64) { b[i/8] &^= 1 << (i % 8) }

// encode is the commit metadata.
func (b bitmap) encode() string {
	if len(b) == 0 {
		return ""
	}
	return metaPrefix + base64.StdEncoding.EncodeToString(b)
}

// decodeBitmap reads commit metadata; what it cannot read means nothing done: duplicates, no loss.
func decodeBitmap(meta string) bitmap {
	encoded, ok := strings.CutPrefix(meta, metaPrefix)
	if !ok {
		return nil
	}
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(b) > Window/8 {
		return nil
	}
	return b
}
