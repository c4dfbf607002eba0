package stream

import (
	"fmt"
	"math"
	"testing"
	"time"

	"vigil/campaign"
	"vigil/replay/verify"
)

// verify compares all that stands on the topics with journal and inputs.
func (s *stage) verify(catalogs ...*campaign.Catalog) *verify.Report {
	s.t.Helper()
	client := s.connect()
	defer client.Close()
	report, err := verify.Run(s.t.Context(), verify.Config{
		Client: client, Topics: s.topics, Group: "vigil.processor", Catalogs: catalogs, From: math.MinInt64, To: math.MaxInt64,
	})
	s.must(err)
	return report
}

// honest wants a report of n fires that finds nothing and knows everything.
func (s *stage) honest(r *verify.Report, n int) {
	s.t.Helper()
	for _, d := range r.Differences {
		s.t.Errorf("%+v", d)
	}
	for _, d := range r.Unverifiable {
		s.t.Errorf("not known: %+v", d)
	}
	for _, note := range r.Notes {
		s.t.Errorf("not known: %+v", note)
	}
	if r.Equal != n {
		s.t.Errorf("%d fires are as they must be, want %d", r.Equal, n)
	}
}

const (
	daySeeds = 4
	daySteps = 150
)

// TestGateG5ReplayEquality: a day of several inputs, idle hours, members that come, go and crash, transactions that
// fail, clocks that are wrong and campaigns that are edited; inputs and journal give every fire once more, to the byte.
func TestGateG5ReplayEquality(t *testing.T) {
	for seed := range uint64(daySeeds) {
		inputs, profiles := []string{input}, ""
		if seed%2 == 1 {
			inputs, profiles = []string{input, "more"}, "profiles"
		}
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			inBubble(t, dayPartitions, func(s *stage) {
				d := newDay(s, seed, inputs, profiles)
				d.start("a")
				for range daySteps {
					d.step()
				}
				d.start("b")
				d.pass(time.Hour)
				n := d.standing()
				d.covers(n)
				d.honest(d.verify(d.sets...), n)
			})
		})
	}
}

// covers wants the day to have been one that shows something.
func (d *day) covers(fires int) {
	d.t.Helper()
	var owners, moves, clamps, sets, late int
	for _, e := range d.entries() {
		clamps += len(e.Clamps)
		for _, m := range e.Moves {
			switch {
			case m.Owner != nil:
				owners++
			case m.Catalog != "":
				sets++
			case m.Clock != 0:
				moves++
			default:
				late++
			}
		}
	}
	d.t.Logf("%d records, %d fires; journal: %d owners, %d moves of the clock, %d record times, %d edits, %d late", len(d.sent),
		fires, owners, moves, clamps, sets, late)
	if fires < 100 || owners < 2*dayPartitions || moves < 10 || clamps == 0 || sets == 0 {
		d.t.Error("too little happened to show anything")
	}
}
