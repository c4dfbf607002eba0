package trouble

import (
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// foreign writes a record of eve, whom nobody knows, to the changelog while the processor is stopped, and starts it without
// its disk.
func (s *stage) foreign(record []byte) *running {
	s.t.Helper()
	p := s.start()
	s.sendRound()
	s.settled()
	p.stop()
	s.write(&kgo.Record{Topic: s.topics.State, Key: []byte("eve"), Value: record})
	s.must(os.RemoveAll(s.dir))
	return s.start()
}

// A user's record of a version to come ends the processor, so that the partition moves to one that can read it.
func TestRecordOfNewerVersion(t *testing.T) {
	inBubble(t, func(s *stage) {
		s.foreign([]byte{99, 0, 0, 0}).ended("vigil.state/0 at offset", `user "eve"`, "newer vigil", "version 99, this program knows 1", "run the version that wrote it")
	})
}

// A user's record that cannot be read stops nobody: it goes to the dead letters as it is, that user begins anew, and all
// others are what they were.
func TestRecordsThatCannotBeRead(t *testing.T) {
	for name, record := range map[string][]byte{
		"cut short":             {1},
		"malformed behind":      {1, 0, 9, 9, 9},
		"malformed, with timer": {1, 1 << 3, 2, 9, 9, 9}, // due long ago: the clock alone comes upon it
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(s *stage) {
				p := s.foreign(record)
				s.write(s.event(0, "eve", "buy"))
				s.sendRound()
				s.settled()
				p.stop()
				dead := s.read(s.topics.DeadEvents)
				if len(dead) != 1 || string(dead[0].Key) != "eve" || string(dead[0].Value) != string(record) {
					t.Errorf("dead letters: %v", dead)
				}
				wantWords(t, "the log", s.text.Text(), "the state of a user cannot be read", `"user":"eve"`)
			})
		})
	}
}
