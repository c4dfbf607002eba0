package main

import (
	"os"

	"github.com/spf13/cobra"

	"vigil/kafka"
	"vigil/sink"
)

func sinkCommand() *cobra.Command {
	var f daemonFlags
	cmd := &cobra.Command{
		Use:   "sink",
		Short: "Run the sink alone: send what is on vigil.webhooks",
		Example: example(`
			vigil sink --config vigil.yaml
			vigil sink -X kafka.brokers=broker:9092 -X endpoints=./endpoints`),
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
			endpoints, err := s.addSink(set)
			if err != nil {
				return err
			}
			folders := []folder{endpoints}
			if _, err := os.Stat(cfg.Campaigns); err == nil { // a sink may run without: then every campaign is active
				if err := set.again(); err != nil {
					return err
				}
				folders = append(folders, folder{cfg.Campaigns, "campaigns", set.again})
			}
			if err := s.reach(cmd.Context()); err != nil {
				return err
			}
			s.watch(folders...)
			return s.serve(cmd.Context(), s.brokersLine(), s.topicsLine())
		},
	}
	f.flags(cmd)
	return cmd
}

// addSink makes the sink a part of the daemon; the folder of endpoints is returned to be watched.
func (s *daemon) addSink(set *campaignSet) (folder, error) {
	endpoints, err := loadEndpoints(s.cfg.Endpoints)
	if err != nil {
		return folder{}, err
	}
	options, err := kafka.Options(s.cfg, s.log)
	if err != nil {
		return folder{}, exit(exitInvalid, err)
	}
	it, err := sink.New(sink.Config{
		Client: options, Topics: sink.TopicsOf(s.cfg.TopicPrefix), Group: s.cfg.Group + ".sink", Instance: s.cfg.Instance,
		DataDir: s.cfg.DataDir, Policy: egressPolicy(s.cfg.Sink),
		Endpoints: endpoints, CampaignStatus: set.of,
	}, sink.Deps{Log: s.log, Registry: s.registry})
	if err != nil {
		return folder{}, exit(exitInvalid, err)
	}
	if _, err := os.Stat(s.cfg.Endpoints); err != nil {
		s.log.Warn().Err(err).Str("folder", s.cfg.Endpoints).Msg("there are no endpoints: webhooks to one by its name will be dead letters")
	}
	set.send(endpoints)
	s.parts = append(s.parts, part{"sink", it.Run, it.Waits})
	return folder{s.cfg.Endpoints, "endpoints", func() error {
		list, err := reloadEndpoints(s.cfg.Endpoints)
		if err != nil {
			return err
		}
		if err := it.SetEndpoints(list); err != nil {
			return err
		}
		set.send(list)
		return nil
	}}, nil
}
