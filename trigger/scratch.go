package trigger

import "vigil/event"

const (
	scratchBytes     = 64 << 10
	scratchRest      = 2 << 10 // a block with less room is given up
	scratchSnapshots = 64
)

// scratch makes what is kept of events for the length of a transaction. Many share one allocation; none is used twice.
type scratch struct {
	bytes     []byte
	snapshots []event.Snapshot
}

// bare is an event as it is kept where nothing will be told of its properties.
func (s *scratch) bare(ev *event.Event) *event.Snapshot {
	if len(s.snapshots) == cap(s.snapshots) {
		s.snapshots = make([]event.Snapshot, 0, scratchSnapshots)
	}
	s.snapshots = append(s.snapshots, event.Snapshot{ID: s.text(ev.ID), Type: s.text(ev.Type), TS: ev.TS})
	return &s.snapshots[len(s.snapshots)-1]
}

// snapshot is an event as it is kept.
func (s *scratch) snapshot(ev *event.Event) *event.Snapshot {
	snap := s.bare(ev)
	snap.Props = s.take(ev.Props.AppendJSON(s.room()))
	return snap
}

func (s *scratch) text(text string) string { return aliased(s.take(append(s.room(), text...))) }

// room is an empty slice to append to.
func (s *scratch) room() []byte {
	if cap(s.bytes)-len(s.bytes) < scratchRest {
		s.bytes = make([]byte, 0, scratchBytes)
	}
	return s.bytes[len(s.bytes):]
}

// take keeps what was appended to room. If it did not fit, append gave it a place of its own.
func (s *scratch) take(b []byte) []byte {
	if len(b) <= cap(s.bytes)-len(s.bytes) {
		s.bytes = s.bytes[:len(s.bytes)+len(b)]
	}
	return b[:len(b):len(b)]
}
