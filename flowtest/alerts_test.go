package flowtest

import (
	"context"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"vigil/campaign"
	"vigil/processor"
	"vigil/sink/core"
	"vigil/sink/meter"
	"vigil/sink/standing"
)

// described are the names of all metrics of a registry.
func described(r *prometheus.Registry) (names []string) {
	all := make(chan *prometheus.Desc)
	go func() { r.Describe(all); close(all) }()
	name := regexp.MustCompile(`fqName: "(\w+)"`)
	for d := range all {
		names = append(names, name.FindStringSubmatch(d.String())[1])
	}
	return names
}

func processorMetrics(t *testing.T) []string {
	t.Helper()
	registry := prometheus.NewRegistry()
	p, err := processor.New(processor.Config{
		Inputs: []string{"events"}, Group: "vigil.processor", Instance: "a", Start: "latest", Catalog: campaign.NewCatalog(nil), Registerer: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := p.Run(ctx); err != nil { // closes what it opened
		t.Fatal(err)
	}
	return described(registry)
}

func sinkMetrics(t *testing.T) *prometheus.Registry {
	t.Helper()
	registry := prometheus.NewRegistry()
	if _, err := meter.New(registry, meter.Sources{
		Oldest: func(core.Tier) float64 { return 0 }, Marks: func(standing.State) int { return 0 }, Loads: func() []core.Load { return []core.Load{{}} },
	}); err != nil {
		t.Fatal(err)
	}
	return registry
}

// TestMetricsAreDocumented: docs name every metric of the processor and of the sink.
func TestMetricsAreDocumented(t *testing.T) {
	for file, names := range map[string][]string{
		"../docs/operations.md": processorMetrics(t), "../docs/delivery.md": described(sinkMetrics(t)),
	} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if !regexp.MustCompile("`" + name + "[`{]").Match(text) {
				t.Errorf("%s is not in %s", name, file)
			}
		}
	}
}

// TestAlerts: every metric in deploy/alerts.yml is one of ours, and so is every value of a label.
func TestAlerts(t *testing.T) {
	registry := sinkMetrics(t)
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	labels := map[string][]string{}
	for _, f := range families {
		for _, m := range f.Metric {
			for _, l := range m.Label {
				labels[f.GetName()] = append(labels[f.GetName()], l.GetName()+"="+l.GetValue())
			}
		}
	}
	names := append(described(registry), processorMetrics(t)...)
	text, err := os.ReadFile("../deploy/alerts.yml")
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
		if !slices.Contains(names, found[1]) {
			t.Errorf("%s: there is no metric %s", name, found[1])
		}
		for value := range strings.SplitSeq(found[3], "|") {
			if value != "" && !slices.Contains(labels[found[1]], found[2]+"="+value) {
				t.Errorf("%s: %s has no %s %s", name, found[1], found[2], value)
			}
		}
	}
	if len(rules) < 13 {
		t.Errorf("%d alerts", len(rules))
	}
}
