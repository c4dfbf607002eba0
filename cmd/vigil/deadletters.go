package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"vigil/config"
	"vigil/inspect"
	"vigil/kafka"
)

func deadLettersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "deadletters",
		Short: "Look at what could not go on, and send it again",
		Example: example(`
			vigil deadletters list --since 1d
			vigil deadletters show webhooks/0/17
			vigil deadletters replay --reason exhausted --campaign abandoned-cart`),
		Args: noCommand,
		RunE: group,
	}
	cmd.AddCommand(deadListCommand(), deadShowCommand(), deadReplayCommand())
	return cmd
}

// deadFlags are the filters of list and replay.
type deadFlags struct {
	settings
	filter inspect.DeadFilter
	from   since
}

func (f *deadFlags) flags(cmd *cobra.Command) {
	f.settings.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.filter.Reason, "reason", "", "with this reason code only")
	flags.StringVar(&f.filter.Campaign, "campaign", "", "webhooks of this campaign only")
	flags.StringVar(&f.filter.User, "user", "", "of this user only")
	flags.Var(&f.from, "since", "from this time on: RFC 3339, or how long ago, such as 2h")
}

// open makes a reader; the caller closes.
func (f *deadFlags) open(ctx context.Context) (*inspect.Reader, config.Config, func(), error) {
	f.filter.Since = time.Time(f.from)
	client, cfg, err := f.client(ctx)
	if err != nil {
		return nil, cfg, nil, err
	}
	return inspect.NewReader(client), cfg, client.Close, nil
}

func deadListCommand() *cobra.Command {
	var f deadFlags
	var limit int
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List dead letters of both topics by time",
		Long: `Lists dlq.PREFIX.events (records that are no events) and dlq.PREFIX.webhooks (webhooks that were given up) by time.
-o json is one object a line.`,
		Example: example(`
			vigil deadletters list
			vigil deadletters list --reason exhausted --since 2h
			vigil deadletters list --user ada -o json`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			reader, cfg, closeReader, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			defer closeReader()
			list, hidden, err := reader.DeadLetters(cmd.Context(), kafka.Names(cfg.TopicPrefix), f.filter, limit)
			if err != nil {
				return reached(err)
			}
			if hidden > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "%d older ones are not shown; --limit 0 shows all\n", hidden)
			}
			return printDead(cmd.OutOrStdout(), list, output)
		},
	}
	f.flags(cmd)
	limitFlag(cmd, &limit, "the newest so many; 0 is all")
	outputFlag(cmd, &output, "table")
	return cmd
}

func printDead(w io.Writer, list []*inspect.DeadLetter, output string) error {
	if output == "json" {
		for _, d := range list {
			if err := json.NewEncoder(w).Encode(d); err != nil {
				return err
			}
		}
		return nil
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no dead letters")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "ID\tAT\tREASON\tCAMPAIGN\tUSER\tFIRE_ID\tTEXT")
	for _, d := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			d.ID, stamp(d.At), clean(d.Reason), clean(d.Campaign), clean(d.User), clean(d.FireID), clean(d.Text))
	}
	return table.Flush()
}

func deadShowCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a dead letter with its headers, value and body, as JSON",
		Long:  "ID is what `vigil deadletters list` shows, or a fire_id; a fire that died more than once is shown as often.",
		Example: example(`
			vigil deadletters show webhooks/0/17
			vigil deadletters show 5f1c6f1b2d8e4a90b1c2d3e4f5a6b7c8 | jq -r .body`),
		Args: exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := (inspect.DeadFilter{IDs: args}).Check(); err != nil {
				return exit(exitUsage, err)
			}
			client, cfg, err := s.client(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			found, err := inspect.NewReader(client).Show(cmd.Context(), kafka.Names(cfg.TopicPrefix), args[0])
			if err != nil {
				return reached(err)
			}
			if len(found) == 0 {
				return exit(exitFailure, fmt.Errorf("no dead letter %s", args[0]))
			}
			for _, w := range found {
				if err := indented(cmd.OutOrStdout(), w); err != nil {
					return err
				}
			}
			return nil
		},
	}
	s.flags(cmd)
	jsonFlag(cmd)
	return cmd
}

