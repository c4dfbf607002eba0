package core_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vigil/sink/core"
)

// fill enters n deliveries named KEY1, KEY2, ... into a lane.
func fill(ls *core.Lanes[string], key string, q core.Queue, n int) *core.Lane[string] {
	l := ls.Lane(key, core.Limits{}, now)
	for i := range n {
		ls.Enter(l, entry(fmt.Sprint(key, i+1), q, now))
	}
	return l
}

func entry[P any](parcel P, q core.Queue, at time.Time) core.Entry[P] {
	return core.Entry[P]{Parcel: parcel, Queue: q, Size: 1, Since: at}
}

// well is an attempt that succeeded.
func well(took time.Duration) core.Result {
	return core.Result{At: now.Add(took), Took: took, Health: core.Well}
}

// take gives out places until none is left.
func take(ls *core.Lanes[string], at time.Time) (turns []core.Turn[string]) {
	for {
		t, ok := ls.Next(at)
		if !ok {
			return turns
		}
		turns = append(turns, t)
	}
}

func names(turns []core.Turn[string]) (out []string) {
	for _, t := range turns {
		out = append(out, t.Parcel)
	}
	return out
}

func TestLanesTakeTurns(t *testing.T) {
	ls := core.NewLanes[string](4)
	fill(ls, "a", core.First, 3)
	fill(ls, "b", core.First, 3)
	if got, want := names(take(ls, now)), []string{"a1", "b1", "a2", "b2"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestLimitsAreHard(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 20).Draw(t, "max")
		ls := core.NewLanes[int](limit)
		lanes := map[string]core.Limits{"a": {InFlight: 1}, "b": {InFlight: 3}, "c": {}}
		inFlight := map[*core.Lane[int]]int{}
		var flying []core.Turn[int]
		entered, left := 0, 0
		at := now
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			at = at.Add(time.Millisecond)
			key := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "lane")
			l := ls.Lane(key, lanes[key], at)
			switch rapid.IntRange(0, 2).Draw(t, "step") {
			case 0:
				ls.Enter(l, entry(entered, core.Queue(rapid.IntRange(0, 1).Draw(t, "queue")), at))
				entered++
			case 1:
				if turn, ok := ls.Next(at); ok {
					flying = append(flying, turn)
					inFlight[turn.Lane]++
					left++
				}
			case 2:
				if len(flying) > 0 {
					ls.End(flying[0], well(time.Millisecond))
					inFlight[flying[0].Lane]--
					flying = flying[1:]
				}
			}
			for key, most := range map[string]int{"a": 1, "b": 3, "c": 64} {
				if n := inFlight[ls.Lane(key, lanes[key], at)]; n > most {
					t.Fatalf("%d in flight in lane %s", n, key)
				}
			}
			if ls.InFlight() > limit || ls.InFlight() != len(flying) || ls.Waiting() != entered-left {
				t.Fatalf("%d in flight of %d, %d waiting", ls.InFlight(), limit, ls.Waiting())
			}
		}
		for range 1000 { // everything gets its turn
			if turn, ok := ls.Next(at); ok {
				ls.End(turn, well(time.Millisecond))
				left++
			} else if len(flying) > 0 {
				ls.End(flying[0], well(time.Millisecond))
				flying = flying[1:]
			}
		}
		if left != entered {
			t.Fatalf("%d of %d had a turn", left, entered)
		}
	})
}

func TestRetriesLeaveRoomForFirstAttempts(t *testing.T) {
	only := core.NewLanes[string](10)
	fill(only, "r", core.Rest, 20)
	if got := len(take(only, now)); got != 10 {
		t.Errorf("retries alone get %d places, want all 10", got)
	}
	mixed := core.NewLanes[string](10)
	fill(mixed, "first-", core.First, 20)
	fill(mixed, "rest-", core.Rest, 20)
	rest := 0
	for _, name := range names(take(mixed, now)) {
		if name[:4] == "rest" {
			rest++
		}
	}
	if rest != 3 {
		t.Errorf("retries got %d of 10 places while first attempts wait, want 3", rest)
	}
}

// TestFewPlacesAreShared: where 30 % of the places are less than one, retries get one now and then: they must not wait until no
// first attempt does.
func TestFewPlacesAreShared(t *testing.T) {
	for _, places := range []int{1, 2, 3, 4, 10} {
		ls := core.NewLanes[string](places)
		fill(ls, "first-", core.First, 1000)
		fill(ls, "rest-", core.Rest, 1000)
		rest, all := 0, 0
		for flying := take(ls, now); all < 400; all++ { // one ends, one begins
			ls.End(flying[0], well(time.Millisecond))
			next, _ := ls.Next(now)
			flying = append(flying[1:], next)
			if next.Parcel[:4] == "rest" {
				rest++
			}
		}
		if rest < all*20/100 || rest > all*30/100 {
			t.Errorf("retries got %d of %d turns at %d places", rest, all, places)
		}
	}
}

