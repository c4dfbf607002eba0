package core_test

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vigil/sink/core"
)

// widest is how many attempts a lane with enough to do gets at a time.
func widest(ls *core.Lanes[string], l *core.Lane[string], at time.Time) []core.Turn[string] {
	for i := range 200 {
		ls.Enter(l, entry(fmt.Sprint(i), core.First, at))
	}
	turns := take(ls, at)
	ls.Drop(func(string) bool { return true })
	return turns
}

// rounds makes rounds of as many attempts as there are places, and returns the number of the places after that.
func rounds(ls *core.Lanes[string], l *core.Lane[string], n int, r core.Result) int {
	at := r.At
	for range n {
		turns := widest(ls, l, at)
		at = at.Add(r.Took)
		for _, turn := range turns {
			r.At = at
			ls.End(turn, r)
			if extra, ok := ls.Next(at); ok { // the place is used again at once, or there is nothing to learn
				ls.End(extra, core.Result{})
			}
		}
	}
	turns := widest(ls, l, at)
	for _, turn := range turns {
		ls.End(turn, core.Result{})
	}
	return len(turns)
}

func TestCeilingAdapts(t *testing.T) {
	fast := core.Result{At: now, Took: 20 * time.Millisecond, Health: core.Well}
	dead := core.Result{At: now, Took: 5 * time.Second, Health: core.Ill, TimedOut: true}
	ls := core.NewLanes[string](1000)
	for _, step := range []struct {
		name  string
		share float64
		r     core.Result
		n     int
		least int
		most  int
	}{
		{"unknown", 1, fast, 0, 16, 16},
		{"fast", 1, fast, 200, 64, 64},
		{"one round of timeouts", 1, dead, 1, 32, 32},
		{"dead", 1, dead, 10, 2, 2},
		{"fast again", 1, fast, 3000, 64, 64},
		{"slow but steady", 1, core.Result{At: now, Took: 4 * time.Second, Health: core.Well}, 50, 15, 17},
		{"a third of the partitions", 1. / 3, fast, 200, 21, 21},
		{"next to none of them", 0.001, fast, 1, 1, 1},
	} {
		ls.Share(step.share, now)
		l := ls.Lane("a", core.Limits{}, now)
		step.r.At = now.Add(24 * time.Hour)
		if got := rounds(ls, l, step.n, step.r); got < step.least || got > step.most {
			t.Errorf("%s: %d places, want %d to %d", step.name, got, step.least, step.most)
		}
	}
}

func TestEndpointsWithoutAnAnswerShareAQuarter(t *testing.T) {
	ls := core.NewLanes[string](100)
	for i := range 50 {
		fill(ls, fmt.Sprint("dead", i, "-"), core.First, 20)
	}
	first := take(ls, now)
	if len(first) != 100 {
		t.Fatalf("%d places given", len(first))
	}
	at := now.Add(5 * time.Second)
	for _, turn := range first {
		ls.End(turn, core.Result{At: at, Took: 5 * time.Second, Health: core.Ill, TimedOut: true})
	}
	again := take(ls, at)
	if len(again) != 25 {
		t.Errorf("%d places for endpoints that do not answer, want 25", len(again))
	}
	fill(ls, "healthy-", core.First, 100)
	if got := take(ls, at); len(got) != 16 {
		t.Errorf("%d places for the healthy one, want 16", len(got))
	}
	ls.End(again[0], core.Result{At: at, Took: time.Millisecond, Health: core.Well}) // one recovers
	if got := take(ls, at); len(got) < 2 {
		t.Errorf("%d places after one has answered", len(got))
	}
}

