package core_test

import (
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vigil/sink/core"
)

// model is a partition's log as a plain map: what is open.
type model struct {
	next int64
	open map[int64]uint64 // offset to sequence number
	done map[int64]bool
}

func (m *model) watermark() int64 {
	low := m.next
	for o := range m.open {
		low = min(low, o)
	}
	return low
}

// TestTrack drives a tracker with gaps, controls, completions in any order and restarts from what was committed. The
// watermark never passes an open offset, and after a restart nothing that is open is taken for done.
func TestTrack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		track := &core.Track{}
		start := rapid.Int64Range(0, 50).Draw(t, "start")
		m := &model{next: start, open: map[int64]uint64{}, done: map[int64]bool{}}
		steps := rapid.SliceOfN(rapid.IntRange(0, 9), 1, 60).Draw(t, "steps")
		for _, step := range steps {
			switch {
			case step < 4:
				m.next += rapid.Int64Range(0, 3).Draw(t, "gap")
				seq, fresh := track.Fetched(m.next, 1, now)
				if fresh == m.done[m.next] {
					t.Fatalf("offset %d: fresh is %v though done is %v", m.next, fresh, m.done[m.next])
				}
				if fresh {
					m.open[m.next] = seq
				}
				m.next++
			case step < 5:
				track.Passed(m.next, 1)
				m.next++
			case step < 8 && len(m.open) > 0:
				o := rapid.SampledFrom(offsets(m.open)).Draw(t, "finish")
				track.Finish(m.open[o])
				delete(m.open, o)
				m.done[o] = true
			case step == 8:
				checkCommit(t, track, m)
			default:
				track = restart(t, track, m)
			}
		}
		checkCommit(t, track, m)
	})
}

func offsets(open map[int64]uint64) []int64 {
	var all []int64
	for o := int64(0); len(all) < len(open); o++ {
		if _, ok := open[o]; ok {
			all = append(all, o)
		}
	}
	return all
}

func checkCommit(t *rapid.T, track *core.Track, m *model) {
	offset, _, meta, ok := track.Commit()
	if !ok {
		return
	}
	if offset != m.watermark() {
		t.Fatalf("watermark %d, want %d", offset, m.watermark())
	}
	if len(meta) > 3400 {
		t.Fatalf("metadata of %d bytes", len(meta))
	}
	if _, _, _, again := track.Commit(); again {
		t.Fatal("committed twice without a change")
	}
}

// restart is another owner that reads from the watermark on; what was done above it must not come back as open.
func restart(t *rapid.T, track *core.Track, m *model) *core.Track {
	track.Again()
	offset, _, meta, ok := track.Commit()
	if !ok || m.next == 0 {
		return track
	}
	fresh := &core.Track{}
	fresh.Resume(offset, meta)
	for o := range m.done {
		if o < offset {
			delete(m.done, o)
		}
	}
	for o := offset; o < m.next; o++ {
		_, wasOpen := m.open[o]
		if !wasOpen && !m.done[o] {
			fresh.Passed(o, 1) // a marker, or nothing at all
			continue
		}
		seq, open := fresh.Fetched(o, 1, now)
		if open != wasOpen {
			t.Fatalf("offset %d after a restart: open is %v, want %v", o, open, wasOpen)
		}
		if open {
			m.open[o] = seq
		}
	}
	return fresh
}

func TestTrackWindowFitsTheMetadata(t *testing.T) {
	track := &core.Track{}
	var seqs []uint64
	for o := range int64(core.Window + 300) {
		seq, _ := track.Fetched(o, 1, now)
		seqs = append(seqs, seq)
	}
	for _, seq := range seqs[1:] {
		track.Finish(seq)
	}
	offset, _, meta, ok := track.Commit()
	if !ok || offset != 0 || len(meta) > 3400 {
		t.Fatalf("commit %d with %d bytes of metadata", offset, len(meta))
	}
	next := &core.Track{}
	next.Resume(offset, meta)
	for o := range int64(core.Window + 300) {
		if _, fresh := next.Fetched(o, 1, now); fresh != (o == 0 || o >= core.Window) {
			t.Fatalf("offset %d: fresh is %v", o, fresh)
		}
	}
	if track.Span() != core.Window+300 {
		t.Errorf("span %d", track.Span())
	}
}

