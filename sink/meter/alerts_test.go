package meter_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"vigil/sink/core"
	"vigil/sink/meter"
	"vigil/sink/standing"
)

// values are all metrics of a sink, each with its labels as "name=value".
func values(t *testing.T) map[string][]string {
	t.Helper()
	registry := prometheus.NewRegistry()
	_, err := meter.New(registry, meter.Sources{
		Oldest: func(core.Tier) float64 { return 0 }, Marks: func(standing.State) int { return 0 }, Loads: func() []core.Load { return []core.Load{{}} },
	})
	if err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for _, f := range families {
		all[f.GetName()] = []string{}
		for _, m := range f.Metric {
			for _, l := range m.Label {
				all[f.GetName()] = append(all[f.GetName()], l.GetName()+"="+l.GetValue())
			}
		}
	}
	return all
}

// TestMetricsAreDocumented: docs/delivery.md names every metric of the sink.
func TestMetricsAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../docs/delivery.md")
	if err != nil {
		t.Fatal(err)
	}
	for name := range values(t) {
		if !regexp.MustCompile("`" + name + "[`{]").Match(text) {
			t.Errorf("%s is not in docs/delivery.md", name)
		}
	}
}

// TestAlerts: every metric in deploy/alerts.yml is one of ours, and so is every value of a label.
func TestAlerts(t *testing.T) {
	metrics := values(t)
	text, err := os.ReadFile("../../deploy/alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	rules := strings.Split(string(text), "- alert: ")[1:]
	expr := regexp.MustCompile(`expr: .*?(vigil_\w+)(?:\{(\w+)[=!]~?"([^"]*)"\})?.* > \d+\n`)
	for _, rule := range rules {
		name, _, _ := strings.Cut(rule, "\n")
		found := expr.FindStringSubmatch(rule)
		if found == nil || !strings.Contains(rule, "summary: ") {
			t.Errorf("%s: no expression, or no summary", name)
			continue
		}
		known, ok := metrics[found[1]]
		if !ok {
			t.Errorf("%s: there is no metric %s", name, found[1])
		}
		for value := range strings.SplitSeq(found[3], "|") {
			if value != "" && !slices.Contains(known, found[2]+"="+value) {
				t.Errorf("%s: %s has no %s %s", name, found[1], found[2], value)
			}
		}
	}
	if len(rules) < 7 {
		t.Errorf("%d alerts", len(rules))
	}
}
