package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vigil/campaign"
	"vigil/config"
	"vigil/event"
	"vigil/kafka"
	"vigil/processor"
	"vigil/trigger"
)

func processorCommand() *cobra.Command {
	var f daemonFlags
	cmd := &cobra.Command{
		Use:   "processor",
		Short: "Run the processor alone: judge events, write fires to vigil.webhooks",
		Example: example(`
			vigil processor --config vigil.yaml
			vigil processor -X kafka.brokers=broker:9092 -X instance=processor-1`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := f.outside()
			if err != nil {
				return err
			}
			s, err := f.newDaemon(cmd, cfg)
			if err != nil {
				return err
			}
			set := s.campaignSet()
			if err := s.addProcessor(set); err != nil {
				return err
			}
			if err := s.reach(cmd.Context()); err != nil {
				return err
			}
			s.watch(folder{cfg.Campaigns, "campaigns", set.again})
			return s.serve(cmd.Context(), s.banner(set)...)
		},
	}
	f.flags(cmd)
	return cmd
}

// campaignSet is the folder of campaigns of this daemon, not yet read.
func (s *daemon) campaignSet() *campaignSet { return &campaignSet{dir: s.cfg.Campaigns, log: s.log} }

// addProcessor makes the processor a part of the daemon; from then on set hands new campaigns to it.
func (s *daemon) addProcessor(set *campaignSet) error {
	if s.cfg.Campaigns == config.CampaignsTopic {
		return exit(exitInvalid, errors.New("campaigns: this version reads a folder, not the topic; set campaigns to a folder"))
	}
	all, err := set.load()
	if err != nil {
		return err
	}
	set.note(all)
	options, err := kafka.Options(s.cfg, s.log)
	if err != nil {
		return exit(exitInvalid, err)
	}
	catalogs := make(chan *campaign.Catalog)
	it, err := processor.New(processor.Config{
		Kafka: options, Topics: kafka.Names(s.cfg.TopicPrefix),
		Inputs: s.cfg.Input.Topics, ProfilesTopic: s.cfg.Input.ProfilesTopic,
		Fields: event.Fields(s.cfg.Input.Fields), Format: s.cfg.Input.Format, Start: s.cfg.Input.Start,
		Group: s.cfg.Group + ".processor", Instance: s.cfg.Instance, DataDir: s.cfg.DataDir,
		Times:          times(s.cfg.Processor),
		CommitInterval: s.cfg.Processor.CommitInterval, CheckpointInterval: s.cfg.Processor.CheckpointInterval,
		ClockGrace: s.cfg.Processor.ClockGrace, Workers: workers(s.cfg.Processor.Workers), CacheBytes: bounded(s.cfg.Processor.MemoryMiB),
		Catalog: campaign.NewCatalog(all), Reload: catalogs, Log: s.log.With().Str("component", "processor").Logger(),
		Registerer: s.registry,
	})
	if err != nil {
		return exit(exitInvalid, err)
	}
	stopped := make(chan struct{})
	set.adopt = func(all []*campaign.Campaign) error {
		select {
		case catalogs <- campaign.NewCatalog(all):
			return nil
		case <-stopped:
			return errors.New("the processor has stopped")
		}
	}
	s.checks = append(s.checks, check{"processor", func() error {
		if ok, detail := it.Ready(); !ok {
			return fmt.Errorf("not yet: %s", strings.Join(detail, ", "))
		}
		return nil
	}, func() []string { _, detail := it.Ready(); return detail }})
	s.parts = append(s.parts, part{"processor", func(ctx context.Context) error {
		defer close(stopped)
		return it.Run(ctx)
	}, it.Waits})
	return nil
}

func times(p config.Processor) trigger.Options {
	return trigger.Options{
		AllowedLateness: p.AllowedLateness.Milliseconds(),
		MaxEventAge:     p.MaxEventAge.Milliseconds(),
		MaxFireDelay:    p.MaxFireDelay.Milliseconds(),
	}
}

// bounded makes a budget the limit of this program's memory, and tells the half of it that user records may take; 0 for no
// budget. A tenth is left to what the runtime does not count: files that are mapped into memory.
func bounded(mib int) (cacheBytes int64) {
	if mib == 0 {
		return 0
	}
	budget := int64(mib) << 20
	debug.SetMemoryLimit(budget / 10 * 9)
	return budget / 2
}

func workers(n int) int {
	if n == 0 {
		return runtime.GOMAXPROCS(0)
	}
	return n
}

// ready waits until every check holds.
func (s *daemon) ready(ctx context.Context, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		var errs []error
		for _, c := range s.checks {
			if err := c.ok(); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", c.name, err))
			}
		}
		if len(errs) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(append(errs, fmt.Errorf("not ready within %s", within))...)
		case <-tick.C:
		}
	}
}
