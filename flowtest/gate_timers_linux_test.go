package flowtest

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"

	"vigil/campaign"
	"vigil/event"
	"vigil/state"
	"vigil/trigger"
)

// hour is an engine with a store, whose timers are due over an hour of the data's time.
type hour struct {
	t      *testing.T
	engine *trigger.Engine
	store  *state.Badger
	dir    string
	live   map[string]int // bytes of each row
	last   int64          // D of the last fire
	fires  int
}

func newHour(t *testing.T) *hour {
	c, problems := campaign.Parse("gate.yaml", []byte(`{id: reminder, trigger: {type: date_time_property, key: booking, on: booking, property: at},
webhook: {url: "https://ops.example.com/reminders"}}`))
	if campaign.Failed(problems) {
		t.Fatal(problems)
	}
	h := &hour{t: t, dir: t.TempDir(), live: map[string]int{}}
	h.engine = trigger.New(campaign.NewCatalog([]*campaign.Campaign{c}), trigger.Options{AllowedLateness: 2_000, MaxEventAge: 7_200_000, MaxFireDelay: 86_400_000, BareSkips: true},
		func(d *trigger.Decision) {
			if !d.Fire || d.At < h.last {
				t.Errorf("%+v after a fire of %d", d, h.last)
			}
			h.last = d.At
			h.fires++
		})
	var err error
	if h.store, _, err = state.OpenBadger(h.dir, state.Options{}); err != nil {
		t.Fatal(err)
	}
	h.engine.SetFetch(h.store.Get)
	return h
}

func (h *hour) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// commit makes what changed permanent.
func (h *hour) commit() {
	h.engine.Changes(func(string, []byte) {})
	h.engine.Commit()
}

// checkpoint writes what the store lacks.
func (h *hour) checkpoint() {
	var rows []state.Row
	h.engine.Checkpoint(1<<30, func(key string, record []byte) {
		rows = append(rows, state.Row{Key: key, Value: slices.Clone(record)})
		h.live[key] = len(key) + len(record)
	})
	h.must(h.store.Write(rows, state.Meta{Offset: 1}))
	h.must(h.store.Merge())
	h.engine.Stored()
}

const hourBegin = 1_748_854_800_000 // 2025-06-02T09:00:00Z

// arm lets each user book until there are n timers, due over the hour.
func (h *hour) arm(n, users int) {
	r := rand.New(rand.NewPCG(8, 8))
	var decoder event.LineDecoder
	for i := range n {
		line := fmt.Appendf(nil, `{"user":"user-%07d","type":"booking","id":"b%d","time":%d,"properties":{"booking":"%d","at":%d,"from":"CDG","to":"YUL"}}`,
			i%users, i/users, hourBegin, i/users, hourBegin+60_000+r.Int64N(3_540_000))
		ev, err := decoder.Decode(line, int64(i))
		h.must(err)
		h.must(h.engine.Apply(ev))
		if i%20_000 == 0 {
			h.commit()
		}
		if i%200_000 == 0 {
			h.checkpoint()
		}
	}
	h.commit()
	h.checkpoint()
}

// pass lets the hour pass, four ticks a second, and tells what CPU time each took: with other programs beside it, the
// clock on the wall says little.
func (h *hour) pass() (ticks []time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for clock := int64(hourBegin); clock <= hourBegin+3_600_000+3_000; clock += 250 {
		began := threadTime(h.t)
		h.must(h.engine.Advance(clock))
		ticks = append(ticks, threadTime(h.t)-began)
		if clock%1_000 == 0 {
			h.commit()
		}
		if clock%60_000 == 0 {
			h.checkpoint()
		}
	}
	h.commit()
	h.checkpoint()
	slices.Sort(ticks)
	return ticks
}

// disk is the bytes that the store takes on disk, closed.
func (h *hour) disk() (n int64) {
	h.must(h.store.Close())
	h.must(filepath.WalkDir(h.dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		about, err := d.Info()
		if err == nil {
			n += about.Size()
		}
		return err
	}))
	return n
}

// Two million timers are armed and fire, in the order of their deadlines: no tick is long, and what the store lets go of
// does not pile up. The short form arms fewer and measures nothing; make gates runs the long one.
func TestGateG8Timers(t *testing.T) {
	n, users := 40_000, 4_000
	full := os.Getenv("VIGIL_GATES") != ""
	if full {
		n, users = 2_000_000, 200_000
	}
	h := newHour(t)
	h.arm(n, users)
	if got := h.engine.Stats().Timers; got != users {
		t.Errorf("%d users have a timer, want %d", got, users)
	}
	ticks := h.pass()
	if h.fires != n || h.engine.Stats().Timers != 0 {
		t.Errorf("%d fires, want %d; %d timers are left", h.fires, n, h.engine.Stats().Timers)
	}
	live := int64(0)
	for _, bytes := range h.live {
		live += int64(bytes)
	}
	disk := h.disk()
	p99 := ticks[len(ticks)*99/100]
	t.Logf("%d timers of %d users: CPU time of a tick p50 %s, p99 %s, max %s; %d MiB on disk, %d MiB live", n, users, ticks[len(ticks)/2], p99, ticks[len(ticks)-1], disk>>20, live>>20)
	if !full {
		return
	}
	if p99 >= 5*time.Millisecond {
		t.Errorf("p99 of a tick is %s, want less than 5 ms", p99)
	}
	if disk >= 3*live {
		t.Errorf("%d bytes on disk for %d live ones", disk, live)
	}
}
