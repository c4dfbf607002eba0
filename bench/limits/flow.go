package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
	"vigil/webhook"
)

// userName is the i-th user of a partition.
func userName(partition int32, i int) string { return fmt.Sprintf("u%02d-%07d", partition, i) }

// sender writes events, each to the partition of its user.
type sender struct {
	cl    *kgo.Client
	topic string

	mu  sync.Mutex
	err error // of the first event that was refused; guarded by mu
}

func (l *lab) sender(prefix string) (*sender, error) {
	cl, err := l.client(kgo.ProducerLinger(5*time.Millisecond), kgo.MaxBufferedRecords(100_000))
	if err != nil {
		return nil, err
	}
	return &sender{cl: cl, topic: inputOf(prefix)}, nil
}

// send writes an event of now; rest is what stands behind its time in the JSON.
func (s *sender) send(ctx context.Context, partition int32, user, id, rest string) {
	now := time.Now()
	s.cl.Produce(ctx, &kgo.Record{
		Topic: s.topic, Partition: partition, Key: []byte(user), Timestamp: now,
		Value: fmt.Appendf(nil, `{"id":%q,"time":%d,%s}`, id, now.UnixMilli(), rest),
	}, func(_ *kgo.Record, err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err == nil {
			s.err = err
		}
	})
}

func (s *sender) flush(ctx context.Context) error {
	err := s.cl.Flush(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	return errors.Join(err, s.err)
}

// steady calls next as many times a second as rate says, until stop is closed.
func steady(stop <-chan struct{}, rate int, next func(i int)) {
	const pace = 5 * time.Millisecond
	tick := time.NewTicker(pace)
	defer tick.Stop()
	began, sent := time.Now(), 0
	for {
		select {
		case <-stop:
			return
		case now := <-tick.C:
			for due := int(now.Sub(began).Seconds() * float64(rate)); sent < due; sent++ {
				next(sent)
			}
		}
	}
}

// arrival is a fire as a reader of vigil.webhooks sees it, committed.
type arrival struct {
	partition int32
	decided   time.Time
	seen      time.Time
	at        time.Time
	late      bool // of a timer, not of an event
}

// fires reads vigil.webhooks from its present end on, until ctx ends, and hands each fire over.
func (l *lab) fires(ctx context.Context, prefix string, got func(arrival)) error {
	cl, err := l.client(kgo.ConsumeTopics(kafka.Names(prefix).Webhooks), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	for ctx.Err() == nil {
		fetches := cl.PollFetches(ctx)
		seen := time.Now()
		for it := fetches.RecordIter(); !it.Done(); {
			r := it.Next()
			d, err := webhook.DecodeDelivery(r.Value)
			if err != nil {
				return err
			}
			got(arrival{partition: r.Partition, decided: d.DecidedAt, seen: seen, at: d.At, late: d.Campaign != "buy"})
		}
		if err := fetches.Err(); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// watch keeps what fires hands over.
type watch struct {
	mu  sync.Mutex
	all []arrival // guarded by mu
}

func (w *watch) got(a arrival) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, a)
}

// since are the arrivals of what was decided at or after a moment.
func (w *watch) since(t time.Time) []arrival {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []arrival
	for _, a := range w.all {
		if !a.decided.Before(t.Truncate(time.Millisecond)) {
			list = append(list, a)
		}
	}
	return list
}

// restart forgets what came so far.
func (w *watch) restart() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = w.all[:0]
}
