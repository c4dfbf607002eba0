package core_test

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vigil/sink/core"
)

var key = core.BreakerKey{Campaign: "cart", Host: "shop.example.com:443"}

// attempt makes one attempt; allowed is false where the breaker refuses it.
func attempt(bs *core.Breakers, h core.Health, at time.Time) (opened, allowed bool) {
	ticket, _, ok := bs.Begin(key, at)
	return ok && bs.End(ticket, h, at), ok
}

func TestHealthOf(t *testing.T) {
	for status, want := range map[int]core.Health{
		200: core.Well, 204: core.Well, 299: core.Well, 301: core.Alive, 400: core.Alive, 404: core.Alive, 410: core.Alive,
		408: core.Alive, 409: core.Alive, 425: core.Alive, 429: core.Ill, 500: core.Ill, 501: core.Alive, 503: core.Ill,
		505: core.Alive, 511: core.Ill, 530: core.Ill, 101: core.Ill, 0: core.Ill, 999: core.Ill,
	} {
		if got := core.HealthOf(&core.Answer{Status: status}); got != want {
			t.Errorf("%d: %v, want %v", status, got, want)
		}
	}
	for class, want := range map[core.Class]core.Health{core.Retryable: core.Ill, core.Permanent: core.Silent, core.Ours: core.Silent} {
		if got := core.HealthOf(&core.Answer{Failed: true, Class: class}); got != want {
			t.Errorf("class %v: %v, want %v", class, got, want)
		}
	}
}

