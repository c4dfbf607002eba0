// Package soak runs one sink for a long time among endpoints of which a good part is ill, while campaigns, hosts,
// endpoint files and secrets come and go as over a day, on a real Kafka: goroutines, descriptors and heap must stay what
// they are, and every delivery must get its fate. docs/reliability.md says how to run it and what is judged.
package soak

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"vigil/flowtest/live"
	"vigil/webhook"
)

const (
	partitions  = 4
	readyWithin = 3 * time.Minute
	idleWithin  = 2 * time.Minute // idle connections are closed after 30 s
)

var site live.Site

func TestMain(m *testing.M) { os.Exit(site.Main(m)) }

// scale says how long a run is, and how fast things change in it.
type scale struct {
	how      string // to run it again
	length   time.Duration
	seed     uint64
	rate     int           // deliveries a second
	delays   string        // retry_delays
	expires  time.Duration // for what goes to endpoints that are not well all the time
	beat     time.Duration // between two changes of the folder of endpoints
	turn     time.Duration // how long an endpoint that comes back is well, and then dead
	campaign time.Duration // how long a campaign lives that does not stay
	settle   time.Duration // for the last fate, after the load
	long     bool          // the figures are judged, not only the fates
}

// hour is what `make soak` runs.
func hour(length time.Duration, seed uint64, rate int) scale {
	return scale{
		how: fmt.Sprintf("make soak MINUTES=%g SEED=%d RATE=%d", length.Minutes(), seed, rate), length: length, seed: seed, rate: rate,
		delays: "2s, 5s", expires: 90 * time.Second, beat: 5 * time.Second, turn: 75 * time.Second, campaign: 40 * time.Second,
		settle: 20 * time.Minute, long: true,
	}
}

// brief is what fits into the normal tests.
func brief() scale {
	return scale{
		how: "go test ./flowtest/soak", length: 12 * time.Second, seed: 1, rate: 100, delays: "1s, 2s", expires: 4 * time.Second,
		beat: 2 * time.Second, turn: 3 * time.Second, campaign: 4 * time.Second, settle: 3 * time.Minute,
	}
}

// wanted is the scale that the environment asks for.
func wanted(t *testing.T) scale {
	t.Helper()
	if os.Getenv("SOAK_MINUTES") == "" {
		return brief()
	}
	minutes, err := strconv.ParseFloat(os.Getenv("SOAK_MINUTES"), 64)
	seed, err2 := strconv.ParseUint(os.Getenv("SOAK_SEED"), 10, 64)
	rate, err3 := strconv.Atoi(os.Getenv("SOAK_RATE"))
	if err := errors.Join(err, err2, err3); err != nil || rate < 1 {
		t.Fatalf("SOAK_MINUTES, SOAK_SEED, SOAK_RATE: %v", err)
	}
	return hour(time.Duration(minutes*float64(time.Minute)), seed, rate)
}

// run is one run: a stage with one sink, the endpoints, and the books.
type run struct {
	*live.Stage
	scale
	ledger
	sink      *live.Child
	admin     string // URL
	began     time.Time
	samples   []sample // of the load
	verifier  atomic.Pointer[webhook.Verifier]
	unsigned  atomic.Int64    // requests
	edited    changes         // each owned by the goroutine that makes it
	campaigns map[string]bool // owned by the producer

	street sync.RWMutex
	houses []*house // guarded by street

	mu   sync.Mutex
	errs []error // of the harness itself; guarded by mu
}

// TestSoak is `make soak`, and a short form of it among the other tests.
func TestSoak(t *testing.T) {
	s := wanted(t)
	if testing.Short() {
		t.Skip("starts Kafka")
	}
	r := &run{scale: s, campaigns: map[string]bool{}, Stage: site.Stage(t, live.Plan{Name: "soak", Partitions: partitions})}
	r.forgetful()
	r.build()
	r.start()
	reading, stop := context.WithCancel(t.Context())
	var reader sync.WaitGroup
	reader.Go(func() { r.read(reading) })
	defer reader.Wait()
	defer stop()

	r.began = time.Now()
	v := verdict{scale: s, began: r.began, idle: r.idle()}
	r.load()
	settled := r.until(s.settle, func() bool { return r.unsettled() == 0 })
	t.Logf("the load is over, and all have their fate: %v, %s later", settled, time.Since(r.began)-s.length)
	if s.long {
		r.until(idleWithin, func() bool { v.after = r.sample(); return v.calm() })
	}
	r.ask("goroutines.txt", "/debug/pprof/goroutine?debug=1")
	v.counters = r.counters()
	if err := r.sink.Drain(); err != nil {
		v.faults = append(v.faults, err.Error())
	}
	stop()
	reader.Wait()
	r.judge(&v)
	findings := v.findings()
	text := v.markdown(findings)
	r.Write("summary.md", text)
	t.Logf("summary:\n\n%s", text)
	if len(findings) > 0 {
		t.Errorf("seed %d: %s", s.seed, strings.Join(findings, "; "))
	}
}

// forgetful lets Kafka delete what is older than any delivery gets: the disk must not fill, and no reader here goes back.
func (r *run) forgetful() {
	r.T.Helper()
	t := r.Topics
	kept, segment := "1800000", "300000"
	set := []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "retention.ms", Value: &kept}, {Op: kadm.SetConfig, Name: "segment.ms", Value: &segment},
	}
	got, err := r.Adm.AlterTopicConfigs(r.Within(time.Minute), set, t.Webhooks, t.Retry1, t.Retry2, t.Parked, t.Attempts, t.DeadWebhooks)
	for _, one := range got {
		err = errors.Join(err, one.Err)
	}
	if err != nil {
		r.T.Fatal(err)
	}
}

// load is the whole time under load: deliveries, changes of the endpoints, looks at the sink.
func (r *run) load() {
	ctx, cancel := context.WithTimeout(r.T.Context(), r.length)
	defer cancel()
	var all sync.WaitGroup
	all.Go(func() { r.produce(ctx) })
	all.Go(func() { r.churn(ctx) })
	r.watch(ctx)
	all.Wait()
}

// until looks until a condition holds, for so long at most or until the sink has ended.
func (r *run) until(most time.Duration, look func() bool) bool {
	end := time.NewTimer(most)
	defer end.Stop()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for !look() {
		select {
		case <-ticker.C:
		case <-r.sink.Done():
			return false
		case <-end.C:
			return false
		}
	}
	return true
}

// must notes an error of the harness itself, which makes a run worthless.
func (r *run) must(err error) {
	if err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.errs = append(r.errs, err)
}

// chance is the source of chance of one goroutine.
func (r *run) chance(stream uint64) *rand.Rand { return rand.New(rand.NewPCG(r.seed, stream)) }
