// Package chaos runs vigil under a seeded schedule of trouble: processors and sinks killed, frozen, replaced, stopped,
// brokers killed and frozen, disks deleted and filled, while events go on. In the end it judges every record once more
// and wants just the fires of an undisturbed run, each once and in order, and all of them delivered. docs/reliability.md
// says how to run it and how its verdict comes about.
package chaos

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"vigil/flowtest/live"
)

var site live.Site

func TestMain(m *testing.M) { os.Exit(site.Main(m)) }

// TestGateG1Soak is gate G1 of the design, cut down to what fits into the normal tests.
func TestGateG1Soak(t *testing.T) {
	play(t, short(1))
}

// TestChaos is what `make chaos` runs: CHAOS_MINUTES of it, with the plan of CHAOS_SEED.
func TestChaos(t *testing.T) {
	minutes, err := strconv.ParseFloat(os.Getenv("CHAOS_MINUTES"), 64)
	if err != nil {
		t.Skip("runs with `make chaos`")
	}
	seed, err := strconv.ParseUint(os.Getenv("CHAOS_SEED"), 10, 64)
	if err != nil {
		t.Fatalf("CHAOS_SEED: %v", err)
	}
	length := time.Duration(minutes * float64(time.Minute))
	s := hour(length, seed)
	if os.Getenv("CHAOS_FORM") == "short" {
		how := s.how + " FORM=short"
		s = short(seed)
		s.how, s.length = how, length
	}
	s = s.only(strings.FieldsFunc(os.Getenv("CHAOS_FAULTS"), func(r rune) bool { return r == ',' || r == ' ' }))
	play(t, s)
}

// run is one run: a stage, who is on it, and what was done to them.
type run struct {
	*live.Stage
	scale
	receiver *live.Receiver
	began    time.Time
	members  []*member
	troubles atomic.Int32 // beginnings and ends of a broker's trouble: odd while there is some
	cut      atomic.Int32 // stops that took too long while there was

	mu      sync.Mutex
	faults  map[string]int   // by role and fault; guarded by mu
	skipped map[fault]string // why; guarded by mu
	fallen  []string         // members that ended by themselves; guarded by mu
	slow    []string         // stops that were not as they must be; guarded by mu
	txns    map[string]int   // of the producer that writes in them; guarded by mu
	alone   int              // starts that found no broker; guarded by mu
	errs    []error          // of the harness itself; guarded by mu
}

// play is a whole run, from Kafka to verdict.
func play(t *testing.T, s scale) {
	t.Helper()
	site.Kafka.Nodes = s.brokers
	r := &run{scale: s, faults: map[string]int{}, skipped: map[fault]string{}, txns: map[string]int{}}
	r.Stage = site.Stage(t, live.Plan{Name: "chaos", Partitions: s.partitions, Config: "processor: {max_event_age: 1m}\n"})
	t.Logf("seed %d, %s; logs and records: %s", s.seed, s.length, r.Dir)
	r.receiver = live.NewReceiver(t)
	r.Endpoint("shop", r.receiver.URL+"/hooks", "max_in_flight: 256\n")
	r.campaigns()
	r.brokersTellTime()
	acks := r.disturb()
	r.settle()
	ended := time.Now()
	r.finish()
	v := r.judge(ended, acks)
	v.verifyCode, v.verified = r.Told("verify", verifyWithin, "verify", "--config", r.Path("vigil.yaml"))
	findings := append(v.findings(), r.faulty()...)
	text := r.markdown(v, findings)
	r.Write("summary.md", text)
	t.Logf("fires by campaign: %v", v.byCampaign)
	t.Logf("summary:\n\n%s", text)
	if len(findings) > 0 {
		r.tell(v)
		t.Errorf("seed %d: %s", s.seed, strings.Join(findings, "; "))
	}
}

// campaigns puts the files of testdata in place.
func (r *run) campaigns() {
	r.T.Helper()
	files, err := filepath.Glob("testdata/campaigns/*.yaml")
	if err != nil || len(files) == 0 {
		r.T.Fatalf("no campaigns: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			r.T.Fatal(err)
		}
		r.Write(filepath.Join("campaigns", filepath.Base(file)), string(text))
	}
}