func TestBreakerOpens(t *testing.T) {
	for name, row := range map[string]struct {
		seen  string // i ill, w well, a alive, s silent, one a step
		step  time.Duration
		opens bool
	}{
		"9 in a row":                   {"iiiiiiiii", time.Second, false},
		"10 in a row":                  {"iiiiiiiiii", time.Second, true},
		"10 in a row over days":        {"iiiiiiiiii", 24 * time.Hour, true},
		"an answer breaks the row":     {"iiiiiiiiiaiiiiiiiii", time.Minute, false},
		"silence does not":             {"iiiiisiiiii", time.Minute, true},
		"half of 20":                   {"iwiwiwiwiwiwiwiwiwwi", time.Second, true},
		"half of 19":                   {"iwiwiwiwiwiwiwiwiwi", time.Second, false},
		"less than half of 20":         {"iwiwiwiwiwiwiwiwiwww", time.Second, false},
		"half of 20, but in a minute":  {"iwiwiwiwiwiwiwiwiwwi", 3 * time.Second, false},
		"old failures are forgotten":   {"iwiwiwiwiwiwiwiwwwwwwwwwwwwwwwwwwwwwwwwwi", time.Second, false},
		"404 is no failure of the end": {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", time.Second, false},
	} {
		bs, opened := core.NewBreakers(), false
		for i, c := range row.seen {
			h := map[rune]core.Health{'i': core.Ill, 'w': core.Well, 'a': core.Alive, 's': core.Silent}[c]
			opened, _ = attempt(bs, h, now.Add(time.Duration(i)*row.step))
			if last := i == len(row.seen)-1; opened != (row.opens && last) {
				t.Errorf("%s: opened is %v after %d attempts", name, opened, i+1)
			}
		}
	}
}

func TestBreakerProbesAndRamps(t *testing.T) {
	bs, at := core.NewBreakers(), now
	late, _, _ := bs.Begin(key, at) // an attempt that ends long after the breaker has opened
	for range 10 {
		attempt(bs, core.Ill, at)
	}
	for _, opening := range []time.Duration{10, 20, 40, 80, 160, 300, 300} {
		opening *= time.Second
		until, ok := bs.Look(key, at.Add(opening-1))
		if ok || !until.Equal(at.Add(opening)) {
			t.Fatalf("open until %v, want %v", until.Sub(at), opening)
		}
		at = at.Add(opening)
		probe, _, ok := bs.Begin(key, at)
		if _, second := bs.Look(key, at); !ok || second {
			t.Fatalf("after %v: probe allowed %v, a second at the same time %v", opening, ok, second)
		}
		if !bs.End(probe, core.Ill, at) || bs.Open() != 1 {
			t.Fatal("a failed probe does not open again")
		}
	}
	if bs.End(late, core.Well, at) {
		t.Error("old news opened it")
	}
	at = at.Add(5 * time.Minute)
	var flying []core.Ticket
	for room := 1; bs.Open() == 1; room++ {
		for {
			ticket, _, ok := bs.Begin(key, at)
			if !ok {
				break
			}
			flying = append(flying, ticket)
		}
		if len(flying) != room {
			t.Fatalf("%d attempts at a time after %d successes", len(flying), room-1)
		}
		bs.End(flying[0], core.Well, at)
		flying = flying[1:]
	}
	if len(flying) != 6 {
		t.Errorf("closed with %d in flight", len(flying))
	}
	for range 9 {
		if opened, ok := attempt(bs, core.Ill, at); opened || !ok {
			t.Fatal("not as good as new")
		}
	}
	attempt(bs, core.Ill, at)
	if until, ok := bs.Look(key, at); ok || until.Sub(at) != 10*time.Second {
		t.Errorf("a new opening lasts %v", until.Sub(at))
	}
}

func TestBreakersAreApart(t *testing.T) {
	bs := core.NewBreakers()
	for range 10 {
		attempt(bs, core.Ill, now)
	}
	for _, other := range []core.BreakerKey{{Campaign: "cart", Host: "other"}, {Campaign: "other", Host: key.Host}} {
		if _, ok := bs.Look(other, now); !ok {
			t.Errorf("%v is open too", other)
		}
	}
}

// TestBreakersOfThePast: an open breaker whose campaign has gone is none any more after a while, and too many closed ones
// forget failures of the past.
func TestBreakersOfThePast(t *testing.T) {
	bs, other := core.NewBreakers(), core.BreakerKey{Campaign: "other", Host: key.Host}
	for range 10 {
		attempt(bs, core.Ill, now)
	}
	for _, row := range []struct {
		after time.Duration
		open  int
	}{{10 * time.Second, 1}, {10 * time.Minute, 1}, {10*time.Minute + 11*time.Second, 1}, {12 * time.Minute, 0}} {
		ticket, _, _ := bs.Begin(other, now.Add(row.after))
		bs.End(ticket, core.Well, now.Add(row.after))
		if bs.Open() != row.open {
			t.Errorf("%d open after %v, want %d", bs.Open(), row.after, row.open)
		}
	}
	at := now.Add(time.Hour)
	for range 9 {
		attempt(bs, core.Ill, at)
	}
	late, _, _ := bs.Begin(key, at) // ends when its breaker is forgotten
	for i := range 20_000 {
		at = at.Add(10 * time.Millisecond)
		_, _, _ = bs.Begin(core.BreakerKey{Campaign: "inline", Host: strconv.Itoa(i)}, at)
	}
	if bs.End(late, core.Ill, at) || bs.Open() != 0 {
		t.Error("a breaker that was forgotten has opened")
	}
	if opened, ok := attempt(bs, core.Ill, at); opened || !ok {
		t.Error("failures of the past are not forgotten")
	}
}

// TestBreakerNeverHangs: whatever happens, an open breaker lets a probe through again, never more than one at first, and
// what is given out can always be taken back.
func TestBreakerNeverHangs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bs, at := core.NewBreakers(), now
		var flying []core.Ticket
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
			if rapid.Bool().Draw(t, "begin") || len(flying) == 0 {
				if ticket, until, ok := bs.Begin(key, at); ok {
					flying = append(flying, ticket)
				} else if until.Before(at) || until.Sub(at) > 5*time.Minute {
					t.Fatalf("refused until %v from now", until.Sub(at))
				}
				continue
			}
			i := rapid.IntRange(0, len(flying)-1).Draw(t, "which")
			bs.End(flying[i], core.Health(rapid.IntRange(0, 3).Draw(t, "health")), at)
			flying = append(flying[:i], flying[i+1:]...)
		}
		for _, ticket := range flying {
			bs.End(ticket, core.Silent, at)
		}
		at = at.Add(5 * time.Minute)
		for range 20 {
			if _, ok := attempt(bs, core.Well, at); !ok {
				t.Fatal("refused though nothing is in flight")
			}
		}
		if bs.Open() != 0 {
			t.Fatalf("%d open after 20 successes", bs.Open())
		}
	})
}