// indented writes v as JSON for people.
func indented(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

func deadReplayCommand() *cobra.Command {
	var f deadFlags
	var yes, expired bool
	cmd := &cobra.Command{
		Use:   "replay [ID...]",
		Short: "Send dead letters again: says how many, and asks",
		Long: `Writes what matches back. A webhook goes to PREFIX.webhooks with the same fire_id, all its attempts before it and origin
replay; receivers know it by its id. An event goes to its input topic as it was. What stays is counted with the reason: webhooks
that have expired, were delivered since, or cannot be sent at all. The dead letters themselves stay where they are.`,
		Example: example(`
			vigil deadletters replay webhooks/0/17
			vigil deadletters replay --reason exhausted --since 2h
			vigil deadletters replay --campaign abandoned-cart --expired --yes`),
		RunE: func(cmd *cobra.Command, ids []string) error {
			f.filter.IDs = ids
			if err := f.filter.Check(); err != nil {
				return exit(exitUsage, err)
			}
			reader, cfg, closeReader, err := f.open(cmd.Context())
			if err != nil {
				return err
			}
			defer closeReader()
			topics := kafka.Names(cfg.TopicPrefix)
			plan, err := reader.Plan(cmd.Context(), topics, f.filter, inspect.Rules{
				Inputs: inputTopics(cfg), Now: time.Now(), Expired: expired,
			})
			if err != nil {
				return reached(err)
			}
			tellPlan(cmd.OutOrStdout(), plan)
			if plan.Size() == 0 {
				return unknownLetters(plan)
			}
			if !yes && !confirmed(cmd, "Send them again?") {
				if cmd.Context().Err() != nil {
					return context.Cause(cmd.Context())
				}
				return exit(exitFailure, errors.New("nothing was sent; --yes answers the question"))
			}
			n, err := reader.Replay(cmd.Context(), topics, plan)
			fmt.Fprintf(cmd.OutOrStdout(), "%d of %d written back\n", n, plan.Size())
			return cmp.Or(reached(err), unknownLetters(plan))
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&expired, "expired", false, "webhooks that have expired too; they go without expires_at")
	return cmd
}

// unknownLetters is an error where ids were named that no dead letter has.
func unknownLetters(p *inspect.Plan) error {
	if len(p.Unknown) == 0 {
		return nil
	}
	return exit(exitFailure, fmt.Errorf("no dead letter that matches: %s", strings.Join(p.Unknown, ", ")))
}

func tellPlan(w io.Writer, p *inspect.Plan) {
	fmt.Fprintf(w, "%s and %s to send again\n", counted(p.Deliveries, "webhook"), counted(p.Events, "event"))
	for _, d := range p.First {
		fmt.Fprintf(w, "  %s  %s\n", d.ID, strings.TrimSpace(clean(d.FireID)+" "+clean(d.Campaign)+" "+clean(d.User)+" "+clean(d.Reason)))
	}
	if more := p.Size() - len(p.First); more > 0 {
		fmt.Fprintf(w, "  and %d more\n", more)
	}
	for _, why := range slices.Sorted(maps.Keys(p.Left)) {
		fmt.Fprintf(w, "%d left out, %s\n", p.Left[why], why)
	}
}

// confirmed asks on the screen; anything but y or yes is no, and so is a ^C.
func confirmed(cmd *cobra.Command, question string) bool {
	fmt.Fprintf(cmd.OutOrStdout(), "%s [y/N] ", question)
	line, _ := bufio.NewReader(interruptible(cmd.Context(), cmd.InOrStdin())).ReadString('\n')
	fmt.Fprintln(cmd.OutOrStdout())
	answer := strings.ToLower(strings.TrimSpace(line))
	return answer == "y" || answer == "yes"
}