func TestHoldParksWhatWaits(t *testing.T) {
	ls := core.NewLanes[string](1)
	l := fill(ls, "a", core.First, 3)
	fill(ls, "b", core.First, 1)
	turn, _ := ls.Next(now)
	var parked []string
	ls.Hold(l, now.Add(time.Minute), now, func(p string) { parked = append(parked, p) })
	if !slices.Equal(parked, []string{"a2", "a3"}) || turn.Parcel != "a1" || !l.Held().Equal(now.Add(time.Minute)) {
		t.Errorf("parked %v after %v", parked, turn.Parcel)
	}
	ls.End(turn, well(time.Millisecond))
	if got := names(take(ls, now)); !slices.Equal(got, []string{"b1"}) {
		t.Errorf("the other lane got %v", got)
	}
}

func TestShortHoldOnlyWaits(t *testing.T) {
	ls := core.NewLanes[string](1)
	l := fill(ls, "a", core.First, 1)
	ls.Hold(l, now.Add(time.Second), now, func(string) { t.Error("parked") })
	if _, ok := ls.Next(now); ok {
		t.Error("a held lane got a place")
	}
	if at, ok := ls.NextWake(); !ok || !at.Equal(now.Add(time.Second)) {
		t.Errorf("wakes at %v", at)
	}
	if _, ok := ls.Next(now.Add(time.Second)); !ok {
		t.Error("no place after the hold")
	}
}

func TestSpill(t *testing.T) {
	spilled := func(ls *core.Lanes[string], at time.Time) (out []string) {
		ls.Spill(at, func(_ *core.Lane[string], p string) { out = append(out, p) })
		return out
	}
	slow := core.NewLanes[string](100)
	l := slow.Lane("a", core.Limits{InFlight: 1}, now)
	for i := range 3 {
		slow.Enter(l, entry(fmt.Sprint("a", i), core.First, now))
	}
	take(slow, now)
	if got := spilled(slow, now.Add(core.SpillAfter-1)); got != nil {
		t.Errorf("%v spilled too early", got)
	}
	if got := spilled(slow, now.Add(core.SpillAfter)); !slices.Equal(got, []string{"a1", "a2"}) {
		t.Errorf("spilled %v", got)
	}
	full := core.NewLanes[string](1) // the common limit is the bottleneck: nothing is parked
	fill(full, "a", core.First, 3)
	take(full, now)
	if got := spilled(full, now.Add(time.Hour)); got != nil {
		t.Errorf("%v spilled though the sink is what it waits for", got)
	}
}

func TestRoomFollowsThePace(t *testing.T) {
	ls := core.NewLanes[string](1000)
	l := ls.Lane("a", core.Limits{}, now)
	room := func() (n int) {
		var flying []core.Turn[string]
		for len(flying) < 64 { // the endpoint gets all that it may have
			ls.Enter(l, entry("x", core.First, now))
			turn, ok := ls.Next(now)
			if !ok {
				break
			}
			flying = append(flying, turn)
		}
		ls.Drop(func(string) bool { return true })
		for n < 20_000 && ls.Room(l, now) {
			ls.Enter(l, entry("x", core.First, now))
			n++
		}
		ls.Drop(func(string) bool { return true })
		for _, turn := range flying {
			ls.End(turn, core.Result{})
		}
		return n
	}
	attempts := func(n int, took time.Duration) {
		for range n {
			ls.Enter(l, entry("x", core.First, now))
			turn, _ := ls.Next(now)
			ls.End(turn, well(took))
		}
	}
	before := room()
	attempts(50, 5*time.Second) // a dead endpoint
	slow := room()
	attempts(100, time.Millisecond)
	if fast := room(); slow != 64 || before <= slow || fast != 8192 {
		t.Errorf("room for %d at first, %d while slow, %d while fast", before, slow, fast)
	}
}

func TestRate(t *testing.T) {
	ls := core.NewLanes[string](100)
	l := ls.Lane("a", core.Limits{Rate: 20}, now)
	for i := range 60 {
		ls.Enter(l, entry(fmt.Sprint(i), core.First, now))
	}
	at, given := now, 0
	for at.Before(now.Add(time.Second)) {
		for _, turn := range take(ls, at) {
			given++
			ls.End(turn, well(time.Millisecond))
		}
		wake, ok := ls.NextWake()
		if !ok {
			t.Fatal("a limited lane sets no alarm")
		}
		at = wake
	}
	if given < 20 || given > 22 {
		t.Errorf("%d attempts in a second at 20/s", given)
	}
	if l = ls.Lane("a", core.Limits{}, at); len(take(ls, at)) == 0 {
		t.Error("no attempt after the limit was lifted")
	}
	_ = l
}

