package processor

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"vigil/trigger"
)

// metrics are those of a processor. A decision's children are resolved once per campaign and reason.
type metrics struct {
	records           prometheus.Counter
	recordSkew        prometheus.Counter
	clockSkew         prometheus.Counter
	truncated         prometheus.Counter
	ignored           prometheus.Counter
	decisions         *prometheus.CounterVec
	deadLetters       *prometheus.CounterVec
	behind            *prometheus.CounterVec
	commits           prometheus.Counter
	aborts            prometheus.Counter
	restarts          prometheus.Counter
	rebuilds          prometheus.Counter
	commitSeconds     prometheus.Histogram
	checkpointRows    prometheus.Counter
	checkpointErrors  prometheus.Counter
	checkpointSeconds prometheus.Histogram
	restoreLag        *prometheus.GaugeVec
	restored          prometheus.Counter
	partitions        prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	f := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return f.NewCounter(prometheus.CounterOpts{Name: "vigil_" + name, Help: help})
	}
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return f.NewCounterVec(prometheus.CounterOpts{Name: "vigil_" + name, Help: help}, labels)
	}
	seconds := func(name, help string) prometheus.Histogram {
		return f.NewHistogram(prometheus.HistogramOpts{Name: "vigil_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)})
	}
	return &metrics{
		records:           counter("records_processed_total", "Input records whose processing was committed."),
		recordSkew:        counter("record_skew_total", "Records whose time was taken as that of their reading: more than 2 min ahead (semantics 2.1), or absent."),
		clockSkew:         counter("clock_skew_total", "Events whose time was more than 2 min ahead of their record's (semantics 2.1)."),
		truncated:         counter("history_truncated_total", "Times that something was forgotten to hold a limit (semantics 2.11)."),
		ignored:           counter("events_ignored_total", "Events from before the erasure of their user (semantics 2.6)."),
		decisions:         vector("decisions_total", "Decisions by campaign and reason; a fire has the reason fire. Counted when made, before the commit.", "campaign", "reason"),
		deadLetters:       vector("event_dead_letters_total", "Input records that are no event, by reason.", "reason"),
		behind:            vector("clock_waits_total", "Times that a due timer waited because the input was not read to its end.", "topic"),
		commits:           counter("commits_total", "Transactions committed."),
		aborts:            counter("aborts_total", "Transactions aborted, mostly by a rebalance."),
		restarts:          counter("processing_restarts_total", "Restarts from the last commit after an error."),
		rebuilds:          counter("state_rebuilds_total", "Local states thrown away and rebuilt from the changelog."),
		commitSeconds:     seconds("commit_seconds", "Time from the end of processing to the end of the transaction."),
		checkpointRows:    counter("checkpoint_rows_total", "User records written to the local state."),
		checkpointErrors:  counter("checkpoint_errors_total", "Checkpoints that the disk refused."),
		checkpointSeconds: seconds("checkpoint_seconds", "Duration of a checkpoint of one partition."),
		restored:          counter("restored_records_total", "Changelog records read by restores; its rate is theirs."),
		restoreLag:        f.NewGaugeVec(prometheus.GaugeOpts{Name: "vigil_restore_lag_records", Help: "Changelog records still to be read by a restore."}, []string{"partition"}),
		partitions:        f.NewGauge(prometheus.GaugeOpts{Name: "vigil_partitions_running", Help: "Input partitions that this process works on."}),
	}
}

// decision is the counter of an outcome.
func (m *metrics) decision(o outcome) prometheus.Counter {
	reason := string(o.reason)
	if reason == "" {
		reason = "fire"
	}
	return m.decisions.WithLabelValues(o.campaign, reason)
}

// counted adds what an engine counted since it was asked last.
func (m *metrics) counted(was, now trigger.Stats) {
	m.clockSkew.Add(float64(now.ClockSkew - was.ClockSkew))
	m.truncated.Add(float64(now.HistoryTruncated - was.HistoryTruncated))
	m.ignored.Add(float64(now.Ignored - was.Ignored))
}
