package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/doctor"
	"vigil/kafka"
)

func doctorCommand() *cobra.Command {
	var s settings
	var output string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at everything that vigil needs, and say what to do about it",
		Long: `Looks at brokers, auth, topics, retention, timestamps, lag, clocks, disk, store locks, descriptors, campaigns and endpoints,
from this machine and with this configuration. Each finding is ok, warn or fail, with the fix. It changes nothing, and sends
nothing to endpoints: it resolves, connects and completes TLS. Exit code 1 if anything fails.`,
		Example: example(`
			vigil doctor
			vigil doctor --config vigil.yaml -o json | jq '.[] | select(.level!="ok")'`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.outside()
			if err != nil {
				return err
			}
			options, err := kafka.Options(cfg, zerolog.Nop())
			if err != nil {
				return exit(exitInvalid, err)
			}
			client, err := kgo.NewClient(append(options, kgo.MetadataMinAge(freshMetadata))...)
			if err != nil {
				return exit(exitInvalid, fmt.Errorf("make a Kafka client: %w", err))
			}
			defer client.Close()
			checkup := doctor.Checkup{Config: cfg, Client: client, Now: time.Now(), Policy: egressPolicy(cfg.Sink)}
			findings := checkup.Run(cmd.Context())
			if cmd.Context().Err() != nil { // what was not answered by then is no finding
				return context.Cause(cmd.Context())
			}
			if err := printCheckup(cmd.OutOrStdout(), findings, output); err != nil {
				return err
			}
			if doctor.Failed(findings) {
				return exit(exitFailure, nil)
			}
			return nil
		},
	}
	s.flags(cmd)
	outputFlag(cmd, &output, "table")
	return cmd
}

func printCheckup(w io.Writer, findings []doctor.Finding, output string) error {
	if output == "json" {
		e := json.NewEncoder(w)
		e.SetEscapeHTML(false)
		return e.Encode(findings)
	}
	for _, f := range findings {
		if _, err := fmt.Fprintf(w, "%-4s  %-12s  %s\n", f.Level, f.Check, clean(f.Text)); err != nil {
			return err
		}
		if f.Fix != "" {
			fmt.Fprintf(w, "      %-12s  fix: %s\n", "", f.Fix)
		}
	}
	return nil
}
