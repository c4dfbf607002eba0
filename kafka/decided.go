package kafka

import (
	"iter"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Decided hands out the committed records of one partition, in order, by the markers that stand in the log itself. Its
// client keeps control records; whether it reads committed or not makes no difference but where it stops.
//
// A client that reads committed goes by a list of aborted transactions that the broker sends along, and that list can
// lack one (seen with Kafka 4.1.0). A replica that catches up appends transactions a, b of one producer and w of another
// at one go; where a is aborted, its index then says that all is decided up to w. When it leads later, a fetch that ends
// between b and w ends its search at a: b, aborted too, is shown as committed.
//
// A reader that ends waits for the marker of every transaction that began before its end, so that end must not be
// above the last stable offset. The zero value is ready; it has one caller.
type Decided struct {
	queue []queued
	open  map[int64]*ending // by producer id
}

// ending is how a transaction ends.
type ending struct{ known, aborted bool }

// queued is a record that has not been handed out; of is nil for one that is in no transaction.
type queued struct {
	record *kgo.Record
	of     *ending
}

// Add takes the next record of the partition.
func (d *Decided) Add(r *kgo.Record) {
	q := queued{record: r}
	switch {
	case r.Attrs.IsControl():
		d.end(r)
	case r.Attrs.IsTransactional():
		if q.of = d.open[r.ProducerID]; q.of == nil {
			q.of = &ending{}
			if d.open == nil {
				d.open = map[int64]*ending{}
			}
			d.open[r.ProducerID] = q.of
		}
	}
	d.queue = append(d.queue, q)
}

// end notes how the producer's transaction has ended. A marker may stand there without one: nothing was written here.
func (d *Decided) end(marker *kgo.Record) {
	const aborted, committed = 0, 1 // the key is a version and a type, 16 bits each
	e := d.open[marker.ProducerID]
	if e == nil || len(marker.Key) < 4 || marker.Key[2] != 0 || marker.Key[3] > committed {
		return
	}
	e.known, e.aborted = true, marker.Key[3] == aborted
	delete(d.open, marker.ProducerID)
}

// Waiting is how many records wait to be handed out.
func (d *Decided) Waiting() int { return len(d.queue) }

// Break ends the wait for markers that do not come, as where the log was cut: what waits counts as committed.
func (d *Decided) Break() {
	for _, e := range d.open {
		e.known = true
	}
	clear(d.open)
}

// Ready takes out what Next gives, until more must be added.
func (d *Decided) Ready() iter.Seq[*kgo.Record] {
	return func(yield func(*kgo.Record) bool) {
		for r := d.Next(); r != nil && yield(r); r = d.Next() {
		}
	}
}

// Next is the next record that is committed, or a marker; nil where more must be added first.
func (d *Decided) Next() *kgo.Record {
	for len(d.queue) > 0 {
		q := d.queue[0]
		if q.of != nil && !q.of.known {
			return nil
		}
		d.queue[0] = queued{}
		d.queue = d.queue[1:]
		if q.of == nil || !q.of.aborted {
			return q.record
		}
	}
	return nil
}
