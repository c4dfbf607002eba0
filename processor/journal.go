package processor

import (
	"encoding/json"
	"maps"
	"strconv"
	"unsafe"

	"github.com/cespare/xxhash/v2"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
)

// journal is what a replay cannot recompute from the inputs: where the wall clock moved a partition, what record times
// were clamped, which campaigns applied from where on. It is written in the transaction that used it.
type journal struct {
	V      int              `json:"v"`
	Cuts   map[string]int64 `json:"cuts"`             // per input topic, the offset behind the transaction's last record
	Moves  []move           `json:"moves,omitempty"`  // in the order made
	Clamps []clamp          `json:"clamps,omitempty"` // record times taken as now
}

// move is something that happened between two records. With several inputs one without clock and catalog says that the
// records behind it are merged anew: one of them came late.
type move struct {
	Cuts    map[string]int64 `json:"cuts"`              // per input topic, the offset behind the last record before
	Clock   int64            `json:"clock,omitempty"`   // ms; the wall clock moved the partition's here
	Catalog string           `json:"catalog,omitempty"` // fingerprint of the campaigns adopted
}

type clamp struct {
	Topic  string `json:"topic"`
	Offset int64  `json:"offset"`
	RT     int64  `json:"rt"` // ms
}

// journalRecord is the entry of the transaction, or nil where it used nothing that needs one. With several inputs every
// transaction has one: the cut is part of the order of 2.1.
func (p *partition) journalRecord() *kgo.Record {
	j := &p.journal
	if len(j.Moves) == 0 && len(j.Clamps) == 0 && len(p.next) == 1 {
		return nil
	}
	j.V, j.Cuts = 1, p.cuts()
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
func (p *partition) note(m move) {
	m.Cuts = p.cuts()
	p.journal.Moves = append(p.journal.Moves, m)
	p.moved = true
}

// noteClock journals how far the wall clock moved the partition's at the present cut.
func (p *partition) noteClock(clock int64) {
	if n := len(p.journal.Moves); n > 0 {
		last := &p.journal.Moves[n-1]
		if last.Clock > 0 && last.Catalog == "" && maps.Equal(last.Cuts, p.cuts()) {
			last.Clock = clock
			return
		}
	}
	p.note(move{Clock: clock})
}

// fingerprint names a set of campaigns.
func fingerprint(cat *campaign.Catalog) string {
	h := xxhash.New()
	for i := range cat.Len() {
		_, _ = h.WriteString(cat.At(i).ID + "\x1f" + cat.At(i).Revision + "\x1f") // never errs
	}
	return strconv.FormatUint(h.Sum64(), 16)
}

// bytesOf aliases a string as the key of a record, which is only read.
func bytesOf(s string) []byte {
	if s == "" {
		return nil
	}
	return unsafe.Slice(unsafe.StringData(s), len(s))
}
