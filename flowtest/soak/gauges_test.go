package soak

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	kafkatest "vigil/flowtest/kafka"
)

const (
	lookEvery = 5 * time.Second
	looks     = 60 // at least, in a run that is short
)

// sample is one look at the sink.
type sample struct {
	at          time.Duration // since the load began
	goroutines  float64
	descriptors float64
	heap        float64 // bytes that are allocated, garbage included
	resident    float64
	breakers    float64 // that are not closed
}

// start starts the sink with an admin listener, and waits until it is ready.
func (r *run) start() {
	r.T.Helper()
	port, err := kafkatest.FreePorts(1)
	if err != nil {
		r.T.Fatal(err)
	}
	address := fmt.Sprint("127.0.0.1:", port)
	r.admin = "http://" + address
	r.sink = r.Spawn("sink", "sink", "--config", r.Path("vigil.yaml"), "-X", "instance=sink", "-X", "data_dir="+r.Path("sink"),
		"-X", "admin.listen="+address, "-X", "log.level=error")
	r.Await("the sink answers", readyWithin, func() (bool, string) {
		_, err := r.get("/readyz")
		return err == nil, fmt.Sprint(err)
	})
}

// get asks the admin listener.
func (r *run) get(path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(r.T.Context(), http.MethodGet, r.admin+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("GET %s: %s", path, resp.Status)
	}
	return text, err
}

// ask keeps an answer of the admin listener in the stage's folder, for whoever must find a leak.
func (r *run) ask(name, path string) {
	text, err := r.get(path)
	r.must(err)
	r.Write(name, string(text))
}

// metrics are all series as they are now, by name and labels.
func (r *run) metrics() map[string]float64 {
	text, err := r.get("/metrics")
	r.must(err)
	all := map[string]float64{}
	for line := range bytes.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimSpace(string(line)), " ")
		if v, err := strconv.ParseFloat(value, 64); ok && err == nil {
			all[name] = v
		}
	}
	return all
}

// sample looks at the sink.
func (r *run) sample() sample {
	m := r.metrics()
	return sample{
		at: time.Since(r.began), goroutines: m["go_goroutines"], descriptors: m["process_open_fds"], heap: m["go_memstats_heap_alloc_bytes"],
		resident: m["process_resident_memory_bytes"], breakers: m["vigil_sink_breakers_open"],
	}
}

// counters are series that tell of faults, and what the sink did.
func (r *run) counters() map[string]float64 {
	m := r.metrics()
	return map[string]float64{
		"lost offsets":     m["vigil_sink_offsets_lost_total"],
		"reloads failed":   m[`vigil_reloads_total{folder="endpoints",result="failed"}`],
		"reloads":          m[`vigil_reloads_total{folder="endpoints",result="ok"}`],
		"breaker openings": m["vigil_sink_breaker_openings_total"],
	}
}

// idle is the sink at rest: one delivery, so that its connections to Kafka are there, and no other.
func (r *run) idle() sample {
	r.T.Helper()
	d, h := r.first()
	r.address(d, h, true)
	r.put(d, 0)
	r.Await("the first delivery has its fate", readyWithin, func() (bool, string) { return r.unsettled() == 0, "" })
	s := r.sample()
	r.T.Logf("idle: %.0f goroutines, %.0f descriptors", s.goroutines, s.descriptors)
	return s
}

// watch looks at the sink until ctx ends, and keeps its heap and its goroutines behind the warm-up and at the end.
func (r *run) watch(ctx context.Context) {
	tick := time.NewTicker(min(lookEvery, r.length/looks))
	defer tick.Stop()
	warm := false
	for {
		select {
		case <-tick.C:
		case <-r.sink.Done():
			return
		case <-ctx.Done():
			r.ask("heap-last.pprof", "/debug/pprof/heap")
			return
		}
		s := r.sample()
		r.samples = append(r.samples, s)
		if !warm && s.at > r.warm() {
			warm = true
			r.ask("heap-first.pprof", "/debug/pprof/heap")
		}
	}
}
