package chaos

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// scale is how large a run is.
type scale struct {
	how        string // the command
	seed       uint64
	length     time.Duration // of faults and events
	brokers    int
	partitions int32
	rate       int  // events a second
	whole      bool // every campaign must fire, those with a schedule too
	roles      []role
}

const (
	sec = time.Second

	// horizon is how long after the last event the campaigns of testdata may have something due, lateness and grace
	// included, their schedules apart.
	horizon = 16 * sec
)

// hour is the large form: three brokers, three processors and one that comes and goes, two sinks.
func hour(length time.Duration, seed uint64) scale {
	return scale{
		how:  fmt.Sprintf("make chaos MINUTES=%g SEED=%d", length.Minutes(), seed),
		seed: seed, length: length, brokers: 3, partitions: 8, rate: 300, whole: length >= 3*time.Minute,
		roles: []role{
			{"processor", 3, span{4 * sec, 24 * sec}, []card{
				{kill, 20, span{0, 4 * sec}},
				{freeze, 6, span{6 * sec, 60 * sec}},
				{replace, 2, span{8 * sec, 30 * sec}},
				{stop, 5, span{0, 3 * sec}},
				{leave, 3, span{12 * sec, 40 * sec}},
				{wipe, 3, span{0, 3 * sec}},
				{rob, 1, span{2 * sec, 6 * sec}},
				{full, 2, span{10 * sec, 30 * sec}},
			}},
			{"joiner", 1, span{20 * sec, 60 * sec}, []card{{join, 1, span{20 * sec, 60 * sec}}}},
			{"sink", 2, span{10 * sec, 50 * sec}, []card{
				{kill, 6, span{0, 4 * sec}},
				{freeze, 2, span{6 * sec, 30 * sec}},
				{stop, 2, span{0, 3 * sec}},
			}},
			{"broker", 1, span{30 * sec, 90 * sec}, []card{
				{down, 1, span{2 * sec, 20 * sec}},
				{hang, 1, span{3 * sec, 30 * sec}},
			}},
		},
	}
}

// short is the small form that fits into the normal tests: one broker, two processors, a sink.
func short(seed uint64) scale {
	return scale{
		how:  "go test -run TestGateG1Soak ./flowtest/chaos",
		seed: seed, length: 2 * time.Minute, brokers: 1, partitions: 4, rate: 200,
		roles: []role{
			{"processor", 2, span{2 * sec, 6 * sec}, []card{
				{kill, 3, span{0, 2 * sec}},
				{freeze, 1, span{6 * sec, 16 * sec}},
				{replace, 1, span{4 * sec, 8 * sec}},
				{stop, 1, span{0, sec}},
				{wipe, 1, span{0, sec}},
			}},
			{"sink", 1, span{5 * sec, 15 * sec}, []card{{kill, 2, span{0, 2 * sec}}, {stop, 1, span{0, sec}}}},
			{"broker", 1, span{15 * sec, 25 * sec}, []card{{hang, 1, span{2 * sec, 6 * sec}}, {down, 1, span{0, 2 * sec}}}},
		},
	}
}

// only keeps the faults named, of all roles; without names all of them.
func (s scale) only(names []string) scale {
	if len(names) == 0 {
		return s
	}
	s.how += fmt.Sprintf(" FAULTS=%q", strings.Join(names, " "))
	for i := range s.roles {
		r := &s.roles[i]
		r.deck = slices.DeleteFunc(slices.Clone(r.deck), func(c card) bool { return !slices.Contains(names, string(c.fault)) })
	}
	return s
}
