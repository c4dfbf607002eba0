package processor

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"strconv"
	"unsafe"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/event"
	"vigil/trigger"
)

// JournalVersion is the only value of `v` that is understood.
const JournalVersion = 1

// Entry is a record of vigil.journal: what a replay cannot recompute from the inputs. That is where the wall clock moved
// a partition, what record times were clamped, which campaigns and settings applied from where on. It is written in the
// transaction that used it. With several inputs every transaction has one: its cut is part of the order of semantics 2.1.
type Entry struct {
	V      int              `json:"v"`
	Cuts   map[string]int64 `json:"cuts"`             // per input topic, the offset behind the transaction's last record
	Moves  []Move           `json:"moves,omitempty"`  // in the order made
	Clamps []Clamp          `json:"clamps,omitempty"` // record times taken as now
	Faults []Place          `json:"faults,omitempty"` // records on which the engine failed, and which it passed over
}

// Move is something that happened between two records. With several inputs one without clock and catalog says that the
// records behind it are merged anew: one of them came late.
type Move struct {
	Cuts    map[string]int64 `json:"cuts"`              // per input topic, the offset behind the last record before
	Clock   int64            `json:"clock,omitempty"`   // ms; the wall clock moved the partition's here
	Catalog string           `json:"catalog,omitempty"` // Fingerprint of the campaigns adopted
	Owner   *Owner           `json:"owner,omitempty"`   // a processor has taken the partition up, and goes on at Cuts
	Past    *Past            `json:"past,omitempty"`    // what campaigns with history took in, read up to Cuts
}

// Clamp is a record whose time was too far ahead of the wall clock (semantics 2.1).
type Clamp struct {
	Topic  string `json:"topic"`
	Offset int64  `json:"offset"`
	RT     int64  `json:"rt"` // ms; what it was taken as
}

// Place is where a record of the partition stands.
type Place struct {
	Topic  string `json:"topic"`
	Offset int64  `json:"offset"`
}

// Owner is how a processor judges the partition that it has taken up: all that its configuration has a say in.
type Owner struct {
	Instance        string   `json:"instance"`
	Empty           bool     `json:"empty,omitempty"` // there was no state: what is known begins here
	Inputs          []string `json:"inputs"`          // in the order of semantics 2.1, the profiles topic first
	ProfilesTopic   string   `json:"profiles_topic,omitempty"`
	Format          string   `json:"format"`
	Fields          Fields   `json:"fields"`
	AllowedLateness int64    `json:"allowed_lateness_ms"`
	MaxEventAge     int64    `json:"max_event_age_ms"`
	MaxFireDelay    int64    `json:"max_fire_delay_ms"`
}

// Fields are event.Fields with the names of the configuration.
type Fields struct {
	User       string `json:"user,omitempty"`
	Type       string `json:"type"`
	ID         string `json:"id"`
	Time       string `json:"time"`
	Properties string `json:"properties"`
}

// DecodeEntry reads the value of a record of vigil.journal.
func DecodeEntry(value []byte) (*Entry, error) {
	e := &Entry{}
	if err := json.Unmarshal(value, e); err != nil {
		return nil, fmt.Errorf("decode a journal entry: %w", err)
	}
	if e.V != JournalVersion {
		return nil, fmt.Errorf("decode a journal entry: version %d, this program knows %d", e.V, JournalVersion)
	}
	return e, nil
}

// Fingerprint names a set of campaigns in the journal: it changes with the id or the revision of any.
func Fingerprint(cat *campaign.Catalog) string {
	h := xxhash.New()
	for i := range cat.Len() {
		_, _ = h.WriteString(cat.At(i).ID + "\x1f" + cat.At(i).Revision + "\x1f") // never errs
	}
	return strconv.FormatUint(h.Sum64(), 16)
}

// owner is what this processor is to a partition that it takes up.
func (p *partition) owner() *Owner {
	return &Owner{
		Instance: p.cfg.Instance, Empty: p.engine.Clock() == math.MinInt64, Inputs: p.inputs(), ProfilesTopic: p.cfg.ProfilesTopic,
		Format: p.cfg.Format, Fields: Fields(p.cfg.Fields), AllowedLateness: p.cfg.Times.AllowedLateness,
		MaxEventAge: p.cfg.Times.MaxEventAge, MaxFireDelay: p.cfg.Times.MaxFireDelay,
	}
}

// config is that of a processor which judges as this owner did.
func (o *Owner) config() Config {
	cfg := Config{
		Inputs: o.Inputs, ProfilesTopic: o.ProfilesTopic, Format: o.Format, Fields: event.Fields(o.Fields), Instance: o.Instance,
		Times: trigger.Options{
			AllowedLateness: o.AllowedLateness, MaxEventAge: o.MaxEventAge, MaxFireDelay: o.MaxFireDelay, BareSkips: true,
		},
	}
	if o.ProfilesTopic != "" && len(o.Inputs) > 0 {
		cfg.Inputs = o.Inputs[1:]
	}
	return cfg
}

// journalRecord is the entry of the transaction, or nil where it used nothing that needs one.
func (p *partition) journalRecord() *kgo.Record {
	j := &p.journal
	if len(j.Moves) == 0 && len(j.Clamps) == 0 && len(j.Faults) == 0 && len(p.next) == 1 {
		return nil
	}
	j.V, j.Cuts = JournalVersion, p.cuts()
	value, err := json.Marshal(j)
	if err != nil {
		panic(err) // a struct of numbers and strings always marshals
	}
	return &kgo.Record{Topic: p.cfg.Topics.Journal, Partition: p.id, Value: value}
}

// cuts is where the partition stands.
func (p *partition) cuts() map[string]int64 {
	cuts := map[string]int64{}
	for i, topic := range p.inputs() {
		cuts[topic] = p.next[i]
	}
	return cuts
}

// note journals a move at the present cut.
func (p *partition) note(m Move) {
	m.Cuts = p.cuts()
	p.journal.Moves = append(p.journal.Moves, m)
	p.jotted += jotBytes
	for topic := range m.Cuts {
		p.jotted += jotBytes + len(topic)
	}
	p.moved = true
}

// jotBytes is more than what the journal tells of a record or a cut has in bytes, but for the name of the topic.
const jotBytes = 80

// jottedEnough tells whether the transaction must end for its entry to be one that the topic takes. Half of that is left
// for what does not grow with the records.
func (p *partition) jottedEnough() bool {
	return p.jotted > 0 && p.jotted >= p.topics.largest(p.cfg.Topics.Journal)/2
}

// noteClock journals how far the wall clock moved the partition's at the present cut.
func (p *partition) noteClock(clock int64) {
	if n := len(p.journal.Moves); n > 0 {
		last := &p.journal.Moves[n-1]
		if last.Clock > 0 && last.Catalog == "" && last.Owner == nil && maps.Equal(last.Cuts, p.cuts()) {
			last.Clock = clock
			return
		}
	}
	p.note(Move{Clock: clock})
}

// bytesOf aliases a string as the key of a record, which is only read.
func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}
