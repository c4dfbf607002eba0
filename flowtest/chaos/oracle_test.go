package chaos

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/event"
	"vigil/flowtest/live"
	"vigil/processor"
	"vigil/trigger"
)

// move is a move of a partition's clock by the wall clock, as the journal has it: all records before cut had been
// judged by then.
type move struct {
	cut   int64
	clock int64 // ms
}

// replayed is one partition judged once more, without any trouble: its records and the moves that its journal tells of.
type replayed struct {
	fires     []live.Fire
	lines     bytes.Buffer // its records as a simulation file has them
	clock     int64        // in the end
	due       int64        // what is still to settle, by the clock; math.MaxInt64 for nothing
	overtaken int          // records behind the clock when they came
	behind    int64        // ms, the most of them
	failed    error
}

// oracle judges one partition.
type oracle struct {
	replayed
	id      int32
	opt     trigger.Options
	engine  *trigger.Engine
	decoder *event.Decoder
	ahead   int64 // the newest clock of a move
}

func newOracle(cat *campaign.Catalog, opt trigger.Options, id int32) *oracle {
	o := &oracle{id: id, opt: opt, decoder: event.NewDecoder(event.Fields{Type: "type", ID: "id", Time: "time", Properties: "properties"}, "json")}
	o.engine = trigger.New(cat, opt, o.decided)
	return o
}

// judge takes records and moves in the order in which the partition had them.
func (o *oracle) judge(records []*kgo.Record, moves []move) *replayed {
	for i, r := range records {
		for len(moves) > 0 && moves[0].cut <= r.Offset {
			o.move(moves[0])
			moves = moves[1:]
		}
		o.take(r)
		if i%1000 == 0 {
			o.engine.Changes(func(string, []byte) {})
			o.engine.Commit()
		}
	}
	for _, m := range moves {
		o.move(m)
	}
	o.clock, o.due = o.engine.Clock(), o.engine.NextDue()
	return &o.replayed
}

func (o *oracle) move(m move) {
	o.ahead = max(o.ahead, m.clock)
	o.failed = errors.Join(o.failed, o.engine.Advance(m.clock))
}

// take is one record: an event, or what is none and only moves the clock.
func (o *oracle) take(r *kgo.Record) {
	rt := r.Timestamp.UnixMilli()
	if rt < o.ahead {
		o.overtaken++
		o.behind = max(o.behind, o.ahead-rt)
	}
	ev, err := o.decoder.Decode(event.Record{Key: r.Key, Value: r.Value, RT: rt, Topic: r.Topic, Partition: r.Partition, Offset: r.Offset})
	if err != nil {
		o.lines.WriteString(fmt.Sprintf(`{"user":"nobody","type":"none","received":%d}`+"\n", rt))
		o.failed = errors.Join(o.failed, o.engine.Advance(rt))
		return
	}
	o.line(r, ev.ID)
	o.failed = errors.Join(o.failed, o.engine.Apply(ev))
}

// line notes an event as a simulation file has it; its id is written out where the record's place is the id.
func (o *oracle) line(r *kgo.Record, id string) {
	name, err := json.Marshal(id)
	o.failed = errors.Join(o.failed, err)
	o.lines.WriteString(fmt.Sprintf(`{"user":%q,"received":%d,`, r.Key, r.Timestamp.UnixMilli()))
	if !bytes.Contains(r.Value, []byte(`"id":`)) {
		o.lines.WriteString(fmt.Sprintf(`"id":%s,`, name))
	}
	o.lines.Write(r.Value[1:])
	o.lines.WriteByte('\n')
}

// decided notes a fire as it must stand on the webhooks topic.
func (o *oracle) decided(d *trigger.Decision) {
	if !d.Fire {
		return
	}
	rendered, err := d.Campaign.Render(campaign.Fire{
		FireID: d.FireID, User: d.User, Key: d.Key, Slot: d.Slot, At: d.At, LateBy: d.LateBy,
		Anchor: d.Anchor, Events: d.Events, Profile: d.Profile,
	})
	o.failed = errors.Join(o.failed, err)
	o.fires = append(o.fires, live.Fire{
		ID: d.FireID, Campaign: d.CampaignID, User: strings.Clone(d.User), Key: strings.Clone(d.Key), Anchor: strings.Clone(d.AnchorID),
		Slot: strings.Clone(d.Slot), At: d.At, LateBy: d.LateBy, Partition: o.id, Body: slices.Clone(rendered.Body),
	})
}

// journalled are the moves of each partition, in order.
func (r *run) journalled() map[int32][]move {
	moves := map[int32][]move{}
	for _, record := range r.Read(r.Topics.Journal) {
		j, err := processor.DecodeEntry(record.Value)
		r.must(err)
		if err != nil {
			continue
		}
		if len(j.Clamps)+len(j.Faults) > 0 {
			r.must(fmt.Errorf("%s/%d at %d: a record time was clamped, or the engine failed: %s", record.Topic, record.Partition, record.Offset, record.Value))
		}
		for _, m := range j.Moves {
			if m.Clock != 0 {
				moves[record.Partition] = append(moves[record.Partition], move{m.Cuts[r.Input], m.Clock})
			}
		}
	}
	return moves
}

// early counts the moves that went past a record which the partition held when the move was decided on: the clock stood
// still at W minus grace, so the record was acknowledged before W and yet not read.
func early(moves []move, acks []ack, grace time.Duration) (n int, worst int64) {
	slices.SortFunc(acks, func(a, b ack) int { return int(a.offset - b.offset) })
	first := make([]int64, len(acks)+1) // the earliest acknowledgement from here on
	first[len(acks)] = math.MaxInt64
	for i := len(acks) - 1; i >= 0; i-- {
		first[i] = min(first[i+1], acks[i].at)
	}
	for _, m := range moves {
		wall := m.clock + grace.Milliseconds()
		i, _ := slices.BinarySearchFunc(acks, m.cut, func(a ack, cut int64) int { return int(a.offset - cut) })
		if first[i] < wall {
			n++
			worst = max(worst, wall-first[i])
		}
	}
	return n, worst
}

// TestEarly: a move past an unread record counts, one at its end does not.
func TestEarly(t *testing.T) {
	acks := []ack{{offset: 7, at: 3000}, {offset: 5, at: 1000}, {offset: 6, at: 2000}}
	for _, row := range []struct {
		cut, clock int64
		want       int
	}{
		{5, 0, 0}, {5, 500, 1}, {6, 500, 0}, {6, 1500, 1}, {8, 9000, 0},
	} {
		if n, _ := early([]move{{row.cut, row.clock}}, acks, time.Second); n != row.want {
			t.Errorf("a move to %d at offset %d counts %d, want %d", row.clock, row.cut, n, row.want)
		}
	}
}