func TestTrackIgnoresMetadataItCannotTrust(t *testing.T) {
	for _, meta := range []string{"", "member-1", "v1:***", "v2:AAAA", "v1:" + strings.Repeat("/", 8000)} {
		track := &core.Track{}
		track.Resume(0, meta)
		if _, fresh := track.Fetched(0, 1, now); !fresh {
			t.Errorf("%.20q: a record was skipped", meta)
		}
	}
	anew := &core.Track{} // committed at 5, but the topic was made anew and begins at 0
	anew.Resume(5, "v1:/w==")
	anew.Fetched(0, 1, now)
	if _, fresh := anew.Fetched(5, 1, now); !fresh {
		t.Error("a record of another log was skipped")
	}
}

func TestTrackAge(t *testing.T) {
	track := &core.Track{}
	if _, any := track.Oldest(); any {
		t.Error("an empty track has an oldest")
	}
	seq, _ := track.Fetched(0, 1, now)
	track.Fetched(1, 1, now.Add(time.Minute))
	if at, any := track.Oldest(); !any || at != now.UnixMilli() {
		t.Errorf("oldest %d", at)
	}
	track.Finish(seq)
	if at, _ := track.Oldest(); at != now.Add(time.Minute).UnixMilli() {
		t.Errorf("oldest %d after the first is done", at)
	}
}

func TestOldestIsNotAlwaysTheFirst(t *testing.T) {
	var track core.Track
	track.Fetched(1, 0, now)
	old, _ := track.Fetched(2, 0, now.Add(-time.Hour)) // parked again, behind a younger one
	if at, _ := track.Oldest(); at != now.Add(-time.Hour).UnixMilli() {
		t.Errorf("oldest is %v", time.UnixMilli(at))
	}
	track.Finish(old)
	if at, _ := track.Oldest(); at != now.UnixMilli() {
		t.Errorf("oldest is %v", time.UnixMilli(at))
	}
}

// TestTrackKeepsWhatIsNotReadAgain: what the last owner had done is committed on, as long as it was not read again, though
// nothing is open.
func TestTrackKeepsWhatIsNotReadAgain(t *testing.T) {
	track := &core.Track{}
	track.Resume(10, "v1:"+base64.StdEncoding.EncodeToString([]byte{1<<2 | 1<<4})) // 12 and 14 were done
	for o := int64(10); o < 12; o++ {
		seq, _ := track.Fetched(o, 1, now)
		track.Finish(seq)
	}
	low, _, meta, _ := track.Commit()
	next := &core.Track{}
	next.Resume(low, meta)
	for o := low; o < 16; o++ {
		if _, fresh := next.Fetched(o, 1, now); fresh == (o == 12 || o == 14) {
			t.Errorf("offset %d: fresh is %v", o, fresh)
		}
	}
	if low != 12 {
		t.Errorf("watermark %d, want 12", low)
	}
}

// TestTrackRewinds: a log that lost its end is read again from there, while what was read before is still open. What is
// there now is not done because the record that it replaces was.
func TestTrackRewinds(t *testing.T) {
	for name, c := range map[string]struct {
		again int64   // the offset that it is read from
		want  []int64 // watermarks: before anything new is finished, and after each
	}{
		"to the middle":    {12, []int64{11, 11, 11}}, // 11 is open all the time
		"to the beginning": {3, []int64{3, 4, 5}},
	} {
		t.Run(name, func(t *testing.T) {
			track := &core.Track{}
			track.Resume(10, "v1:"+base64.StdEncoding.EncodeToString([]byte{1<<2 | 1<<3})) // 12 and 13 were done
			seqs := map[int64]uint64{}
			for o := int64(10); o < 16; o++ {
				seqs[o], _ = track.Fetched(o, 1, now)
			}
			track.Finish(seqs[10])
			got := []int64{}
			var again []uint64
			for o := c.again; o < c.again+2; o++ {
				seq, fresh := track.Fetched(o, 2, now)
				if !fresh {
					t.Errorf("offset %d counts as done", o)
				}
				again = append(again, seq)
			}
			track.Finish(seqs[14]) // of the log that was: it comes late and says nothing
			for _, seq := range append([]uint64{seqs[15]}, again...) {
				track.Finish(seq)
				offset, _, _, _ := track.Commit()
				got = append(got, offset)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("watermarks %v, want %v", got, c.want)
			}
		})
	}
}
