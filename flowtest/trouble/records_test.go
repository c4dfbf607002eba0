package trouble

import (
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/flowtest/live"
	"vigil/processor"
	"vigil/trigger"
)

// foreign writes a record of a key to the changelog while the processor is stopped, and starts it without its disk.
func (s *stage) foreign(key string, record []byte, change ...func(*processor.Config)) *running {
	s.t.Helper()
	p := s.start()
	s.sendRound()
	s.write(s.event(0, "eve", "add"))
	s.settled()
	p.stop()
	s.write(&kgo.Record{Topic: s.topics.State, Key: []byte(key), Value: record})
	s.must(os.RemoveAll(s.dir))
	return s.start(change...)
}

// A user's record of a version to come ends the processor, so that the partition moves to one that can read it.
func TestRecordOfNewerVersion(t *testing.T) {
	inBubble(t, func(s *stage) {
		s.foreign("eve", []byte{99, 0, 0, 0}).ended("vigil.state/0 at offset", `user "eve"`, "newer vigil", "version 99, this program knows 1", "run the version that wrote it")
	})
}

// A user's record that cannot be read stops nobody: it goes to the dead letters as it is, that user begins anew, and all
// others are what they were.
func TestRecordsThatCannotBeRead(t *testing.T) {
	for name, record := range map[string][]byte{
		"cut short":             {1},
		"malformed behind":      {1, 0, 9, 9, 9},
		"malformed, with timer": {1, 1 << 3, 2, 9, 9, 9}, // due long ago: the clock alone comes upon it
		"malformed, held":       {1, 1 << 2, 9, 9, 9},    // looked at when campaigns are adopted
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(s *stage) {
				p := s.foreign("eve", record)
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

// So it is where only the past comes upon the record, which a campaign with history reads.
func TestRecordThatThePastCannotRead(t *testing.T) {
	later, problems := campaign.Parse("campaign.yaml", []byte(
		`{id: later, history: 1d, trigger: {type: inaction_within_time, did: add, did_not: buy, within: 1d}, webhook: {endpoint: shop}}`))
	if campaign.Failed(problems) {
		t.Fatal(problems)
	}
	inBubble(t, func(s *stage) {
		p := s.foreign("eve", []byte{1, 0, 9, 9, 9}, func(cfg *processor.Config) {
			cfg.Catalog = campaign.NewCatalog(append(live.Counting(), later))
		})
		s.sendRound()
		s.settled()
		p.stop()
		wantWords(t, "the log", s.text.Text(), "the past was read", "the state of a user cannot be read", `"user":"eve"`)
	})
}

// Without the clock of a partition nobody can go on with its users: a record of it that cannot be read, or its removal, ends
// the processor with what to do.
func TestClockThatCannotBeRead(t *testing.T) {
	for name, record := range map[string][]byte{"cut short": {1}, "malformed behind": {1, 2, 9}, "removed": nil} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(s *stage) {
				s.foreign(trigger.PartitionKey, record).ended(
					"vigil.state/0 at offset", "the partition's clock", "cannot go on", "begin without the past", "delete topic vigil.state", "vigil.processor")
			})
		})
	}
}

// Which campaigns were adopted is not worth an end: without that record none of them is taken for a new one.
func TestAdoptionsThatCannotBeRead(t *testing.T) {
	inBubble(t, func(s *stage) {
		p := s.foreign(trigger.KnownKey, []byte{1, 9, 9})
		s.sendRound()
		s.settled()
		p.stop()
		s.agrees()
	})
}
