package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"golang.org/x/sync/errgroup"

	"vigil/config"
	"vigil/kafka"
)

// daemon is what processor, sink and run have in common: configuration, log, metrics, admin listener, and the order
// of starting and stopping.
type daemon struct {
	cfg      config.Config
	log      zerolog.Logger
	screen   io.Writer
	registry *prometheus.Registry
	insecure bool
	embedded bool // the broker is in this process
	checks   []check
	parts    []part
	draining atomic.Bool
	ended    sync.Map // names of parts that have ended
}

// part is something that runs until its context ends and drains before it returns.
type part struct {
	name  string
	run   func(context.Context) error
	waits func() string // what its end waits for; nil: it ends at once
}

// daemonFlags are the flags of the three commands.
type daemonFlags struct {
	settings
	insecure bool
}

func (f *daemonFlags) flags(cmd *cobra.Command) {
	f.settings.flags(cmd)
	cmd.Flags().BoolVar(&f.insecure, "insecure", false, "allow an admin listener that others can reach")
}

// newDaemon reads the configuration and prepares log and metrics.
func (f *daemonFlags) newDaemon(cmd *cobra.Command, loaded config.Config) (*daemon, error) {
	log, err := newLog(loaded.Log, cmd.ErrOrStderr())
	if err != nil {
		return nil, err
	}
	s := &daemon{
		cfg: loaded, log: log, screen: cmd.ErrOrStderr(), insecure: f.insecure, registry: prometheus.NewRegistry(),
	}
	s.registry.MustRegister(
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildGauge(),
	)
	s.checks = []check{{"not draining", func() error {
		if s.draining.Load() {
			return errors.New("draining: " + strings.Join(s.waits(), "; "))
		}
		return nil
	}, nil}}
	return s, nil
}

func buildGauge() prometheus.Collector {
	b := build()
	g := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "vigil_build_info", Help: "1, labelled with what this binary is.",
		ConstLabels: prometheus.Labels{"version": b.Version, "commit": b.Commit, "go": b.Go},
	})
	g.Set(1)
	return g
}

// reach makes sure that a broker answers before anything runs, and that vigil's topics are there. Inputs that are
// missing are for the processor to refuse: the sink reads none.
func (s *daemon) reach(ctx context.Context) error {
	client, err := openClient(ctx, s.cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	count, err := kafka.InputPartitions(ctx, adm, inputTopics(s.cfg))
	if errors.Is(err, kafka.ErrMissing) {
		return nil
	}
	if err != nil {
		return reached(err)
	}
	return reached(ensureOwn(ctx, adm, s.cfg, count))
}

// serve starts the admin listener and every part, and returns when all have drained. The first failure stops the rest.
func (s *daemon) serve(ctx context.Context, banner ...string) error {
	if s.cfg.Admin.Listen != "" {
		url, serve, err := adminServer{s.cfg.Admin.Listen, s.insecure, s.registry, s.checks}.start()
		if err != nil {
			return err
		}
		banner = append(banner, "admin      "+url)
		admin, stop := context.WithCancel(context.WithoutCancel(ctx)) // answers until all have drained
		served := make(chan error, 1)
		go func() { served <- serve(admin) }()
		defer func() { stop(); <-served }()
	}
	s.show(banner)
	group, ctx := errgroup.WithContext(ctx)
	var running atomic.Int32
	for _, p := range s.parts {
		running.Add(1)
		group.Go(func() error {
			defer running.Add(-1)
			defer s.ended.Store(p.name, true)
			if err := p.run(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s: %w", p.name, err)
			} else if err != nil {
				s.log.Warn().Err(err).Str("part", p.name).Msg("not drained cleanly")
			}
			return nil
		})
	}
	done := make(chan struct{})
	go s.tellDraining(ctx, done, &running)
	err := group.Wait()
	close(done)
	if err == nil && s.draining.Load() {
		s.log.Info().Msg("drained")
	}
	return reached(err)
}

// waits tells what a stop waits for, part by part.
func (s *daemon) waits() []string {
	var all []string
	for _, p := range s.parts {
		if _, ended := s.ended.Load(p.name); ended || p.waits == nil {
			continue
		}
		if what := p.waits(); what != "" {
			all = append(all, p.name+": "+what)
		}
	}
	return all
}

// tellDraining says once a second what a stop waits for.
func (s *daemon) tellDraining(ctx context.Context, done <-chan struct{}, running *atomic.Int32) {
	select {
	case <-ctx.Done():
	case <-done:
		return
	}
	s.draining.Store(true)
	began := time.Now()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		s.log.Info().Int32("running", running.Load()).Strs("waits_for", s.waits()).Dur("after", time.Since(began).Round(time.Second)).
			Msg("draining; a second ^C kills")
		select {
		case <-tick.C:
		case <-done:
			return
		}
	}
}

// show prints the banner: lines on a terminal, else one record of the log.
func (s *daemon) show(lines []string) {
	if len(lines) == 0 {
		return
	}
	lines = append([]string{"vigil      " + build().Version}, lines...)
	if terminal(s.screen) {
		fmt.Fprintln(s.screen, strings.Join(lines, "\n"))
		return
	}
	event := s.log.Info()
	for _, line := range lines {
		name, value, _ := strings.Cut(line, " ")
		event.Str(name, strings.TrimSpace(value))
	}
	event.Msg("started")
}

func (s *daemon) brokersLine() string {
	where := ""
	if s.embedded {
		where = " (embedded: for development only)"
	}
	return fmt.Sprintf("brokers    %s%s, group %s", strings.Join(s.cfg.Kafka.Brokers, ", "), where, s.cfg.Group)
}

func (s *daemon) topicsLine() string {
	return fmt.Sprintf("topics     %s -> %s.webhooks", strings.Join(inputTopics(s.cfg), ", "), s.cfg.TopicPrefix)
}

// folderSize is a folder and the bytes of the files in it, for people.
func folderSize(dir string) string {
	var sum int64
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil // what is not there has no size
		}
		if stat, err := d.Info(); err == nil {
			sum += stat.Size()
		}
		return nil
	})
	return fmt.Sprintf("%s, %.1f MB", dir, float64(sum)/(1<<20))
}

// watch reads folders again when they change.
func (s *daemon) watch(folders ...folder) {
	s.parts = append(s.parts, part{"reload", newReloads(s.log, s.registry, folders...).run, nil})
}
