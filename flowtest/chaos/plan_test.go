package chaos

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// fault is a kind of trouble, by the name that FAULTS knows it by.
type fault string

// Faults of a member, of the member that comes and goes, and of a broker.
const (
	kill    fault = "kill"
	freeze  fault = "freeze"
	replace fault = "replace"
	stop    fault = "stop"
	leave   fault = "leave"
	wipe    fault = "wipe"
	rob     fault = "rob"
	full    fault = "full"
	join    fault = "join"
	down    fault = "down"
	hang    fault = "hang"
)

// told is what each fault is, as the summary says it.
var told = map[fault]string{
	kill:    "SIGKILL, started again",
	freeze:  "SIGSTOP, SIGCONT: a zombie",
	replace: "SIGSTOP, another of its name in its place, SIGCONT",
	stop:    "SIGTERM, started again",
	leave:   "SIGTERM, away for a while",
	wipe:    "SIGKILL, `data_dir` deleted, started again",
	rob:     "`data_dir` deleted under it, then SIGKILL, started again",
	full:    "its disk is full",
	join:    "one more joins, and leaves by SIGTERM or SIGKILL",
	down:    "SIGKILL, started again",
	hang:    "SIGSTOP, SIGCONT",
}

// span is a length of time drawn evenly between two ends.
type span struct{ from, to time.Duration }

func (s span) draw(r *rand.Rand) time.Duration {
	return s.from + time.Duration(r.Int64N(int64(s.to-s.from)+1)).Truncate(time.Millisecond)
}

// card is a fault in a deck: how often it is there, and how long it holds before it is undone.
type card struct {
	fault fault
	count int
	hold  span
}

// role is what the lanes of one kind go through: the cards of a deck in a random order, again and again.
type role struct {
	name  string // of processes: processor, sink; broker
	lanes int
	gap   span // from the end of a fault to the next one
	deck  []card
}

// step is one fault of a lane.
type step struct {
	at    time.Duration // since the start
	fault fault
	hold  time.Duration
	dice  uint64 // for what else is to be chosen
}

// lane is what one member, or the brokers, go through.
type lane struct {
	role  string
	name  string
	steps []step
}

// draw makes the lanes of a run: a function of seed, length and roles alone.
func draw(seed uint64, length time.Duration, roles []role) []lane {
	var lanes []lane
	for _, r := range roles {
		for i := range r.lanes {
			lanes = append(lanes, r.lane(seed, length, i+1))
		}
	}
	return lanes
}

// lane draws what the nth of its role goes through.
func (r role) lane(seed uint64, length time.Duration, nth int) lane {
	l := lane{role: r.name, name: fmt.Sprintf("%s-%d", r.name, nth)}
	if len(r.deck) == 0 {
		return l
	}
	name := fnv.New64()
	_, _ = name.Write([]byte(l.name)) // never errs
	dice := rand.New(rand.NewPCG(seed, name.Sum64()))
	var deck []card
	for at := r.gap.draw(dice); at < length; at += r.gap.draw(dice) {
		if len(deck) == 0 {
			deck = shuffled(dice, r.deck)
		}
		s := step{at: at, fault: deck[0].fault, hold: deck[0].hold.draw(dice), dice: dice.Uint64()}
		deck = deck[1:]
		l.steps = append(l.steps, s)
		at += s.hold
	}
	return l
}

func shuffled(dice *rand.Rand, deck []card) []card {
	var all []card
	for _, c := range deck {
		for range c.count {
			all = append(all, c)
		}
	}
	dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// counts is how often each fault is planned.
func counts(lanes []lane) map[string]int {
	n := map[string]int{}
	for _, l := range lanes {
		for _, s := range l.steps {
			n[l.role+" "+string(s.fault)]++
		}
	}
	return n
}

// TestPlan: the same seed is the same plan, another is another, and an hour holds the SIGKILLs and SIGSTOPs of the
// processors that it must.
func TestPlan(t *testing.T) {
	s := hour(60*time.Minute, 1)
	a, b := draw(1, s.length, s.roles), draw(1, s.length, s.roles)
	same := slices.EqualFunc(a, b, func(a, b lane) bool { return a.name == b.name && slices.Equal(a.steps, b.steps) })
	if !same {
		t.Error("two plans of one seed differ")
	}
	other := draw(2, s.length, s.roles)
	if slices.Equal(a[0].steps, other[0].steps) {
		t.Error("two seeds have one plan")
	}
	for seed := range uint64(50) {
		n := counts(draw(seed, s.length, s.roles))
		kills, stops := n["processor kill"]+n["processor wipe"]+n["processor rob"], n["processor freeze"]+n["processor replace"]
		if kills < 100 || stops < 20 {
			t.Errorf("seed %d: %d SIGKILLs and %d SIGSTOPs of processors", seed, kills, stops)
		}
	}
	for _, l := range a {
		if !slices.IsSortedFunc(l.steps, func(a, b step) int { return cmp.Compare(a.at, b.at) }) {
			t.Errorf("%s: steps out of order", l.name)
		}
	}
}