// TestShareOfLimits: whoever gets a share of the partitions keeps that share of the limits, rounded down, for what waits
// already too; a change of it gives nobody tokens.
func TestShareOfLimits(t *testing.T) {
	for _, c := range []struct {
		inFlight, members, want int
	}{{8, 3, 2}, {5, 2, 2}, {3, 2, 1}, {2, 3, 1}, {1, 4, 1}, {9, 3, 3}, {49, 49, 1}, {0, 4, 16}} {
		ls := core.NewLanes[string](100)
		l := ls.Lane("a", core.Limits{InFlight: c.inFlight}, now)
		for i := range 100 {
			ls.Enter(l, entry(fmt.Sprint(i), core.First, now))
		}
		ls.Share(1/float64(c.members), now)
		if got := len(take(ls, now)); got != c.want {
			t.Errorf("%d of %d attempts at a time, for one of %d", got, c.inFlight, c.members)
		}
	}
	ls := core.NewLanes[string](100)
	l := ls.Lane("a", core.Limits{Rate: 100}, now)
	given := 0
	for i := range 1000 {
		at := now.Add(time.Duration(i) * time.Millisecond)
		ls.Share([]float64{0.5, 0.6}[i%2], at)
		ls.Enter(l, entry("x", core.First, at))
		for _, turn := range take(ls, at) {
			given++
			ls.End(turn, well(time.Millisecond))
		}
	}
	if given < 50 || given > 71 {
		t.Errorf("%d attempts in a second for half of 100/s", given)
	}
}

func TestIdleLanesAreForgotten(t *testing.T) {
	ls := core.NewLanes[string](1)
	kept := fill(ls, "kept", core.First, 1)
	for i := range 10_000 {
		ls.Lane(fmt.Sprint(i), core.Limits{}, now)
	}
	if ls.Lane("kept", core.Limits{}, now) != kept {
		t.Error("a lane with something in it was forgotten")
	}
}

func TestAlarms(t *testing.T) {
	var a core.Alarms[string]
	if _, ok := a.Due(now); ok {
		t.Error("nothing is due")
	}
	a.Add(now.Add(3), "c")
	a.Add(now.Add(1), "a")
	a.Add(now.Add(2), "b")
	a.Drop(func(s string) bool { return s == "b" })
	var got []string
	for s, ok := a.Due(now.Add(2)); ok; s, ok = a.Due(now.Add(2)) {
		got = append(got, s)
	}
	if next, ok := a.Next(); !slices.Equal(got, []string{"a"}) || !ok || !next.Equal(now.Add(3)) {
		t.Errorf("due %v, next %v", got, next)
	}
}

func TestBusiest(t *testing.T) {
	ls := core.NewLanes[string](2)
	for i := range 5 {
		fill(ls, fmt.Sprint("e", i), core.First, i)
	}
	take(ls, now)
	want := []core.Load{{"e4", 0, 4, 16}, {"e3", 0, 3, 16}, {"", 2, 1, 48}}
	if got := ls.Busiest(2); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := ls.Busiest(5); len(got) != 5 {
		t.Errorf("%d of 5 endpoints", len(got))
	}
}

// TestIll: failures count from the first since a success, and anew once the endpoint points elsewhere.
func TestIll(t *testing.T) {
	ls := core.NewLanes[string](1)
	for i, step := range []struct {
		address string
		health  core.Health
		since   int // step
		times   int
	}{
		{"a", core.Ill, 0, 1},
		{"a", core.Alive, 0, 1},
		{"a", core.Ill, 0, 2},
		{"b", core.Ill, 3, 1},
		{"b", core.Ill, 3, 2},
		{"b", core.Well, -1, 0},
		{"b", core.Ill, 6, 1},
		{"b", core.Silent, 6, 1},
	} {
		l := fill(ls, "x", core.First, 1)
		turn, _ := ls.Next(now)
		at := now.Add(time.Duration(i) * time.Minute)
		ls.End(turn, core.Result{At: at.Add(time.Second), Took: time.Second, Health: step.health, Address: step.address})
		want := now.Add(time.Duration(step.since) * time.Minute)
		if step.since < 0 {
			want = time.Time{}
		}
		if since, times := l.Ill(); !since.Equal(want) || times != step.times {
			t.Errorf("step %d: %d since %v, want %d since %v", i, times, since, step.times, want)
		}
	}
}
