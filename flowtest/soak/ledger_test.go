package soak

import (
	"context"
	"fmt"
	"strconv"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/webhook"
)

// most is how many attempts a delivery may get: two retries. Requests may be twice as many, for a pooled connection that
// turns out to be dead is replaced once in an attempt.
const most = 3

// row is what is known of one delivery; an hour has half a million of them.
type row struct {
	kind     kind
	fate     fate
	fates    uint8 // records that are a fate
	attempts uint8 // records that tell of one
	requests uint8
	dead     uint8 // dead letters
}

// fate is how a delivery ended; the zero value is that it has not.
type fate uint8

const (
	delivered fate = iota + 1
	dead
	expired
	cancelled
	fateCount
)

var fates = map[webhook.Outcome]fate{
	webhook.Delivered: delivered, webhook.Dead: dead, webhook.Expired: expired, webhook.Cancelled: cancelled,
}

// ledger is the books: what was sent where, and what became of it.
type ledger struct {
	books   sync.Mutex
	rows    []row          // by number; guarded by books, as what follows
	settled int            // of which everything is known
	over    int            // requests of a fourth attempt or a later one
	strange int            // requests and records of no delivery
	reasons map[string]int // of dead letters
}

// sent opens a row and gives the id of the delivery.
func (l *ledger) sent(k kind) string {
	l.books.Lock()
	defer l.books.Unlock()
	l.rows = append(l.rows, row{kind: k})
	return fmt.Sprintf("s%d", len(l.rows)-1)
}

// note changes the row of an id.
func (l *ledger) note(id string, change func(*row)) {
	l.books.Lock()
	defer l.books.Unlock()
	n := -1
	if len(id) > 1 {
		n, _ = strconv.Atoi(id[1:])
	}
	if n < 0 || n >= len(l.rows) {
		l.strange++
		return
	}
	w := &l.rows[n]
	before := w.known()
	change(w)
	if w.known() && !before {
		l.settled++
	}
}

// known tells whether the fate is there, and the dead letter that goes with most.
func (w *row) known() bool { return w.fate == delivered || w.fate > delivered && w.dead > 0 }

func (l *ledger) arrived(id, attempt string) {
	n, err := strconv.Atoi(attempt)
	l.note(id, func(w *row) {
		w.requests = min(w.requests, 254) + 1
		if err != nil || n < 1 || n > most {
			l.over++
		}
	})
}

// unsettled is how many deliveries have not come to their end yet.
func (l *ledger) unsettled() int {
	l.books.Lock()
	defer l.books.Unlock()
	return len(l.rows) - l.settled
}

// read follows the attempts and the dead letters until ctx ends.
func (r *run) read(ctx context.Context) {
	client := r.Connect(kgo.ConsumeTopics(r.Topics.Attempts, r.Topics.DeadWebhooks), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	defer client.Close()
	for ctx.Err() == nil {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err(); err != nil && ctx.Err() == nil {
			r.must(fmt.Errorf("read what became of deliveries: %w", err))
		}
		fetches.EachRecord(func(k *kgo.Record) {
			if k.Topic == r.Topics.DeadWebhooks {
				r.deadLetter(k)
				return
			}
			a, err := webhook.DecodeAttempt(k.Value)
			r.must(err)
			if err == nil {
				r.became(a)
			}
		})
	}
}

func (l *ledger) became(a *webhook.Attempt) {
	l.note(a.FireID, func(w *row) {
		if a.Outcome == webhook.Retry || a.Outcome == webhook.Delivered || a.Outcome == webhook.Dead {
			w.attempts++
		}
		if f := fates[a.Outcome]; f != 0 {
			w.fate, w.fates = f, w.fates+1
		}
	})
}

func (l *ledger) deadLetter(k *kgo.Record) {
	id, reason := "", ""
	for _, h := range k.Headers {
		switch h.Key {
		case webhook.HeaderFireID:
			id = string(h.Value)
		case "x-reason-code":
			reason = string(h.Value)
		}
	}
	l.note(id, func(w *row) {
		w.dead++
		if l.reasons == nil {
			l.reasons = map[string]int{}
		}
		l.reasons[reason]++
	})
}

// tally is how many of one kind there were and how they ended.
type tally struct {
	sent  int
	fates [fateCount]int
}

// account closes the books: what there was by kind, and what must not be.
func (l *ledger) account() (kinds [kindCount]tally, wrong map[string]int) {
	l.books.Lock()
	defer l.books.Unlock()
	wrong = map[string]int{"of a fourth attempt": l.over, "that belong to no delivery": l.strange}
	add := func(what string, is bool) {
		if is {
			wrong[what]++
		}
	}
	for _, w := range l.rows {
		kinds[w.kind].sent++
		kinds[w.kind].fates[w.fate]++
		letters := uint8(0)
		if w.fate > delivered {
			letters = 1
		}
		healthy := habits[w.kind].healthy
		add("lost: they have no fate", w.fate == 0)
		add("with two fates", w.fates > 1)
		add("with a dead letter too many or too few", w.fate != 0 && w.dead != letters)
		add("with too many attempts", w.attempts > most || w.requests > 2*most)
		add("delivered that never arrived", w.fate == delivered && w.requests == 0)
		add("not delivered to a healthy endpoint", healthy && w.fate != delivered)
		add("repeated at a healthy endpoint", healthy && w.requests > 1 && w.attempts < 2)
		add("sent to an address that is refused", w.kind == inline && (w.requests > 0 || w.fate == delivered))
	}
	return kinds, wrong
}