// brokersTellTime makes a record's time the one at which it was appended: nothing that a producer holds back while
// brokers are away can come late.
func (r *run) brokersTellTime() {
	r.T.Helper()
	value := "LogAppendTime"
	set := []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "message.timestamp.type", Value: &value}}
	got, err := r.Adm.AlterTopicConfigs(r.Within(time.Minute), set, r.Input)
	if err == nil {
		_, err = got.On(r.Input, nil)
	}
	if err != nil {
		r.T.Fatal(err)
	}
}

// disturb runs everybody through the plan, and returns when the plan is over, all are running again and all events are
// written.
func (r *run) disturb() map[int32][]ack {
	r.T.Helper()
	ctx, cancel := context.WithTimeout(r.T.Context(), r.length)
	defer cancel()
	r.began = time.Now()
	var all sync.WaitGroup
	g := r.generator()
	for _, l := range draw(r.seed, r.length, r.roles) {
		switch l.role {
		case "processor", "sink":
			m := r.member(l.role, l.name)
			r.members = append(r.members, m)
			all.Go(func() { m.live(ctx, l.steps) })
		case "joiner":
			all.Go(func() { r.visit(ctx, l) })
		case "broker":
			all.Go(func() { r.trouble(ctx, l.steps) })
		}
	}
	all.Go(func() { g.write(ctx) })
	all.Go(func() { r.transact(ctx) })
	all.Wait()
	for _, err := range g.fails {
		r.must(fmt.Errorf("write an event: %w", err))
	}
	r.T.Logf("the plan is over after %s", time.Since(r.began).Round(time.Second))
	return g.acks
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

// note counts a fault that is done.
func (r *run) note(role string, f fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults[role+" "+string(f)]++
	r.T.Logf("%6.1fs %s %s", time.Since(r.began).Seconds(), role, f)
}

// count counts a transaction of the producer's.
func (r *run) count(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.txns[what]++
}

// signals counts SIGKILLs and SIGSTOPs of processors.
func (r *run) signals() (kills, stops int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range []fault{kill, wipe, rob} {
		kills += r.faults["processor "+string(f)]
	}
	return kills, r.faults["processor "+string(freeze)] + r.faults["processor "+string(replace)]
}

// skip notes that a fault cannot be done here.
func (r *run) skip(f fault, why string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.skipped[f] = why
}

// exitUnreachable is how vigil ends that finds no broker when it starts (interface 1).
const exitUnreachable = 4

// fell notes a member that has ended by itself: a finding, unless it found no broker when it started.
func (r *run) fell(c *live.Child) {
	err := c.Fault()
	if err == nil {
		return
	}
	c.Expect()
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.ExitCode() == exitUnreachable {
		r.alone++
		return
	}
	r.fallen = append(r.fallen, err.Error())
}

// unclean notes a stop that was not as it must be.
func (r *run) unclean(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.slow = append(r.slow, err.Error())
}

// faulty are findings that are not about decisions.
func (r *run) faulty() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, err := range r.errs {
		all = append(all, "the harness failed: "+err.Error())
	}
	for _, f := range r.fallen {
		all = append(all, firstLine(f))
	}
	for _, s := range r.slow {
		all = append(all, firstLine(s))
	}
	return all
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// done are rows of the summary: what, of whom, how often or why not.
func (r *run) done() [][3]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var rows [][3]string
	for name, n := range r.faults {
		role, f, _ := strings.Cut(name, " ")
		rows = append(rows, [3]string{told[fault(f)], role, strconv.Itoa(n)})
	}
	for f, why := range r.skipped {
		rows = append(rows, [3]string{told[f], "processor", "skipped: " + why})
	}
	slices.SortFunc(rows, func(a, b [3]string) int { return strings.Compare(b[1]+b[0], a[1]+a[0]) })
	return append(rows, [3]string{"the machine's clock stepped", "", "skipped: " +
		"a step would hit every program of the machine, and a Go binary asks the kernel itself, past any library that could lie to it"})
}
