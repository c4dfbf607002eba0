package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Event is one thing that a shopper did, as a line of semantics 5.
type Event struct {
	User       string         `json:"user"`
	Type       string         `json:"type"`
	ID         string         `json:"id"`
	Time       time.Time      `json:"time"`
	Properties map[string]any `json:"properties"`
}

// JSON is the event as a record value.
func (e Event) JSON() ([]byte, error) {
	doc, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode event of %s: %w", e.User, err)
	}
	return doc, nil
}

// Shop lets shoppers come and go. It has one caller.
type Shop struct {
	rng   *rand.Rand
	pause time.Duration // between two visits
	run   string        // makes ids differ from those of another run
	seq   int
	known map[string]bool // shoppers whose profile is told
	queue []Event         // what will be done, by time
}

// NewShop makes a shop in which a shopper comes every pause; the same seed gives the same shoppers and visits.
func NewShop(seed uint64, pause time.Duration) *Shop {
	return &Shop{rng: rand.New(rand.NewPCG(seed, seed)), pause: pause, known: map[string]bool{}}
}

// Run hands every event to send at its time, until the context ends; then it returns nil.
func (s *Shop) Run(ctx context.Context, send func(Event) error) error {
	now := time.Now()
	s.run = fmt.Sprintf("%x", now.UnixMilli())
	opening := s.opening()
	nextVisit := now.Add(time.Duration(len(opening)) * s.pause)
	for i, visit := range opening {
		s.plan(visit(now.Add(time.Duration(i) * s.pause)))
	}
	for {
		if len(s.queue) == 0 || nextVisit.Before(s.queue[0].Time) {
			s.plan(s.visit(nextVisit))
			nextVisit = nextVisit.Add(s.pause)
			continue
		}
		ev := s.queue[0]
		if !sleepUntil(ctx, ev.Time) {
			return nil
		}
		s.queue = s.queue[1:]
		if err := send(ev); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("send %s of %s: %w", ev.Type, ev.User, err)
		}
	}
}

func sleepUntil(ctx context.Context, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *Shop) plan(events []Event) {
	s.queue = append(s.queue, events...)
	slices.SortStableFunc(s.queue, func(a, b Event) int { return a.Time.Compare(b.Time) })
}

// opening are the first visits, the same in every run, so that each campaign has something to say early.
func (s *Shop) opening() []func(time.Time) []Event {
	at := func(name string, visit func(*trip)) func(time.Time) []Event {
		return func(t time.Time) []Event { return s.trip(find(name), t, visit) }
	}
	return []func(time.Time) []Event{
		at("Ada", func(t *trip) { t.cart(149, 0) }),
		at("Chloé", func(t *trip) { t.launch() }),
		at("Bob", func(t *trip) { t.cart(120, 2*time.Second) }),
		at("Hana", func(t *trip) { t.notification(true) }),
		at("Jonas", func(t *trip) { t.pickup(false) }),
		at("Goran", func(t *trip) { t.launch() }),
		at("Fatima", func(t *trip) { t.cart(39, 0) }),
		at("Noor", func(t *trip) { t.pickup(true) }),
	}
}

// visit is one of a shopper drawn by lot.
func (s *Shop) visit(at time.Time) []Event {
	who := shoppers[s.rng.IntN(len(shoppers))]
	return s.trip(who, at, func(t *trip) {
		switch n := s.rng.IntN(100); {
		case n < 25:
			t.launch()
		case n < 45:
			t.cart(100+s.rng.IntN(200), 0)
		case n < 65:
			t.cart(100+s.rng.IntN(200), time.Duration(1000+s.rng.IntN(3000))*time.Millisecond)
		case n < 72:
			t.cart(10+s.rng.IntN(80), 0)
		case n < 85:
			t.notification(s.rng.IntN(2) == 0)
		default:
			t.pickup(s.rng.IntN(3) == 0)
		}
	})
}
