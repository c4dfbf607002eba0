package main

import (
	"context"

	"vigil/event"
	"vigil/trigger"
)

// batch is how many events the core takes between two commits: what a transaction of the processor holds.
const batch = 20_000

// core measures decode, decide and encode without Kafka and disk: bytes of events in, bytes of user records out.
func core(ctx context.Context, p part) (*figures, error) {
	cat, err := campaignsOf(p.Campaigns)
	if err != nil {
		return nil, err
	}
	f := &figures{Name: "core", Units: p.Events, Produced: map[string]volume{}}
	engine := trigger.New(cat, times(), func(d *trigger.Decision) {
		if d.Fire {
			f.Fires++
		}
	})
	dec := event.NewDecoder(fields(), "json")
	var arena []byte
	begin := beginning()
	for from := 0; from < p.Events && ctx.Err() == nil; from += batch {
		n := min(batch, p.Events-from)
		arena = arena[:0]
		for i := range n {
			user, _ := eventAt(from + i)
			arena = appendEvent(appendUser(arena, user), from+i, begin)
		}
		if err := f.coreBatch(dec, engine, arena, begin+int64(from/perMilli)); err != nil {
			return nil, err
		}
	}
	f.memory()
	return f, ctx.Err()
}

// coreBatch times one batch: decoding alone first, then all of it.
func (f *figures) coreBatch(dec *event.Decoder, engine *trigger.Engine, arena []byte, begin int64) error {
	const keyBytes, ahead = 8, 64
	var keys [][]byte
	for at := 0; at < len(arena); at += keyBytes + eventBytes {
		keys = append(keys, arena[at:at+keyBytes])
	}
	each := func(expect func(users [][]byte), take func(ev *event.Event) error) error {
		for at, i := 0, int64(0); at < len(arena); at, i = at+keyBytes+eventBytes, i+1 {
			if i%ahead == 0 {
				expect(keys[i:min(int(i)+ahead, len(keys))])
			}
			ev, err := dec.Decode(event.Record{
				Key: arena[at : at+keyBytes], Value: arena[at+keyBytes : at+keyBytes+eventBytes], RT: begin + i/perMilli, Topic: "events",
			})
			if err != nil {
				return err
			}
			if err := take(ev); err != nil {
				return err
			}
		}
		return nil
	}
	watch := started()
	if err := each(func([][]byte) {}, func(*event.Event) error { return nil }); err != nil {
		return err
	}
	f.DecodeCPU += watch.cpuTime()
	watch = started()
	if err := each(engine.Expect, engine.Apply); err != nil {
		return err
	}
	v := f.Produced["state"]
	engine.Changes(func(_ string, record []byte) {
		v.Records++
		v.Bytes += int64(len(record))
	})
	engine.Commit()
	f.CPU += watch.cpuTime()
	f.Wall += watch.wallTime()
	f.Produced["state"] = v
	return nil
}
