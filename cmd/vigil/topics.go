package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"

	"vigil/config"
	"vigil/kafka"
)

const visibleWithin = 30 * time.Second // for brokers to tell of topics that were created

func topicsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "topics",
		Short:   "Create the topics that vigil needs, or compare them with what is there",
		Example: example("vigil topics create\nvigil topics check --config vigil.yaml -o json"),
		Args:    noCommand,
		RunE:    group,
	}
	cmd.AddCommand(topicsCreateCommand(), topicsCheckCommand())
	return cmd
}

func topicsCreateCommand() *cobra.Command {
	var s settings
	var partitions int32
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Create the topics that are missing",
		Long: `Creates the input topics and those of vigil where they are missing. The partition count of vigil's own follows the input's;
a topic that is there with another count is refused, because state belongs to its partition.`,
		Example: example("vigil topics create\nvigil topics create --config vigil.yaml --partitions 12"),
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if partitions < 1 {
				return usagef("--partitions is 1 or more, not %d", partitions)
			}
			client, cfg, err := s.client(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			adm := kadm.NewClient(client)
			before, err := adm.ListTopics(cmd.Context())
			if err != nil {
				return reached(fmt.Errorf("list topics: %w", err))
			}
			if err := createTopics(cmd.Context(), adm, cfg, partitions); err != nil {
				return reached(err)
			}
			return tellCreated(cmd.Context(), cmd.OutOrStdout(), adm, before)
		},
	}
	s.flags(cmd)
	cmd.Flags().Int32Var(&partitions, "partitions", embeddedPartitions, "of an input topic that is missing")
	return cmd
}

// createTopics creates inputs and vigil's own where they are missing.
func createTopics(ctx context.Context, adm *kadm.Client, cfg config.Config, partitions int32) error {
	inputs := inputTopics(cfg)
	for _, name := range inputs { // a new one gets the count of those that are there
		count, err := kafka.InputPartitions(ctx, adm, []string{name})
		if err == nil {
			partitions = count
			break
		}
		if !errors.Is(err, kafka.ErrMissing) {
			return err
		}
	}
	if err := kafka.EnsureInputs(ctx, adm, inputs, partitions); err != nil {
		return err
	}
	var count int32
	err := visible(ctx, func() (there bool, err error) {
		count, err = kafka.InputPartitions(ctx, adm, inputs)
		if errors.Is(err, kafka.ErrMissing) {
			return false, nil
		}
		return count > 0, err
	})
	if err != nil {
		return err
	}
	return ensureOwn(ctx, adm, cfg, count)
}

// ensureOwn creates vigil's own topics where they are missing, and waits until the brokers tell of all.
func ensureOwn(ctx context.Context, adm *kadm.Client, cfg config.Config, inputPartitions int32) error {
	specs := kafka.Specs(kafka.Names(cfg.TopicPrefix), inputPartitions)
	if err := kafka.Ensure(ctx, adm, specs); err != nil {
		return err
	}
	return visible(ctx, func() (bool, error) {
		found, err := kafka.Check(ctx, adm, specs)
		return !slices.ContainsFunc(found, func(f kafka.Finding) bool { return f.Code != kafka.CodeSetting }), err
	})
}

// visible waits for what was just created: brokers tell of it a moment later.
func visible(ctx context.Context, there func() (bool, error)) error {
	within, cancel := context.WithTimeout(ctx, visibleWithin)
	defer cancel()
	tick := time.NewTicker(2 * freshMetadata)
	defer tick.Stop()
	for {
		if ok, err := there(); ok || err != nil {
			return err
		}
		select {
		case <-within.Done():
			return unreachable(fmt.Errorf("topics were created, but the brokers do not tell of them within %s", visibleWithin))
		case <-tick.C:
		}
	}
}

// inputTopics are all topics that hold events or profiles.
func inputTopics(cfg config.Config) []string {
	topics := append([]string{}, cfg.Input.Topics...)
	if cfg.Input.ProfilesTopic != "" {
		topics = append(topics, cfg.Input.ProfilesTopic)
	}
	return topics
}

func tellCreated(ctx context.Context, w io.Writer, adm *kadm.Client, before kadm.TopicDetails) error {
	after, err := adm.ListTopics(ctx)
	if err != nil {
		return reached(fmt.Errorf("list topics: %w", err))
	}
	created := 0
	for _, d := range after.Sorted() {
		if before.Has(d.Topic) {
			continue
		}
		created++
		fmt.Fprintf(w, "created %s\n", d.Topic)
	}
	if created == 0 {
		fmt.Fprintln(w, "nothing to create: every topic is there")
	}
	return nil
}

func topicsCheckCommand() *cobra.Command {
	var s settings
	var output string
	cmd := &cobra.Command{
		Use:     "check",
		Short:   "Compare the topics with what vigil needs; exit code 1 if they differ",
		Example: example("vigil topics check\nvigil topics check -o json"),
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, cfg, err := s.client(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			found, err := checkTopics(cmd.Context(), kadm.NewClient(client), cfg)
			if err != nil {
				return reached(err)
			}
			if err := printFindings(cmd.OutOrStdout(), found, output); err != nil {
				return err
			}
			if len(found) > 0 {
				return exit(exitFailure, nil)
			}
			return nil
		},
	}
	s.flags(cmd)
	outputFlag(cmd, &output, "table")
	return cmd
}

// checkTopics compares inputs and vigil's own; without inputs there is no count to compare with.
func checkTopics(ctx context.Context, adm *kadm.Client, cfg config.Config) ([]kafka.Finding, error) {
	count, err := kafka.InputPartitions(ctx, adm, inputTopics(cfg))
	if errors.Is(err, kafka.ErrMissing) {
		return []kafka.Finding{{Topic: "", Code: kafka.CodeMissing, Text: err.Error()}}, nil
	}
	if errors.Is(err, kafka.ErrPartitions) {
		return []kafka.Finding{{Topic: "", Code: kafka.CodePartitions, Text: err.Error()}}, nil
	}
	if err != nil {
		return nil, err
	}
	return kafka.Check(ctx, adm, kafka.Specs(kafka.Names(cfg.TopicPrefix), count))
}

func printFindings(w io.Writer, found []kafka.Finding, output string) error {
	if output == "json" {
		if found == nil {
			found = []kafka.Finding{}
		}
		return json.NewEncoder(w).Encode(found)
	}
	if len(found) == 0 {
		_, err := fmt.Fprintln(w, "every topic is as it should be")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "CODE\tFINDING")
	for _, f := range found {
		fmt.Fprintf(table, "%s\t%s\n", f.Code, f.Text)
	}
	return table.Flush()
}
