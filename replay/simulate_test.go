package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"vigil/campaign"
	"vigil/replay"
	"vigil/trigger"
)

const cart = `
id: cart
trigger: {type: inaction_within_time, key: cart, did: add, did_not: checkout, within: 30m}
webhook: {url: "https://example.com"}
`

const launch = `
id: launch
trigger: {type: single_action, did: launch}
limits: {gap: 10m}
webhook: {url: "https://example.com"}
`

func simulation(t testing.TB) replay.Simulation {
	t.Helper()
	var campaigns []*campaign.Campaign
	for _, src := range []string{cart, launch} {
		c, problems := campaign.Parse("test.yaml", []byte(src))
		if campaign.Failed(problems) {
			t.Fatal(problems)
		}
		campaigns = append(campaigns, c)
	}
	return replay.Simulation{
		Catalog: campaign.NewCatalog(campaigns),
		Options: trigger.Options{AllowedLateness: 2000, MaxEventAge: 2 * 3600_000, MaxFireDelay: 24 * 3600_000},
		Drain:   true,
	}
}

func run(t testing.TB, s replay.Simulation, in io.Reader) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := replay.Simulate(t.Context(), s, in, &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// day is a file of n events of a few users, now and then a blank line or a very long one.
func day(rng *rand.Rand, n int) string {
	var b strings.Builder
	at := int64(1_748_858_400_000)
	for i := range n {
		at += rng.Int64N(5 * 60_000)
		kind := []string{"add", "checkout", "launch", "other"}[rng.IntN(4)]
		pad := ""
		if rng.IntN(20) == 0 {
			pad = strings.Repeat("é", 200_000)
		}
		fmt.Fprintf(&b, `{"user":"u%d","type":%q,"id":"e%d","time":%d,"properties":{"cart":"c%d","pad":%q}}`,
			rng.IntN(4), kind, i, at, rng.IntN(2), pad)
		b.WriteString([]string{"\n", "\r\n", "\n\n", "\n \t\n"}[rng.IntN(4)])
	}
	return b.String()
}

// TestChunking: what is decided does not depend on how the input comes.
func TestChunking(t *testing.T) {
	s := simulation(t)
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		text := day(rand.New(rand.NewPCG(seed, 1)), rapid.IntRange(0, 30).Draw(t, "events"))
		if rapid.Bool().Draw(t, "cut") {
			text = strings.TrimRight(text, "\r\n \t")
		}
		sizes := rapid.SliceOfN(rapid.IntRange(1, 1<<19), 1, 4).Draw(t, "chunks")
		var whole, cut bytes.Buffer
		for _, r := range []struct {
			in  io.Reader
			out *bytes.Buffer
		}{
			{strings.NewReader(text), &whole},
			{iotest.DataErrReader(&chunks{strings.NewReader(text), sizes, 0}), &cut},
		} {
			if _, err := replay.Simulate(context.Background(), s, r.in, r.out); err != nil {
				t.Fatal(err)
			}
		}
		if diff := cmp.Diff(whole.String(), cut.String()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// chunks reads in pieces of the given sizes, over and over.
type chunks struct {
	r     io.Reader
	sizes []int
	next  int
}

func (c *chunks) Read(p []byte) (int, error) {
	size := c.sizes[c.next%len(c.sizes)]
	c.next++
	return c.r.Read(p[:min(len(p), size)])
}

func TestLineNumbers(t *testing.T) {
	for _, row := range []struct {
		in   string
		line int
	}{
		{"{", 1},
		{"\n\n{}\n", 3},
		{`{"user":"u","type":"add","time":1748858400}` + "\n[]", 2},
		{`{"user":"u","type":"add","id":"x"}`, 1},
		{"\n" + strings.Repeat("x", 17<<20), 2},
	} {
		_, err := replay.Simulate(t.Context(), simulation(t), strings.NewReader(row.in), io.Discard)
		var bad *replay.LineError
		if !errors.As(err, &bad) || bad.Line != row.line {
			t.Errorf("%.40q: %v, want line %d", row.in, err, row.line)
		}
	}
}

func TestSimulateStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := replay.Simulate(ctx, simulation(t), strings.NewReader("\n"), io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled run ends with %v", err)
	}
	broken := errors.New("disk full")
	in := strings.NewReader(day(rand.New(rand.NewPCG(1, 1)), 5000))
	if _, err := replay.Simulate(t.Context(), simulation(t), in, failing{broken}); !errors.Is(err, broken) {
		t.Errorf("a failing output ends with %v", err)
	}
	if _, err := replay.Simulate(t.Context(), simulation(t), iotest.ErrReader(broken), io.Discard); !errors.Is(err, broken) {
		t.Errorf("a failing input ends with %v", err)
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

func TestUntil(t *testing.T) {
	in := `{"user":"u","type":"add","id":"x","time":"2025-06-02T10:00:00Z","properties":{"cart":1.0}}`
	s := simulation(t)
	s.Drain = false
	due := int64(1_748_858_400_000 + 30*60_000 + 2000)
	for until, want := range map[int64]int{0: 0, due: 0, due + 1: 1} {
		s.Until = &until
		if got := strings.Count(run(t, s, strings.NewReader(in)), "fire\""); got != want {
			t.Errorf("until %d: %d fires, want %d", until, got, want)
		}
	}
}

func TestFormat(t *testing.T) {
	d := &trigger.Decision{
		Reason: trigger.Gap, CampaignID: "c", User: "a\"\\\n\u2028é<", Key: "1.0", AnchorID: "x\xff", Slot: "delay",
		At: -5, LateBy: 7, FireID: "ab",
	}
	want := `{"decision":"skip","reason":"gap","campaign":"c","user":"a\"\\\n\u2028é\u003c","key":"1.0","anchor":"x\ufffd",` +
		`"slot":"delay","at":-5,"fire_id":"ab","late_by_ms":7}`
	if diff := cmp.Diff(want, string(replay.AppendDecision(nil, d))); diff != "" {
		t.Error(diff)
	}
}

// BenchmarkSimulate is a file of 100,000 events of four users.
func BenchmarkSimulate(b *testing.B) {
	var text strings.Builder
	for i := range 100_000 {
		kind := []string{"add", "checkout", "launch", "other"}[i%4]
		fmt.Fprintf(&text, `{"user":"u%d","type":%q,"id":"e%d","time":%d,"properties":{"cart":"c%d"}}`+"\n", i%997, kind, i, 1_748_858_400_000+i*100, i%2)
	}
	s := simulation(b)
	b.SetBytes(int64(text.Len()))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := replay.Simulate(b.Context(), s, strings.NewReader(text.String()), io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
