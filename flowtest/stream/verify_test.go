package stream

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

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
	daySeeds = 4 // of them two in a short run
	daySteps = 100
)

// TestGateG5ReplayEquality: a day of several inputs, idle hours, members that come, go and crash, transactions that
// fail, clocks that are wrong and campaigns that are edited; inputs and journal give every fire once more, to the byte.
func TestGateG5ReplayEquality(t *testing.T) {
	for seed := range seedsOf(daySeeds) {
		inputs, profiles := []string{input}, ""
		if seed%2 == 1 {
			inputs, profiles = []string{input, "more"}, "profiles"
		}
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			inBubble(t, dayPartitions, func(s *stage) {
				d := newDay(s, seed, inputs, profiles)
				d.start("a")
				d.live(daySteps)
				d.start("b")
				d.pass(time.Hour)
				n := d.standing()
				d.covers(n)
				d.honest(d.verify(d.sets...), n)
			})
		})
	}
}

// Beside a processor at work verify finds nothing either: what is decided meanwhile is neither missing nor too much.
func TestVerifyBesideTheLiving(t *testing.T) {
	inBubble(t, dayPartitions, func(s *stage) {
		s.must(s.setCampaign(bought))
		s.must(s.setCampaign(`{id: soon, trigger: {type: inaction_within_time, did: buy, did_not: add, within: 1s}, webhook: {endpoint: shop}}` + "\n"))
		s.startProcessor()
		s.pass(time.Second)
		written := make(chan error, 1)
		go func() {
			for i := range 400 {
				r := &kgo.Record{Topic: input, Key: fmt.Append(nil, "u", i%7), Value: fmt.Appendf(nil, `{"type":"buy","id":"%d"}`, i), Timestamp: time.Now()}
				if err := s.client.ProduceSync(context.Background(), r).FirstErr(); err != nil {
					written <- err
					return
				}
				<-time.After(13 * time.Millisecond)
			}
			written <- nil
		}()
		runs, grew, last := 0, 0, 0
		for wrote := false; !wrote; runs++ {
			select {
			case err := <-written:
				s.must(err)
				wrote = true
			case <-time.After(37 * time.Millisecond):
			}
			r := s.verify(s.catalog())
			s.honest(r, r.Equal)
			if r.Equal > last {
				grew, last = grew+1, r.Equal
			}
		}
		if grew < 10 {
			s.t.Errorf("of %d runs %d saw more than the one before: nothing went on meanwhile", runs, grew)
		}
	})
}

// seedsOf is how many seeds a run of the tests takes of n.
func seedsOf(n uint64) uint64 {
	if testing.Short() {
		return n / 2
	}
	return n
}

// covers wants the day to have been one that shows something.
func (d *day) covers(fires int) {
	d.t.Helper()
	var owners, moves, clamps, late int
	sets := map[string]bool{}
	for _, e := range d.entries() {
		clamps += len(e.Clamps)
		for _, m := range e.Moves {
			switch {
			case m.Owner != nil:
				owners++
				sets[m.Catalog] = true
			case m.Catalog != "":
				sets[m.Catalog] = true
			case m.Clock != 0:
				moves++
			default:
				late++
			}
		}
	}
	d.t.Logf("%d records, %d fires; journal: %d owners, %d moves of the clock, %d record times, %d sets of campaigns, %d late",
		len(d.sent), fires, owners, moves, clamps, len(sets), late)
	if fires < 80 || owners < 2*dayPartitions || moves < 10 || clamps == 0 || len(sets) < 2 {
		d.t.Error("too little happened to show anything")
	}
}
