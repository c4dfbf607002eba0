package model

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vigil/campaign"
	"vigil/event"
	"vigil/trigger"
)

// blocks is how many parallel subtests share the seeds.
const blocks = 40

// seeds is the range that VIGIL_SEEDS names as from-to, or the usual one.
func seeds(t *testing.T) (from, to uint64) {
	from, to = 0, 20_000
	if testing.Short() {
		to = 1000
	}
	if text := os.Getenv("VIGIL_SEEDS"); text != "" {
		if _, err := fmt.Sscanf(text, "%d-%d", &from, &to); err != nil {
			t.Fatalf("VIGIL_SEEDS=%s: want from-to: %v", text, err)
		}
	}
	return from, to
}

// TestEngineEqualsModel compares the engine with the model on random histories; then the engine with itself, disturbed
// by roll-backs and restarts. A difference is shrunk and printed; VIGIL_DUMP=DIR writes it there as a case.
func TestEngineEqualsModel(t *testing.T) {
	from, to := seeds(t)
	for block := range uint64(blocks) {
		first, last := from+(to-from)*block/blocks, from+(to-from)*(block+1)/blocks
		if first == last {
			continue
		}
		t.Run(fmt.Sprintf("%d-%d", first, last), func(t *testing.T) {
			t.Parallel()
			for seed := first; seed < last; seed++ {
				compare(t, Generate(seed))
			}
		})
	}
}

// ways are the runs of the engine that must all say what the model says.
var ways = []struct {
	name  string
	apply func(*host)
}{
	{"straight", (*host).straight}, {"disturbed", (*host).disturbed},
}

func compare(t *testing.T, h *History) {
	t.Helper()
	if _, diff := difference(t, h); diff == "" {
		return
	}
	smaller := Shrink(h, func(h *History) bool {
		_, diff := difference(nil, h)
		return diff != ""
	})
	way, diff := difference(t, smaller)
	t.Errorf("seed %d, %s, shrunk\n%s-model +engine\n%s", h.Seed, way, show(smaller), diff)
	if dir := os.Getenv("VIGIL_DUMP"); dir != "" {
		if err := Dump(smaller, filepath.Join(dir, fmt.Sprintf("seed_%d_%s", h.Seed, way))); err != nil {
			t.Error(err)
		}
	}
}

