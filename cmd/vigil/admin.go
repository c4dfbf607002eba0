package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// check is one condition of /readyz.
type check struct {
	name   string
	ok     func() error
	detail func() []string // what /readyz?verbose tells besides; nil: nothing
}

// adminServer answers /healthz /readyz /metrics /version and /debug/pprof.
type adminServer struct {
	listen   string
	insecure bool // allow an address that others can reach
	metrics  prometheus.Gatherer
	checks   []check
}

// start binds at once, so that a wrong address is told before anything runs. The returned function serves until the
// context ends.
func (a adminServer) start() (url string, serve func(context.Context) error, err error) {
	host, _, err := net.SplitHostPort(a.listen)
	if err != nil {
		return "", nil, exit(exitInvalid, fmt.Errorf("admin.listen: %q is no HOST:PORT", a.listen))
	}
	if !loopback(host) && !a.insecure {
		return "", nil, exit(exitInvalid, fmt.Errorf(
			"admin.listen: %s can be reached by others and asks for no password; listen on 127.0.0.1, or add --insecure", a.listen))
	}
	url, serve, err = listenHTTP(a.listen, a.mux())
	if err != nil {
		return "", nil, exit(exitFailure, fmt.Errorf("admin.listen: %w; choose another one with -X admin.listen=127.0.0.1:0", err))
	}
	return url, serve, nil
}

func (a adminServer) mux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", a.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("content-type", "application/json")
		_ = json.NewEncoder(w).Encode(build())
	})
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

// ready answers 200 when every check holds, else 503; ?verbose lists them all.
func (a adminServer) ready(w http.ResponseWriter, r *http.Request) {
	status, lines := http.StatusOK, ""
	for _, c := range a.checks {
		if err := c.ok(); err != nil {
			status = http.StatusServiceUnavailable
			lines += fmt.Sprintf("[-] %s: %v\n", c.name, err)
		} else {
			lines += fmt.Sprintf("[+] %s: ok\n", c.name)
		}
		lines += c.details()
	}
	if !r.URL.Query().Has("verbose") {
		lines = map[bool]string{true: "ok\n", false: "not ready; see /readyz?verbose\n"}[status == http.StatusOK]
	}
	w.WriteHeader(status)
	fmt.Fprint(w, lines)
}

// details are the lines below a check.
func (c check) details() (lines string) {
	if c.detail == nil {
		return ""
	}
	for _, line := range c.detail() {
		lines += "      " + line + "\n"
	}
	return lines
}
