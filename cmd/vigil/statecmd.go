package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"vigil/inspect"
	"vigil/kafka"
)

func stateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state",
		Short: "Show what the engine knows of users",
		Example: example(`
			vigil state get --user ada
			vigil state dump | jq 'select(.state.next_due)'
			vigil state stats`),
		Args: noCommand,
		RunE: group,
	}
	cmd.AddCommand(stateGetCommand(), stateDumpCommand(), stateStatsCommand())
	return cmd
}

func stateGetCommand() *cobra.Command {
	var user string
	cmd := stateReading("get", "Show one user as JSON", func(cmd *cobra.Command, r *inspect.Reader, t kafka.Topics) error {
		u, err := r.User(cmd.Context(), t, user)
		if errors.Is(err, inspect.ErrUnknownUser) {
			return exit(exitFailure, fmt.Errorf("%q: %w", user, err))
		}
		if err != nil {
			return err
		}
		return indented(cmd.OutOrStdout(), u)
	})
	cmd.Long = `Reads the user's newest record of PREFIX.state: profile, timers, threads, what is remembered for how long (semantics 2.11).
What is past its time stays in the record until the user is next visited.`
	cmd.Example = example(`
		vigil state get --user ada
		vigil state get --user ada | jq '.state.campaigns[].threads[].timers'`)
	cmd.Flags().StringVar(&user, "user", "", "the user (needed)")
	jsonFlag(cmd)
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if user == "" {
			return usagef("state get needs --user")
		}
		return nil
	}
	return cmd
}

func stateDumpCommand() *cobra.Command {
	cmd := stateReading("dump", "Show every user, one JSON object a line", func(cmd *cobra.Command, r *inspect.Reader, t kafka.Topics) error {
		e := json.NewEncoder(cmd.OutOrStdout())
		e.SetEscapeHTML(false)
		return r.Users(cmd.Context(), t, func(u *inspect.User) error { return e.Encode(u) })
	})
	cmd.Example = example("vigil state dump > users.ndjson")
	jsonFlag(cmd)
	return cmd
}

func stateStatsCommand() *cobra.Command {
	var output string
	cmd := stateReading("stats", "Add up what is known: users, bytes, and by campaign threads and timers", func(cmd *cobra.Command, r *inspect.Reader, t kafka.Topics) error {
		s, err := r.Stats(cmd.Context(), t)
		if err != nil {
			return err
		}
		if output == "json" {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(s)
		}
		return printStats(cmd.OutOrStdout(), s)
	})
	cmd.Example = example("vigil state stats\nvigil state stats -o json")
	outputFlag(cmd, &output, "table")
	return cmd
}

// stateReading is a command that reads PREFIX.state.
func stateReading(name, short string, run func(*cobra.Command, *inspect.Reader, kafka.Topics) error) *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use: name, Short: short, Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, cfg, err := s.client(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			return reached(run(cmd, inspect.NewReader(client), kafka.Names(cfg.TopicPrefix)))
		},
	}
	s.flags(cmd)
	return cmd
}

func printStats(w io.Writer, s inspect.Stats) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintf(table, "users\t%d\n", s.Users)
	fmt.Fprintf(table, "bytes\t%d\n", s.Bytes)
	if s.Users > 0 {
		fmt.Fprintf(table, "largest\t%s, %d bytes\n", clean(s.Largest.User), s.Largest.Bytes)
	}
	fmt.Fprintf(table, "profiles\t%d\n", s.Profiles)
	fmt.Fprintf(table, "erased\t%d\n", s.Erased)
	fmt.Fprintf(table, "seen ids\t%d\n", s.SeenIDs)
	fmt.Fprintf(table, "unreadable\t%d\n", s.Unreadable)
	if !s.NextDue.IsZero() {
		fmt.Fprintf(table, "next due\t%s\n", stamp(s.NextDue))
	}
	if err := table.Flush(); err != nil || len(s.Campaigns) == 0 {
		return err
	}
	fmt.Fprintln(table, "\nCAMPAIGN\tUSERS\tTHREADS\tTIMERS\tDEFERRED\tHELD\tKEPT\tFIRES")
	for _, id := range slices.Sorted(maps.Keys(s.Campaigns)) {
		c := s.Campaigns[id]
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", clean(id), c.Users, c.Threads, c.Timers, c.Deferred, c.Held, c.Kept, c.Fires)
	}
	return table.Flush()
}