// difference is what the engine says otherwise than the model, and in which way of running it. A history that cannot
// be read has none, unless t wants to know.
func difference(t *testing.T, h *History) (way, diff string) {
	c, err := h.Compile()
	var events []*Event
	if err == nil {
		events, err = ReadLines(c.File)
	}
	if err != nil {
		if t != nil {
			t.Fatal(err)
		}
		return "", ""
	}
	want := Text(Run(c.Campaigns, c.Options, events, c.Until))
	for _, way := range ways {
		o := &host{
			catalog: campaign.NewCatalog(c.Campaigns), until: c.Until, lines: strings.Split(c.File, "\n"),
			opt:    trigger.Options{AllowedLateness: h.Lateness, MaxEventAge: h.Age, MaxFireDelay: h.MaxDelay},
			chance: rand.New(rand.NewPCG(h.Seed, 11)), stored: map[string][]byte{},
		}
		err := o.run(way.apply)
		if got := Text(o.said); err != nil || got != want {
			return way.name, fmt.Sprint(cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")), errText(err))
		}
	}
	return "", ""
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func show(h *History) string {
	var b strings.Builder
	fmt.Fprintf(&b, "lateness %d, age %d, fire delay %d, until %q\n", h.Lateness, h.Age, h.MaxDelay, h.Until)
	for _, c := range h.Campaigns {
		fmt.Fprintln(&b, c)
	}
	return b.String() + strings.Join(h.Lines, "\n") + "\n"
}

// host runs an engine over the lines of a history.
type host struct {
	catalog *campaign.Catalog
	opt     trigger.Options
	until   Until
	lines   []string
	chance  *rand.Rand

	engine *trigger.Engine
	stored map[string][]byte // the changelog
	said   []Decision
	done   int // lines applied, of those committed
	kept   int // decisions, of those committed
	err    error
}

func (o *host) run(apply func(*host)) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	o.start()
	apply(o)
	o.finish()
	return o.err
}

func (o *host) start() {
	o.engine = trigger.New(o.catalog, o.opt, func(d *trigger.Decision) {
		decision := "skip"
		if d.Fire {
			decision = "fire"
		}
		o.said = append(o.said, Decision{
			Decision: decision, Reason: string(d.Reason), Campaign: strings.Clone(d.CampaignID), User: strings.Clone(d.User),
			Key: strings.Clone(d.Key), Anchor: strings.Clone(d.AnchorID), Slot: strings.Clone(d.Slot), At: d.At,
			FireID: strings.Clone(d.FireID), LateBy: d.LateBy,
		})
	})
}

func (o *host) apply(n int) {
	if ev := o.event(n); ev != nil {
		o.err = o.engine.Apply(ev)
	}
}

// event is what a line holds; nil where it is blank or something went wrong before.
func (o *host) event(n int) *event.Event {
	if o.lines[n] == "" || o.err != nil {
		return nil
	}
	var decoder event.LineDecoder // of its own, for lines are applied again
	ev, err := decoder.Decode([]byte(o.lines[n]), int64(n))
	if err != nil {
		o.err = fmt.Errorf("decode line %d: %w", n, err)
	}
	return ev
}

func (o *host) straight() {
	for n := range o.lines {
		o.apply(n)
	}
}

// disturbed applies some lines in vain and takes them back, and now and then goes on in a new engine.
func (o *host) disturbed() {
	for o.done < len(o.lines) && o.err == nil {
		if o.chance.IntN(3) == 0 {
			o.pieces(o.done)
		}
		until := min(len(o.lines), o.done+1+o.chance.IntN(6))
		for n := o.done; n < until; n++ {
			o.apply(n)
		}
		if o.chance.IntN(3) == 0 {
			o.engine.Rollback()
			o.said = o.said[:o.kept]
			continue
		}
		o.commit()
		o.done, o.kept = until, len(o.said)
		if o.chance.IntN(3) == 0 {
			o.restart()
		}
	}
}

// pieces settles what a line makes due one user at a time; some pieces are taken back, and some are the last that an
// engine does.
func (o *host) pieces(n int) {
	ev := o.event(n)
	for done := ev == nil; !done && o.err == nil; {
		left := o.chance.IntN(3)
		done, o.err = o.engine.Settle(ev.RT, func() bool { left--; return left < 0 })
		switch o.chance.IntN(4) {
		case 0:
			o.engine.Rollback()
			o.said, done = o.said[:o.kept], false
			continue
		case 1:
			o.commit()
			o.kept = len(o.said)
			o.restart()
		default:
			o.commit()
			o.kept = len(o.said)
		}
	}
}

func (o *host) commit() {
	o.engine.Changes(func(key string, record []byte) {
		delete(o.stored, key)
		if record != nil {
			o.stored[key] = record
		}
	})
	o.engine.Commit()
}

func (o *host) restart() {
	o.start()
	for _, key := range slices.Sorted(maps.Keys(o.stored)) {
		if err := o.engine.Load(key, slices.Clone(o.stored[key])); err != nil {
			o.err = fmt.Errorf("load %q: %w", key, err)
		}
	}
}

func (o *host) finish() {
	if o.until.To != 0 && o.err == nil {
		o.err = o.engine.Advance(o.until.To)
	}
	for o.until.Drain && o.err == nil {
		d, pending := o.engine.NextDeadline()
		if !pending {
			return
		}
		o.err = o.engine.Advance(d + o.opt.AllowedLateness + 1)
	}
}
