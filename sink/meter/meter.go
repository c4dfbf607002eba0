// Package meter holds the metrics of a sink: what it attempted, what became of it, what waits and for how long. It counts
// what it is told and asks, when it is looked at, what cannot be counted; it decides nothing.
package meter

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"vigil/sink/core"
	"vigil/sink/egress"
	"vigil/sink/standing"
	"vigil/webhook"
)

// Busiest is how many endpoints are shown one by one: those with most in flight and waiting. The rest is one sum, so that
// the number of series has a bound.
const Busiest = 50

// Sources are asked when somebody looks. All may be called at any time.
type Sources struct {
	Oldest func(core.Tier) float64  // age in seconds of the oldest unfinished delivery
	Marks  func(standing.State) int // endpoints in that state
	Loads  func() []core.Load       // of the busiest endpoints, and of the rest without a name
}

// Meter counts; children are resolved once.
type Meter struct {
	inFlight prometheus.Gauge
	open     prometheus.Gauge
	latency  prometheus.Histogram
	attempts map[string]prometheus.Counter
	outcomes map[webhook.Outcome]prometheus.Counter
	deaths   map[string]prometheus.Counter
	parks    map[string]prometheus.Counter
	pauses   map[string]prometheus.Counter
	trips    prometheus.Counter
	lost     prometheus.Counter
}

// New makes a meter and registers it; registry may be nil.
func New(registry prometheus.Registerer, s Sources) (*Meter, error) {
	m := &Meter{
		inFlight: gauge("in_flight", "Attempts in flight."),
		open:     gauge("breakers_open", "Breakers, one a campaign and host, that are open or let probes through."),
		trips: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vigil_sink_breaker_openings_total", Help: "Times that a breaker has opened.",
		}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "vigil_sink_offsets_lost_total", Help: "Offsets that were deleted before they were read. Any is an alarm: webhooks were not sent.",
		}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "vigil_sink_attempt_seconds", Help: "Time from the start of an attempt to the end of the answer's headers, or to the error.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}),
	}
	attempts := counter("attempts_total", "Attempts by class of answer or error.", "class")
	outcomes := counter("outcomes_total", "What became of deliveries, attempt by attempt.", "outcome")
	deaths := counter("dead_letters_total", "Dead letters by reason.", "reason")
	parks := counter("parked_total", "Deliveries parked, by reason.", "reason")
	pauses := counter("endpoint_pauses_total", "Endpoints that this sink has paused, by reason.", "reason")
	m.attempts = children(attempts, append([]string{"1xx", "2xx", "3xx", "4xx", "5xx"}, egress.Codes()...))
	m.outcomes = children(outcomes, []webhook.Outcome{webhook.Delivered, webhook.Retry, webhook.Dead, webhook.Parked, webhook.Expired, webhook.Cancelled})
	m.deaths, m.parks = children(deaths, core.DeadCodes()), children(parks, core.ParkCodes())
	m.pauses = children(pauses, []string{standing.Gone, standing.Dead})
	all := []prometheus.Collector{
		attempts, outcomes, deaths, parks, pauses, m.inFlight, m.open, m.latency, m.trips, m.lost,
		loads{s.Loads},
		asked("endpoints_paused", "Endpoints that are paused.", nil, func() float64 { return float64(s.Marks(standing.Paused)) }),
		asked("endpoints_failing", "Endpoints that did nothing but fail for 5 minutes or more.", nil,
			func() float64 { return float64(s.Marks(standing.Failing)) }),
	}
	for t := range core.TierCount {
		all = append(all, asked("oldest_unfinished_seconds",
			"Age, since its decision, of the oldest delivery that is read but not finished; parked ones are in the last two tiers.",
			prometheus.Labels{"tier": t.String()}, func() float64 { return s.Oldest(t) }))
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

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: "vigil_sink_" + name, Help: help})
}

func asked(name, help string, labels prometheus.Labels, ask func() float64) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "vigil_sink_" + name, Help: help, ConstLabels: labels}, ask)
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

// Lost counts offsets that were deleted before they were read.
func (m *Meter) Lost(n int64) { m.lost.Add(float64(n)) }

// Flying counts attempts that begin and, below 0, that end.
func (m *Meter) Flying(change int) { m.inFlight.Add(float64(change)) }

// Breakers tells how many breakers are not closed, and whether one has just opened.
func (m *Meter) Breakers(open int, opened bool) {
	m.open.Set(float64(open))
	if opened {
		m.trips.Inc()
	}
}

// Attempted counts an attempt.
func (m *Meter) Attempted(a *core.Answer) {
	m.latency.Observe(a.Latency.Seconds())
	m.attempts[core.Label(a)].Inc()
}

// Settled counts a fate.
func (m *Meter) Settled(f core.Fate) {
	m.outcomes[f.Outcome].Inc()
	switch f.Outcome {
	case webhook.Parked:
		m.parks[f.Code].Inc()
	case webhook.Dead, webhook.Expired, webhook.Cancelled:
		m.deaths[f.Code].Inc()
	}
}

// Poison counts a record that is no delivery.
func (m *Meter) Poison() {
	m.outcomes[webhook.Dead].Inc()
	m.deaths[core.CodePoison].Inc()
}

// Paused counts an endpoint that this sink has paused.
func (m *Meter) Paused(reason string) { m.pauses[reason].Inc() }

// loads shows endpoints one by one.
type loads struct{ ask func() []core.Load }

var (
	flyingDesc  = prometheus.NewDesc("vigil_sink_endpoint_in_flight", "Attempts in flight, of the busiest endpoints; an empty name is all others.", []string{"endpoint"}, nil)
	waitingDesc = prometheus.NewDesc("vigil_sink_endpoint_waiting", "Deliveries in the lane, as above.", []string{"endpoint"}, nil)
	capDesc     = prometheus.NewDesc("vigil_sink_endpoint_cap", "Attempts that the endpoint gets at a time now, as above.", []string{"endpoint"}, nil)
)

// Describe implements prometheus.Collector.
func (l loads) Describe(to chan<- *prometheus.Desc) {
	for _, d := range [...]*prometheus.Desc{flyingDesc, waitingDesc, capDesc} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (l loads) Collect(to chan<- prometheus.Metric) {
	for _, e := range l.ask() {
		for d, v := range map[*prometheus.Desc]int{flyingDesc: e.InFlight, waitingDesc: e.Waiting, capDesc: e.Cap} {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), e.Endpoint)
		}
	}
}
