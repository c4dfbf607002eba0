package sink_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vigil/config/endpoints"
	"vigil/sink"
)

// gathered is every series of a registry as "name label label".
func gathered(t *testing.T, registry *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return got
}

// TestMetricsTellWhatWaits: the load of endpoints, the age of what is parked, and breakers.
func TestMetricsTellWhatWaits(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		registry := prometheus.NewRegistry()
		b.cfg.Endpoints = append(b.cfg.Endpoints, endpoints.Endpoint{Name: "dead", URL: "https://dead.example.com/", Retries: 2, MaxInFlight: 2})
		b.respond = func(_ int, r *http.Request) (*http.Response, error) {
			if r.URL.Host == "shop.example.com" {
				return answer(200), nil
			}
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		s, err := sink.New(b.cfg, sink.Deps{Log: b.log, Registry: registry, Rand: rand.New(zero{})})
		if err != nil {
			t.Fatal(err)
		}
		check := func(when string, want map[string]float64) {
			t.Helper()
			got := gathered(t, registry)
			for name, value := range want {
				if v, ok := got[name]; !ok || v < value || v > value+1 {
					t.Errorf("%s: %s is %v, want %v", when, name, v, value)
				}
			}
		}
		check("before it runs", map[string]float64{"vigil_sink_oldest_unfinished_seconds parked-short": 0})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		b.pass(time.Second)
		for i := range 40 {
			d := fire(fmt.Sprint("d", i))
			d.Endpoint = "dead"
			b.put(d, fire(fmt.Sprint("s", i)))
		}
		b.pass(time.Second)
		check("while it hangs", map[string]float64{
			"vigil_sink_endpoint_in_flight dead": 2, "vigil_sink_endpoint_waiting dead": 38, "vigil_sink_endpoint_cap dead": 2,
			"vigil_sink_endpoint_in_flight shop": 0, "vigil_sink_in_flight": 2, "vigil_sink_breakers_open": 0,
		})
		b.pass(10 * time.Second)
		check("while they are parked", map[string]float64{
			"vigil_sink_oldest_unfinished_seconds parked-short": 11, "vigil_sink_oldest_unfinished_seconds first": 0,
			"vigil_sink_parked_total slow": 38,
		})
		b.pass(10 * time.Minute)
		check("while it is dead", map[string]float64{"vigil_sink_breakers_open": 1, "vigil_sink_endpoints_failing": 1, "vigil_sink_endpoints_paused": 0})
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, any := gathered(t, registry)["vigil_sink_endpoint_in_flight shop"]; any {
			t.Error("a sink that has ended tells of lanes")
		}
	})
}

// TestMendedEndpointIsCountedNoMore: a mark that a sink made at another address stands against nobody, on the metrics too.
func TestMendedEndpointIsCountedNoMore(t *testing.T) {
	for name, row := range map[string]struct {
		status, n int // of answers, and deliveries a minute apart
		metric    string
	}{
		"failing": {500, 10, "vigil_sink_endpoints_failing"},
		"gone":    {410, 1, "vigil_sink_endpoints_paused"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				registry := prometheus.NewRegistry()
				b.registry = registry
				b.respond = func(_ int, r *http.Request) (*http.Response, error) {
					return answer(map[bool]int{true: 200, false: row.status}[r.URL.Host == "mended.example.com"]), nil
				}
				s, _, stop := b.editable()
				for i := range row.n {
					b.put(fire(fmt.Sprint("f", i)))
					b.pass(time.Minute)
				}
				if n := gathered(t, registry)[row.metric]; n != 1 {
					t.Errorf("%v before it is mended", n)
				}
				if err := s.SetEndpoints([]endpoints.Endpoint{{Name: "shop", URL: "https://mended.example.com/", Retries: 2}}); err != nil {
					t.Fatal(err)
				}
				b.put(fire("mended"))
				b.pass(20 * time.Minute)
				if n := gathered(t, registry)[row.metric]; n != 0 || !b.delivered()["mended"] {
					t.Errorf("%v after it was mended; delivered: %v", n, b.delivered()["mended"])
				}
				stop()
			})
		})
	}
}
