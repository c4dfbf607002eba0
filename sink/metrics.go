package sink

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"vigil/sink/core"
	"vigil/sink/egress"
	"vigil/sink/standing"
	"vigil/webhook"
)

// metrics are the counters of a sink; children are resolved once.
type metrics struct {
	inFlight prometheus.Gauge
	open     prometheus.Gauge
	latency  prometheus.Histogram
	attempts map[string]prometheus.Counter
	outcomes map[webhook.Outcome]prometheus.Counter
	deaths   map[string]prometheus.Counter
	parks    map[string]prometheus.Counter
	pauses   map[string]prometheus.Counter
}

// newMetrics makes and registers them; registry may be nil.
func newMetrics(registry prometheus.Registerer, s *Sink) (*metrics, error) {
	m := &metrics{
		inFlight: prometheus.NewGauge(prometheus.GaugeOpts{Name: "vigil_sink_in_flight", Help: "Attempts in flight."}),
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "vigil_sink_breakers_open", Help: "Breakers, one a campaign and host, that are open or let probes through.",
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vigil_sink_attempt_seconds", Help: "Time from the start of an attempt to the end of the answer's headers, or to the error.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
	}
	attempts, outcomes := counter("attempts_total", "Attempts by class of answer or error.", "class"),
		counter("outcomes_total", "What became of deliveries, attempt by attempt.", "outcome")
	deaths, parks := counter("dead_letters_total", "Dead letters by reason.", "reason"),
		counter("parked_total", "Deliveries parked, by reason.", "reason")
	m.attempts = children(attempts, append([]string{"1xx", "2xx", "3xx", "4xx", "5xx"}, egress.Codes()...))
	m.outcomes = children(outcomes, []webhook.Outcome{webhook.Delivered, webhook.Retry, webhook.Dead, webhook.Parked, webhook.Expired, webhook.Cancelled})
	m.deaths, m.parks = children(deaths, core.DeadCodes()), children(parks, core.ParkCodes())
	pauses := counter("endpoint_pauses_total", "Endpoints that this sink has paused, by reason.", "reason")
	m.pauses = children(pauses, []string{standing.Gone, standing.Dead})
	marks := func(name, help string, state standing.State) prometheus.GaugeFunc {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "vigil_sink_endpoints_" + name, Help: help},
			func() float64 { return float64(s.board.Count(state)) })
	}
	all := []prometheus.Collector{
		pauses, marks("paused", "Endpoints that are paused.", standing.Paused),
		marks("failing", "Endpoints that did nothing but fail for 5 minutes or more.", standing.Failing), attempts, outcomes, deaths, parks, m.inFlight, m.open, m.latency,
	}
	for t := range core.TierCount {
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "vigil_sink_oldest_unfinished_seconds", Help: "Age, since its decision, of the oldest delivery that is read but not finished.",
			ConstLabels: prometheus.Labels{"tier": t.String()},
		}, func() float64 { return s.oldestAge(t) }))
	}
	if registry == nil {
		return m, nil
	}
	var errs []error
	for _, c := range all {
		errs = append(errs, registry.Register(c))
	}
	return m, errors.Join(errs...)
}

func counter(name, help, label string) *prometheus.CounterVec {
	return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "vigil_sink_" + name, Help: help}, []string{label})
}

// children are the counters for each value of the label; from then on they are all there, at 0.
func children[L ~string](vec *prometheus.CounterVec, values []L) map[L]prometheus.Counter {
	all := make(map[L]prometheus.Counter, len(values))
	for _, v := range values {
		all[v] = vec.WithLabelValues(string(v))
	}
	return all
}

func (m *metrics) attempted(a *core.Answer) {
	m.latency.Observe(a.Latency.Seconds())
	m.attempts[core.Label(a)].Inc()
}

func (m *metrics) settled(f core.Fate) {
	m.outcomes[f.Outcome].Inc()
	switch f.Outcome {
	case webhook.Parked:
		m.parks[f.Code].Inc()
	case webhook.Dead, webhook.Expired, webhook.Cancelled:
		m.deaths[f.Code].Inc()
	}
}

func (m *metrics) dead(code string) {
	m.outcomes[webhook.Dead].Inc()
	m.deaths[code].Inc()
}

// oldestAge is the age in seconds of the oldest unfinished delivery in a tier; 0 where there is none.
func (s *Sink) oldestAge(t core.Tier) float64 {
	oldest := time.Now().UnixMilli()
	now := oldest
	for _, p := range s.owned(nil) {
		if since, any := p.Oldest(); any && p.tier == t {
			oldest = min(oldest, since)
		}
	}
	return float64(now-oldest) / 1000
}
