package inspect

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
	"vigil/webhook"
)

// Attempts says which attempts and outcomes are wanted; empty fields want all.
type Attempts struct {
	User, Campaign, FireID string
	Since                  time.Time
	Limit                  int // of those that are there already: the newest so many; 0: all
	Follow                 bool
}

// Log is what Attempts has come to.
type Log struct {
	Shown, Hidden int // Hidden: older ones beyond the limit
	Unreadable    int // records that are no attempts
}

func (a *Attempts) wants(t *webhook.Attempt) bool {
	return (a.User == "" || t.User == a.User) && (a.Campaign == "" || t.Campaign == a.Campaign) &&
		(a.FireID == "" || t.FireID == a.FireID) && !t.At.Before(a.Since)
}

// Attempts shows what is in the delivery log, ordered by time, and with Follow what comes after it, as it comes. A
// fire_id is the key of the log: for one of them a single partition is read.
func (r *Reader) Attempts(ctx context.Context, topics kafka.Topics, a Attempts, show func(*webhook.Attempt) error) (Log, error) {
	var log Log
	s := scan{topic: topics.Attempts, since: a.Since, follow: a.Follow}
	if a.FireID != "" {
		n, err := r.partitions(ctx, s.topic)
		if err != nil {
			return log, err
		}
		id := home([]byte(a.FireID), s.topic, n)
		s.only = func(partition int32) bool { return partition == id }
	}
	there := newest[*webhook.Attempt]{limit: a.Limit, at: func(t *webhook.Attempt) time.Time { return t.At }}
	live := false
	s.atEnd = func() error {
		live = true
		for _, t := range there.sorted() {
			log.Shown++
			if err := show(t); err != nil {
				return err
			}
		}
		log.Hidden = there.dropped
		return nil
	}
	err := r.read(ctx, s, func(record *kgo.Record) error {
		t, err := webhook.DecodeAttempt(record.Value)
		switch {
		case err != nil:
			log.Unreadable++
		case !a.wants(t):
		case live:
			log.Shown++
			return show(t)
		default:
			there.add(t)
		}
		return nil
	})
	return log, err
}

// newest keeps the latest of what is added, at most twice its limit in memory.
type newest[T any] struct {
	limit   int // 0: none
	at      func(T) time.Time
	kept    []T
	dropped int
}

func (n *newest[T]) add(v T) {
	n.kept = append(n.kept, v)
	if n.limit > 0 && len(n.kept) >= 2*n.limit {
		n.kept = n.sorted()
	}
}

// sorted is what is kept by time, cut to the limit; equal times stay in the order added.
func (n *newest[T]) sorted() []T {
	slices.SortStableFunc(n.kept, func(a, b T) int { return n.at(a).Compare(n.at(b)) })
	if over := len(n.kept) - n.limit; n.limit > 0 && over > 0 {
		n.kept = slices.Delete(n.kept, 0, over)
		n.dropped += over
	}
	return n.kept
}
