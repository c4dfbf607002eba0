package verify

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/processor"
)

// past plays one partition's journal and inputs to a Rerun, in the order in which they took effect.
type past struct {
	v      *verifier
	id     int32
	rerun  *processor.Rerun
	known  *knowledge
	cat    *campaign.Catalog // in force, as far as it is there
	tapes  map[string]*tape  // of the inputs
	ends   map[string]int64  // where the group stood, by input
	clamps map[processor.Place]int64
	faults map[processor.Place]bool
}

// play goes on to what the group has committed.
func (p *past) play(ctx context.Context) error {
	p.ends = p.v.bounds.ends(p.id)
	span := p.v.bounds.journal[p.id]
	switch {
	case span.start > 0:
		p.lost(LostJournal, "the journal begins at "+p.at(p.v.Topics.Journal, span.start))
	case span.end > 0 && len(p.ends) == 0:
		p.lost(LostOffsets, "group "+p.v.Group+" has no committed offsets: they may have expired")
	}
	journal, err := p.v.tape(p.v.Topics.Journal, p.id, span.start, span.end)
	if err != nil {
		return err
	}
	defer journal.close()
	for over := false; !over; {
		r, err := journal.peek(ctx)
		if err != nil {
			return err
		}
		if r == nil {
			break
		}
		if over, err = p.entry(ctx, r); err != nil {
			return err
		}
		journal.take()
	}
	if p.rerun.Inputs() != nil {
		return p.run(ctx, p.ends)
	}
	if len(p.ends) > 0 {
		p.lost(LostJournal, "the journal does not say that anybody has owned the partition")
	}
	return nil
}

// entry is one record of the journal. It is over when one lies behind the end.
func (p *past) entry(ctx context.Context, r *kgo.Record) (over bool, err error) {
	if r.Attrs.IsControl() {
		return false, nil
	}
	e, err := processor.DecodeEntry(r.Value)
	if err != nil {
		p.lost(LostJournal, fmt.Sprintf("%s: %v", p.at(r.Topic, r.Offset), err))
		return false, nil
	}
	for _, c := range e.Clamps {
		p.clamps[processor.Place{Topic: c.Topic, Offset: c.Offset}] = c.RT
	}
	for _, f := range e.Faults {
		p.faults[f] = true
	}
	for _, m := range e.Moves {
		if p.beyond(m.Cuts) {
			return true, nil
		}
		if err := p.move(ctx, m); err != nil {
			return false, err
		}
	}
	if p.beyond(e.Cuts) {
		return true, nil
	}
	return false, p.run(ctx, e.Cuts)
}

// beyond tells whether cuts lie behind what the group had committed when the run began.
func (p *past) beyond(cuts map[string]int64) bool {
	for topic, at := range cuts {
		if end, ok := p.ends[topic]; ok && at > end {
			return true
		}
	}
	return false
}

// move makes one move of the journal at its cuts.
func (p *past) move(ctx context.Context, m processor.Move) error {
	if err := p.run(ctx, m.Cuts); err != nil {
		return err
	}
	switch {
	case m.Owner != nil:
		if p.rerun.Inputs() == nil && !m.Owner.Empty {
			p.lost(LostJournal, "the journal does not hold how the partition was begun")
		}
		p.known.slack = max(m.Owner.MaxEventAge, m.Owner.MaxFireDelay) + m.Owner.AllowedLateness
		p.known.userIsKey = m.Owner.Fields.User == ""
		cat := p.catalog(m)
		if err := p.rerun.Open(m.Owner, m.Cuts, cat); err != nil {
			return err
		}
		return p.adopt(ctx, m, cat)
	case p.rerun.Inputs() == nil:
		p.lost(LostJournal, "the journal does not hold how the partition was begun")
		return nil
	case m.Catalog != "":
		return p.adopt(ctx, m, p.catalog(m))
	case m.Clock != 0:
		return p.rerun.Advance(m.Clock)
	}
	return nil
}

// adopt makes the adoption of a move, with what the campaigns took in of the past.
func (p *past) adopt(ctx context.Context, m processor.Move, cat *campaign.Catalog) error {
	if m.Past != nil {
		for _, topic := range slices.Sorted(maps.Keys(m.Past.From)) {
			start, ok := p.v.bounds.starts[topic][p.id]
			if from := m.Past.From[topic]; from < m.Cuts[topic] && (!ok || from < start) {
				p.lost(LostInputs, fmt.Sprintf("%s/%d holds nothing before offset %d, campaigns read it from %d", topic, p.id, start, from))
			}
		}
		if err := p.rerun.LookBack(ctx, p.v.Client.Opts(), m, cat); err != nil {
			return err
		}
	}
	return p.rerun.Adopt(cat)
}

