// Package trigger is the decision core: one Engine judges one partition. It is a function of campaigns, user records,
// events and the clock it is given; it reads no clock of its own, does no I/O, starts no goroutine and logs nothing.
package trigger

import (
	"vigil/campaign"
	"vigil/event"
)

// PartitionKey is the key of the record in which an Engine keeps what belongs to no user: the clock and the cursors of
// schedules. It is no valid UTF-8, so no user has it.
const PartitionKey = "\xffpartition"

// Options are the times of semantics 2, in ms, and the name of a backfill (2.9).
type Options struct {
	AllowedLateness int64
	MaxEventAge     int64
	MaxFireDelay    int64
	Run             string
}

// Engine decides for one partition. It has one caller at a time.
type Engine struct{}

// New makes an engine without any state. Every decision is handed to emit, in order, while Apply or Advance runs.
func New(cat *campaign.Catalog, opt Options, emit func(*Decision)) *Engine { panic("not built yet") }

// Apply moves the clock to the event's rt, settles what that makes due, then processes the event (semantics 2.3, 2.4).
// It errs only where a user record cannot be read; the engine is then unusable.
func (e *Engine) Apply(ev *event.Event) error { panic("not built yet") }

// ReplaceProfile is a record of a profiles topic: it moves the clock to rt as Apply does and makes profile, a JSON
// object, the user's whole profile; nil unsets all.
func (e *Engine) ReplaceProfile(user string, rt int64, profile []byte) error { panic("not built yet") }

// Advance moves the clock, without a record, to the given instant if that is later, and settles what becomes due.
func (e *Engine) Advance(clock int64) error { panic("not built yet") }

// Clock is the partition's clock in ms; math.MinInt64 before the first record.
func (e *Engine) Clock() int64 { panic("not built yet") }

// NextDeadline is the smallest D of a pending timer; false where none is pending. Instants of 3.7 do not count.
func (e *Engine) NextDeadline() (int64, bool) { panic("not built yet") }

// NextDue is the smallest clock at which Advance would settle something, instants of 3.7 included; math.MaxInt64 where
// there is nothing.
func (e *Engine) NextDue() int64 { panic("not built yet") }

// SetCatalog adopts other campaigns at the present clock (semantics 2.10).
func (e *Engine) SetCatalog(cat *campaign.Catalog) { panic("not built yet") }

// Load takes in one record of the changelog, before the first Apply: a user's, or that of PartitionKey. A nil record
// forgets the user. The bytes are kept and must not change.
func (e *Engine) Load(key string, record []byte) error { panic("not built yet") }

// Changes hands over every record changed since the last Commit or Rollback, PartitionKey included if anything changed;
// nil bytes for a record that is no more. The bytes never change afterwards. The order is that of the first touch.
func (e *Engine) Changes(yield func(key string, record []byte)) { panic("not built yet") }

// Commit makes the changes since the last Commit permanent: Changes must have been called after the last Apply or Advance.
func (e *Engine) Commit() { panic("not built yet") }

// Rollback undoes all changes since the last Commit, the clock included.
func (e *Engine) Rollback() { panic("not built yet") }

// Evict drops the bytes of committed records, least recently visited first, until at most maxBytes remain; only those
// for which stored is true, which fetch can bring back. NewFetch sets fetch.
func (e *Engine) Evict(maxBytes int64, stored func(key string) bool) { panic("not built yet") }

// SetFetch says where evicted records are read from.
func (e *Engine) SetFetch(fetch func(key string) ([]byte, error)) { panic("not built yet") }

// Stats counts since New: what the rule book asks to be counted without a decision.
type Stats struct {
	Events           uint64 // applied
	ClockSkew        uint64 // 2.1
	Ignored          uint64 // before an erasure, 2.6
	HistoryTruncated uint64 // 2.11
	Users            int    // known now
	Timers           int    // users with a pending timer
	Bytes            int64  // of records held in memory
}

// Stats tells the counts so far.
func (e *Engine) Stats() Stats { panic("not built yet") }
