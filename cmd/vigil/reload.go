package main

import (
	"context"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"vigil/campaign"
	"vigil/config/endpoints"
)

const lookEvery = 2 * time.Second // at the folders of campaigns and endpoints

// folder is a folder of files that is read again when it changes or on SIGHUP, all or nothing: on any error the old
// content stays, the problems are logged and a metric counts.
type folder struct {
	dir  string
	what string       // campaigns or endpoints
	read func() error // all of it, or an error and no change
}

// reloads watches folders until the context ends.
type reloads struct {
	log     zerolog.Logger
	counted *prometheus.CounterVec
	folders []folder
}

func newReloads(log zerolog.Logger, registry prometheus.Registerer, folders ...folder) *reloads {
	r := &reloads{log: log, folders: folders, counted: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "vigil_reloads_total", Help: "Times that a folder was read again, by folder and result.",
	}, []string{"folder", "result"})}
	registry.MustRegister(r.counted)
	return r
}

func (r *reloads) run(ctx context.Context) error {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	seen := make([]string, len(r.folders))
	for i, f := range r.folders {
		seen[i] = fingerprint(f.dir)
	}
	for {
		asked := false
		select {
		case <-ctx.Done():
			return nil
		case <-hup:
			asked = true
		case <-tick.C:
		}
		for i, f := range r.folders {
			if now := fingerprint(f.dir); asked || now != seen[i] {
				seen[i] = now
				r.again(f)
			}
		}
	}
}

func (r *reloads) again(f folder) {
	if err := f.read(); err != nil {
		r.counted.WithLabelValues(f.what, "failed").Inc()
		r.log.Error().Err(err).Str("folder", f.dir).Msgf("%s not changed: the new files cannot be used", f.what)
		return
	}
	r.counted.WithLabelValues(f.what, "ok").Inc()
	r.log.Info().Str("folder", f.dir).Msgf("%s read again", f.what)
}

// fingerprint changes when a file below dir does.
func fingerprint(dir string) string {
	var all []byte
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil // what cannot be read has no part; the reader of the folder tells of it
		}
		if stat, err := os.Stat(path); err == nil && !d.IsDir() {
			all = fmt.Appendf(all, "%s %d %d\n", path, stat.Size(), stat.ModTime().UnixNano())
		}
		return nil
	})
	return string(all)
}

// campaignSet is what the folder of campaigns says now.
type campaignSet struct {
	dir   string
	log   zerolog.Logger
	adopt func([]*campaign.Campaign) error // hands a new set to the processor; nil: there is none

	mu     sync.Mutex // guards what follows
	status map[string]campaign.Status
	sends  map[string]string // campaign id to the endpoint that it names
	sinks  map[string]bool   // names of the endpoints; nil: there is no sink here
	count  int
}

// statusDeleted is what the sink calls a campaign whose file has gone.
const statusDeleted campaign.Status = "deleted"

// load reads the folder; problems are an error, and nothing changes then.
func (c *campaignSet) load() ([]*campaign.Campaign, error) {
	if _, err := os.Stat(c.dir); err != nil {
		return nil, exit(exitInvalid, fmt.Errorf("campaigns: %w; make the folder, or name another one: -X campaigns=DIR", err))
	}
	all, problems := campaign.Load(c.dir)
	for _, p := range problems {
		event := c.log.Warn()
		if campaign.Failed([]campaign.Problem{p}) {
			event = c.log.Error()
		}
		event.Msg(p.String())
	}
	if campaign.Failed(problems) {
		return nil, exit(exitInvalid, fmt.Errorf("the campaigns in %s cannot be used; `vigil lint %s` shows why", c.dir, c.dir))
	}
	return all, nil
}

// again reads the folder and hands the campaigns over.
func (c *campaignSet) again() error {
	all, err := c.load()
	if err != nil {
		return err
	}
	if c.adopt != nil {
		if err := c.adopt(all); err != nil {
			return err
		}
	}
	c.note(all)
	return nil
}

// note remembers the statuses for the sink. A campaign that was there and is no more is deleted; one that was never
// there is none of ours, and its deliveries are sent.
func (c *campaignSet) note(all []*campaign.Campaign) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.status == nil {
		c.status = map[string]campaign.Status{}
	}
	for id := range c.status {
		c.status[id] = statusDeleted
	}
	for _, one := range all {
		c.status[one.ID] = one.Status
	}
	c.count = len(all)
	c.sends = map[string]string{}
	for _, one := range all {
		if one.Webhook.Endpoint != "" {
			c.sends[one.ID] = one.Webhook.Endpoint
		}
	}
	c.tellLacking()
}

// send remembers the endpoints that the sink sends to.
func (c *campaignSet) send(list []endpoints.Endpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sinks = map[string]bool{}
	for _, e := range list {
		c.sinks[e.Name] = true
	}
	c.tellLacking()
}

// tellLacking warns of the campaigns whose endpoint the sink does not have.
func (c *campaignSet) tellLacking() {
	for _, id := range slices.Sorted(maps.Keys(c.sends)) {
		if name := c.sends[id]; c.sinks != nil && !c.sinks[name] {
			c.log.Warn().Str("campaign", id).Str("endpoint", name).
				Msg("the campaign names an endpoint that no file has: its webhooks will be dead letters")
		}
	}
}

// summary says how many there are, and which do not start anything.
func (c *campaignSet) summary() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	idle := 0
	for _, status := range c.status {
		if status != campaign.Active && status != statusDeleted {
			idle++
		}
	}
	return fmt.Sprintf("%d ok, %d of them not active", c.count, idle)
}

// of is the status of a campaign, for the sink.
func (c *campaignSet) of(id string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return string(c.status[id])
}

// loadEndpoints reads the endpoints files; every problem is part of the error.
func loadEndpoints(dir string) ([]endpoints.Endpoint, error) {
	list, problems, err := endpoints.Load(dir)
	if err != nil {
		return nil, exit(exitInvalid, err)
	}
	text := ""
	for _, p := range problems {
		text += "\n" + p.String()
	}
	if campaign.Failed(problems) {
		return nil, exit(exitInvalid, fmt.Errorf("the endpoints in %s cannot be used:%s", dir, text))
	}
	return list, nil
}

// reloadEndpoints reads them again. A folder that went away is a mistake, not the wish to have no endpoints.
func reloadEndpoints(dir string) ([]endpoints.Endpoint, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, err
	}
	return loadEndpoints(dir)
}
