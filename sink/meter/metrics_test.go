package meter_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"vigil/sink/core"
	"vigil/sink/meter"
	"vigil/sink/standing"
)

// TestMetricsAreDocumented: docs/delivery.md names every metric of the sink.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/delivery.md")
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	if _, err := meter.New(registry, meter.Sources{
		Oldest: func(core.Tier) float64 { return 0 }, Marks: func(standing.State) int { return 0 }, Loads: func() []core.Load { return []core.Load{{}} },
	}); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if !regexp.MustCompile("`" + f.GetName() + "[`{]").Match(text) {
			t.Errorf("%s is not in docs/delivery.md", f.GetName())
		}
	}
}
