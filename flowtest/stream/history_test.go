package stream

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/replay"
)

// TestHistoryIsAsIfBeenThere: campaigns with history that are adopted in the middle of it all fire from then on what they
// would have fired had they been there from the beginning, whatever disturbs the processor, and verify makes the same.
func TestHistoryIsAsIfBeenThere(t *testing.T) {
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			inBubble(t, 1, func(s *stage) {
				s.opts = append(s.opts, kgo.FetchMaxWait(10*time.Minute))
				h := &history{stage: s, rand: rand.New(rand.NewPCG(seed, 2))}
				h.must(h.setCampaign("{id: z-other, trigger: {type: single_action, did: other}, webhook: {endpoint: shop}}\n"))
				h.startProcessor()
				for range steps / 2 {
					h.step()
				}
				h.startProcessor()
				h.pass(10 * time.Second)
				before, early := h.lines.String(), h.catalog()
				limits := regexp.MustCompile(`limits: \{(gap: 5m|max: .*?\})\}, `) // they count fires, which the past has none of
				for _, text := range mixed[:len(mixed)-1] {                        // the last has an audience: of profiles before the first event of one, the past knows only today's
					id := strings.TrimPrefix(strings.SplitN(text, ",", 2)[0], "{id: ")
					h.texts[id] = strings.Replace(limits.ReplaceAllString(text, ""), "{", "{history: 30d, ", 1) + "\n"
				}
				h.adopt()
				h.pass(10 * time.Second)
				for range steps / 2 {
					h.step()
				}
				h.startProcessor()
				h.pass(3*time.Hour + time.Until(h.now.Truncate(time.Hour).Add(90*time.Minute)))
				fired := h.fired()
				h.honest(h.verify(early, h.catalog()), len(fired))
				past := h.simulatedOf(before)
				isOther := func(line string) bool { return strings.HasPrefix(line, "z-other") }
				want := slices.DeleteFunc(h.simulated(), func(line string) bool { return isOther(line) || slices.Contains(past, line) })
				if len(past) == 0 || len(want) == 0 {
					s.t.Errorf("%d fires before and %d after: nothing to compare", len(past), len(want))
				}
				if diff := cmp.Diff(want, slices.DeleteFunc(fired, isOther)); diff != "" {
					s.t.Errorf("fires (-simulated +live)\n%s", diff)
				}
			})
		})
	}
}

// simulatedOf are the fires of a simulation of lines alone, whose clock stops with them.
func (h *history) simulatedOf(lines string) []string {
	h.t.Helper()
	var out bytes.Buffer
	_, err := replay.Simulate(h.t.Context(), replay.Simulation{
		Catalog: h.catalog(), Options: times(), FiresOnly: true,
	}, strings.NewReader(lines), &out)
	h.must(err)
	return h.listed(out.Bytes())
}