// TestOnlyTheEndpointsFaultIsParked: what waits for the common limit, or for this machine, is not.
func TestOnlyTheEndpointsFaultIsParked(t *testing.T) {
	slow := func(ls *core.Lanes[string], l *core.Lane[string]) { // until the cap has grown to its limit
		for range 60 {
			for _, turn := range widest(ls, l, now) {
				ls.End(turn, core.Result{At: now, Took: 600 * time.Millisecond, Health: core.Well})
			}
		}
	}
	spilled := func(ls *core.Lanes[string], l *core.Lane[string]) (n int, room bool) {
		for i := range 4000 {
			ls.Enter(l, entry(fmt.Sprint(i), core.First, now))
		}
		turns := take(ls, now)
		room = ls.Room(l, now)
		// It answers until the end: otherwise it would be a suspect.
		answered := now.Add(core.SpillAfter - 10*time.Millisecond)
		ls.End(turns[0], core.Result{At: answered, Took: 600 * time.Millisecond, Health: core.Well})
		take(ls, answered)
		ls.Spill(now.Add(core.SpillAfter), func(*core.Lane[string], string) { n++ })
		return n, room
	}
	for name, row := range map[string]struct {
		pool    int
		late    time.Duration
		ramping bool
		parked  bool
	}{
		"the endpoint is at its cap": {256, 0, false, true},
		"its cap is still our guess": {256, 0, true, false},
		"the pool is full":           {10, 0, false, false},
		"we are late ourselves":      {256, 100 * time.Millisecond, false, false},
		"we are late, but not much":  {256, 15 * time.Millisecond, false, true},
		"late, yet less than slow":   {256, 30 * time.Millisecond, false, true},
	} {
		ls := core.NewLanes[string](row.pool)
		l := ls.Lane("a", core.Limits{}, now)
		slow(ls, l)
		for range 50 {
			ls.Late(row.late)
		}
		if row.ramping {
			l = ls.Lane("new", core.Limits{}, now)
		}
		if n, room := spilled(ls, l); (n > 0) != row.parked || room == row.parked {
			t.Errorf("%s: %d parked, room for more: %v", name, n, room)
		}
	}
}

// TestSuspectsAreCounted: whatever happens, the places of suspects are those in flight at suspect lanes: when all is back,
// every lane gets its places again.
func TestSuspectsAreCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ls, at := core.NewLanes[string](8), now
		var flying []core.Turn[string]
		for range rapid.IntRange(1, 150).Draw(t, "steps") {
			at = at.Add(time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond)
			l := ls.Lane(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "lane"), core.Limits{}, at)
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				ls.Enter(l, entry("x", core.Queue(rapid.IntRange(0, 1).Draw(t, "queue")), at))
				if turn, ok := ls.Next(at); ok {
					flying = append(flying, turn)
				}
			case 2:
				if len(flying) > 0 {
					took := time.Duration(rapid.IntRange(0, 5000).Draw(t, "took")) * time.Millisecond
					ls.End(flying[0], core.Result{At: at, Took: took, Health: core.Health(rapid.IntRange(0, 3).Draw(t, "health"))})
					flying = flying[1:]
				}
			case 3:
				ls.Spill(at, func(*core.Lane[string], string) {})
			}
		}
		for _, turn := range flying {
			ls.End(turn, core.Result{At: at, Took: time.Millisecond, Health: core.Well})
		}
		ls.Drop(func(string) bool { return true })
		for _, key := range []string{"a", "b", "c"} { // all answer
			for range 10 {
				ls.Enter(ls.Lane(key, core.Limits{}, at), entry("x", core.First, at))
				turn, ok := ls.Next(at)
				if !ok {
					t.Fatalf("lane %s gets no place", key)
				}
				ls.End(turn, core.Result{At: at, Took: time.Millisecond, Health: core.Well})
			}
		}
		for i := range 8 {
			ls.Enter(ls.Lane("abc"[i%3:i%3+1], core.Limits{}, at), entry("x", core.First, at))
		}
		if got := take(ls, at); len(got) != 8 {
			t.Fatalf("%d of 8 places given", len(got))
		}
	})
}

// TestAStarvedHostSuspectsNobody: an endpoint that has not answered for a while is a suspect, unless we are late ourselves.
func TestAStarvedHostSuspectsNobody(t *testing.T) {
	for late, want := range map[time.Duration]int{0: 0, 100 * time.Millisecond: 11} {
		ls := core.NewLanes[string](100)
		for i := range 25 { // the quarter is taken
			fill(ls, fmt.Sprint("dead", i, "-"), core.First, 1)
		}
		fill(ls, "busy-", core.First, 5)
		take(ls, now)
		for range 50 {
			ls.Late(late)
		}
		at := now.Add(500 * time.Millisecond)
		for i := range 25 { // each is looked at once more
			l := ls.Lane(fmt.Sprint("dead", i, "-"), core.Limits{}, at)
			ls.Room(l, at)
			ls.Enter(l, entry("x", core.Rest, at))
		}
		take(ls, at)
		ls.Drop(func(string) bool { return true })
		fill(ls, "busy-", core.First, 11)
		got := 0
		for _, name := range names(take(ls, at)) {
			if name != "x" {
				got++
			}
		}
		if got != want {
			t.Errorf("late by %v: %d places for one that has not answered for 500 ms, want %d", late, got, want)
		}
	}
}
