package core_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"pgregory.net/rapid"

	"vigil/sink/core"
)

// steady is a lane that gets deliveries at a rate for a while, and the time at the end of it.
func steady(perSecond int, d time.Duration) (*core.Lane[string], time.Time) {
	ls := core.NewLanes[string](256)
	l, at := ls.Lane("a", core.Limits{}, now), now
	for at.Before(now.Add(d)) {
		l.Arrived(at)
		l.Troubled(at)
		at = at.Add(time.Second / time.Duration(perSecond))
	}
	return l, at
}

// slots is how many deliveries may come back within a time, asked all along.
func slots(l *core.Lane[string], from time.Time, d time.Duration) (n int) {
	for at := from; at.Before(from.Add(d)); at = at.Add(time.Millisecond) {
		for {
			if _, ok := l.Slot(at); !ok {
				break
			}
			n++
		}
	}
	return n
}

func TestWhatComesBackKeepsTheNormalRate(t *testing.T) {
	for _, perSecond := range []int{2, 20, 200} {
		l, at := steady(perSecond, 5*time.Minute)
		const seconds = 30
		got := float64(slots(l, at, seconds*time.Second)) / (seconds + core.SpillAfter.Seconds())
		if got < 0.9*float64(perSecond) || got > 1.2*float64(perSecond) {
			t.Errorf("%.1f a second come back to an endpoint that gets %d", got, perSecond)
		}
	}
}

func TestABurstIsRememberedForAnHour(t *testing.T) {
	l, at := steady(500, 20*time.Second)
	l.Troubled(at.Add(10 * time.Minute))
	soon := slots(l, at.Add(10*time.Minute), 10*time.Second)
	l.Troubled(at.Add(24 * time.Hour))
	late := slots(l, at.Add(24*time.Hour), 10*time.Second)
	if soon < 1000 || late > 20 {
		t.Errorf("%d come back in 10 s after 10 min, %d after a day", soon, late)
	}
}

// TestWithoutTroubleNothingIsHeldBack: what comes back to an endpoint that was never in trouble, or not for long, may come
// at once.
func TestWithoutTroubleNothingIsHeldBack(t *testing.T) {
	l := core.NewLanes[string](256).Lane("a", core.Limits{}, now)
	free := func(at time.Time) bool {
		for range 100 {
			if slot, ok := l.Slot(at); !ok || slot.After(at) {
				return false
			}
		}
		return true
	}
	if !free(now) {
		t.Error("held back though nothing was wrong")
	}
	l.Troubled(now)
	if free(now.Add(time.Minute)) || free(now.Add(5*time.Minute)) {
		t.Error("not held back after trouble")
	}
	if !free(now.Add(13 * time.Minute)) {
		t.Error("held back for ever")
	}
}

// TestBookingsAreSpread: never before their time nor later than 5 min after it, in order, and no more at a time than the
// endpoint normally gets.
func TestBookingsAreSpread(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perSecond := rapid.SampledFrom([]int{1, 10, 100}).Draw(t, "rate")
		l, at := steady(perSecond, 2*time.Minute)
		from := at.Add(time.Duration(rapid.IntRange(0, 300).Draw(t, "seconds")) * time.Second)
		count, chance := map[int64]int{}, rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		for range rapid.IntRange(1, 1000).Draw(t, "deliveries") {
			until := l.Book(from, at, chance.Float64())
			if until.Before(from) || until.Before(at.Add(core.ShortPark)) && !from.After(at) || until.Sub(from) > core.LongPark+core.ShortPark {
				t.Fatalf("parked until %v after %v", until.Sub(at), from.Sub(at))
			}
			count[until.Unix()]++
		}
		for second, n := range count {
			if most := 2*perSecond + 10; n > most {
				t.Fatalf("%d at second %d, want at most %d", n, second, most)
			}
		}
	})
}

// TestBookingsKeepTheRate: what is parked for want of tokens does not come back faster than there will be tokens, or it
// would be parked again and again.
func TestBookingsKeepTheRate(t *testing.T) {
	for _, perSecond := range []float64{0.5, 5, 50} {
		l := core.NewLanes[string](256).Lane("a", core.Limits{Rate: perSecond}, now)
		count, n := map[int64]int{}, int(100*perSecond)
		for range n {
			count[l.Book(now, now, 0).Unix()]++
		}
		for second, got := range count {
			if float64(got) > perSecond+1 {
				t.Errorf("%d come back at second %d to an endpoint that takes %v a second", got, second-now.Unix(), perSecond)
			}
		}
	}
}