// catalog is the one that a move names, or the nearest thing where it is not there.
func (p *past) catalog(m processor.Move) *campaign.Catalog {
	p.known.sighted(p.clock(), p.place(m.Cuts))
	switch cat := p.v.catalogs[m.Catalog]; {
	case cat != nil:
		p.cat = cat
	default:
		p.known.blind(p.clock(), m.Catalog, p.place(m.Cuts))
		if p.cat == nil {
			p.cat = campaign.NewCatalog(nil)
		}
	}
	return p.cat
}

// lost notes that the run does not know all that the processor did.
func (p *past) lost(reason Loss, text string) { p.known.lost(p.clock(), reason, text) }

func (p *past) clock() int64 {
	if p.rerun.Inputs() == nil {
		return math.MinInt64
	}
	return p.rerun.Clock()
}

// run takes the records below cuts, as one stream in the order (rt, topic, offset) (semantics 2.1).
func (p *past) run(ctx context.Context, cuts map[string]int64) error {
	inputs := p.rerun.Inputs()
	for i, topic := range inputs {
		p.pass(i, topic, cuts[topic])
	}
	for {
		best, record, rt := -1, (*kgo.Record)(nil), int64(math.MaxInt64)
		for i, topic := range inputs {
			r, err := p.head(ctx, i, cuts[topic])
			if err != nil {
				return err
			}
			if r == nil {
				continue
			}
			if at := p.recordTime(r); best < 0 || at < rt {
				best, record, rt = i, r, at
			}
		}
		if best < 0 {
			break
		}
		if err := p.take(best, record, rt); err != nil {
			return err
		}
	}
	for i, topic := range inputs {
		p.skip(i, cuts[topic])
	}
	return nil
}

// pass goes over records that are gone from the input.
func (p *past) pass(i int, topic string, cut int64) {
	start, ok := p.v.bounds.starts[topic][p.id]
	if !ok {
		start = math.MaxInt64
	}
	from, to := p.rerun.Next(i), min(start, cut)
	if from >= to {
		return
	}
	p.lost(LostInputs, fmt.Sprintf("%s/%d holds nothing before offset %d", topic, p.id, start))
	p.rerun.Skip(i, to)
}

// skip moves a position on to cut, where nothing is left to take.
func (p *past) skip(i int, cut int64) {
	if from := p.rerun.Next(i); from < cut {
		p.v.advance(cut - from)
		p.rerun.Skip(i, cut)
	}
}

// head is the next record of an input below cut, or nil.
func (p *past) head(ctx context.Context, i int, cut int64) (*kgo.Record, error) {
	next, topic := p.rerun.Next(i), p.rerun.Inputs()[i]
	if next >= cut {
		return nil, nil
	}
	t := p.tapes[topic]
	if t == nil || t.next > next { // a processor may begin anew where others have been before
		t.close()
		var err error
		if t, err = p.v.tape(topic, p.id, next, p.ends[topic]); err != nil {
			return nil, err
		}
		p.tapes[topic] = t
	}
	r, err := t.peek(ctx)
	if err != nil {
		return nil, err
	}
	if r != nil && r.Offset >= cut {
		r = nil
	}
	// Offsets without a record were aborted, or in a compacted topic taken once and are gone: before what comes now.
	if p.v.bounds.compacted[topic] && (r == nil || r.Offset > next) {
		p.lost(LostCompacted, "records of "+topic+" are gone by compaction")
	}
	return r, nil
}

// recordTime is rt as the processor took it.
func (p *past) recordTime(r *kgo.Record) int64 {
	if rt, ok := p.clamps[processor.Place{Topic: r.Topic, Offset: r.Offset}]; ok {
		return rt
	}
	return r.Timestamp.UnixMilli()
}

func (p *past) take(i int, r *kgo.Record, rt int64) error {
	place := processor.Place{Topic: r.Topic, Offset: r.Offset}
	if gap := r.Offset - p.rerun.Next(i); gap > 0 {
		p.v.advance(gap)
	}
	p.known.saw(r.Key, max(rt, p.rerun.Clock()))
	if err := p.rerun.Take(i, r, rt, p.faults[place]); err != nil {
		return err
	}
	delete(p.clamps, place)
	p.tapes[r.Topic].take()
	p.v.advance(1)
	return nil
}

func (p *past) close() {
	for _, t := range p.tapes {
		t.close()
	}
}

// at names an offset of the partition.
func (p *past) at(topic string, offset int64) string {
	return fmt.Sprintf("%s/%d@%d", topic, p.id, offset)
}

// place names cuts.
func (p *past) place(cuts map[string]int64) (text string) {
	for _, topic := range slices.Sorted(maps.Keys(cuts)) {
		if text != "" {
			text += ", "
		}
		text += p.at(topic, cuts[topic])
	}
	return text
}
