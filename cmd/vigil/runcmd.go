package main

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func runCommand() *cobra.Command {
	var f daemonFlags
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run processor and sink in one process: the small deployment",
		Long: `Runs the processor and the sink. With kafka.brokers: embedded, the default, the broker runs in this process too, on
127.0.0.1:9092 with its records in data_dir/broker: for development only. Campaigns and endpoints are read again when their
folders change, and on SIGHUP: all of a folder or nothing. SIGTERM and ^C drain; a second ^C kills.`,
		Example: example(`
			vigil run                                          embedded broker, ./campaigns, ./endpoints
			vigil run --config vigil.yaml
			vigil run -X kafka.brokers=broker:9092 -X input.topics=clicks,orders`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			loaded, err := f.load()
			if err != nil {
				return err
			}
			s, err := f.newDaemon(cmd, loaded.Config)
			if err != nil {
				return err
			}
			var cleanup stopInOrder
			defer cleanup.run()
			if err := s.embed(cmd.Context(), &cleanup); err != nil {
				return err
			}
			set, err := s.addBoth()
			if err != nil {
				return err
			}
			if err := s.reach(cmd.Context()); err != nil {
				return err
			}
			return s.serve(cmd.Context(), s.banner(set)...)
		},
	}
	f.flags(cmd)
	return cmd
}

// embed starts the broker in this process if that is what the configuration asks for, and creates the topics on it.
func (s *daemon) embed(ctx context.Context, cleanup *stopInOrder) error {
	if !s.cfg.Kafka.IsEmbedded() {
		return nil
	}
	addr, stop, err := embeddedBroker{listen: embeddedAddr, dir: filepath.Join(s.cfg.DataDir, "broker")}.start()
	if err != nil {
		return err
	}
	cleanup.add(stop)
	s.cfg.Kafka.Brokers = []string{addr}
	s.embedded = true
	client, err := openClient(ctx, s.cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	return createTopics(ctx, kadm.NewClient(client), s.cfg, embeddedPartitions)
}

// addBoth makes processor and sink parts of the daemon, and watches their folders.
func (s *daemon) addBoth() (*campaignSet, error) {
	set := s.campaignSet()
	if err := s.addProcessor(set); err != nil {
		return nil, err
	}
	endpoints, err := s.addSink(set)
	if err != nil {
		return nil, err
	}
	s.watch(folder{s.cfg.Campaigns, "campaigns", set.again}, endpoints)
	return set, nil
}

// banner are the lines that say what runs.
func (s *daemon) banner(set *campaignSet) []string {
	lines := []string{s.brokersLine(), s.topicsLine()}
	if set != nil {
		lines = append(lines, fmt.Sprintf("campaigns  %s: %s", set.dir, set.summary()))
	}
	return append(lines, "state      "+folderSize(filepath.Join(s.cfg.DataDir, "state")))
}
