package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"

	"vigil/campaign"
	"vigil/config"
	"vigil/kafka"
	"vigil/replay/verify"
)

// verifyFlags are the flags of `vigil verify`.
type verifyFlags struct {
	settings
	from, to  since
	campaigns []string
	output    string
}

func verifyCommand() *cobra.Command {
	f := &verifyFlags{}
	cmd := &cobra.Command{
		Use:   "verify [--from T] [--to T]",
		Short: "Run the past once more and compare it with what was fired; must find nothing",
		Long: `Runs the inputs and PREFIX.journal through the engine again and compares each fire with what stands on PREFIX.webhooks and
PREFIX.shadow: missing, extra, different, duplicated. Nothing is sent or written, and the processors may go on meanwhile.
It runs from the beginning of what the inputs hold, whatever --from says: a decision depends on what was before.

The campaigns are those of the configured folder. Where they have been edited, the journal says which ones decided: give the
folders as they were with --campaigns. What cannot be known, since inputs are gone or campaigns not given, is told as
unverifiable and is no finding. Exit code 1 where a difference is found, or nothing could be compared.`,
		Example: example(`
			vigil verify
			vigil verify --from 2026-11-25T00:00:00Z --to 2026-11-26T00:00:00Z
			vigil verify --from 24h --campaigns ./campaigns-of-last-week -o json`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	f.flags(cmd)
	flags := cmd.Flags()
	flags.Var(&f.from, "from", "compare fires whose `at` is not before: an RFC 3339 time, or how long ago, such as 2h")
	flags.Var(&f.to, "to", "compare fires whose `at` is before: an RFC 3339 time, or how long ago")
	flags.StringArrayVar(&f.campaigns, "campaigns", nil, "a `folder` of campaigns as they were, beside the configured one; as often as needed")
	outputFlag(cmd, &f.output, "table")
	return cmd
}

func (f *verifyFlags) run(cmd *cobra.Command) error {
	cfg, err := f.outside()
	if err != nil {
		return err
	}
	v := verify.Config{Topics: kafka.Names(cfg.TopicPrefix), Group: cfg.Group + ".processor", From: math.MinInt64, To: math.MaxInt64}
	if from := time.Time(f.from); !from.IsZero() {
		v.From = from.UnixMilli()
	}
	if to := time.Time(f.to); !to.IsZero() {
		v.To = to.UnixMilli()
	}
	if v.From >= v.To {
		return usagef("--from must be before --to")
	}
	if v.Catalogs, err = f.catalogs(cfg, cmd.ErrOrStderr()); err != nil {
		return err
	}
	client, err := openClient(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	v.Client = client
	show := tallied(cmd.ErrOrStderr(), "records")
	v.Progress = show.at
	report, err := verify.Run(cmd.Context(), v)
	show.clear()
	if errors.Is(err, kerr.GroupIDNotFound) {
		return exit(exitFailure, fmt.Errorf("%w: no processor has run as this group yet, or `group` is another one", err))
	}
	if err != nil {
		return reached(err)
	}
	if f.output == "json" {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(report)
	} else {
		err = printReport(cmd.OutOrStdout(), report)
	}
	if err != nil {
		return err
	}
	return verdict(report)
}

// catalogs reads the configured folder, if it is there, and those that were named.
func (f *verifyFlags) catalogs(cfg config.Config, screen io.Writer) ([]*campaign.Catalog, error) {
	dirs := f.campaigns
	if _, err := os.Stat(cfg.Campaigns); err == nil && cfg.Campaigns != config.CampaignsTopic {
		dirs = append([]string{cfg.Campaigns}, dirs...)
	}
	if len(dirs) == 0 {
		return nil, exit(exitInvalid, fmt.Errorf("campaigns: there is no folder %s; name one with --campaigns", cfg.Campaigns))
	}
	var catalogs []*campaign.Catalog
	for _, dir := range dirs {
		all, err := loadCampaigns(dir, screen)
		if err != nil {
			return nil, err
		}
		catalogs = append(catalogs, campaign.NewCatalog(all))
	}
	return catalogs, nil
}

// verdict is the exit code of a report.
func verdict(r *verify.Report) error {
	switch {
	case !r.OK():
		return exit(exitFailure, nil)
	case r.Equal == 0 && len(r.Unverifiable)+r.MoreDoubt > 0:
		return exit(exitFailure, errors.New("nothing could be verified"))
	}
	return nil
}

// printReport prints findings first, then what could not be told, then the sums.
func printReport(w io.Writer, r *verify.Report) error {
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, d := range r.Differences {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", strings.ToUpper(string(d.Kind)), stamp(d.At), clean(d.Campaign), clean(d.User), clean(d.FireID), sentence(&d))
	}
	if r.More > 0 {
		fmt.Fprintf(table, "and %d more\n", r.More)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	doubts := map[string]int{}
	for _, d := range r.Unverifiable {
		doubts[fmt.Sprintf("partition %d: %s", d.Partition, d.Why)]++
	}
	for _, n := range r.Notes {
		text := fmt.Sprintf("partition %d: %s", n.Partition, n.Text)
		fmt.Fprintf(w, "not known: %s%s%s\n", text, lasting(n), many(doubts[text]))
		delete(doubts, text)
	}
	for _, text := range slices.Sorted(maps.Keys(doubts)) {
		fmt.Fprintf(w, "not known: %s%s\n", text, many(doubts[text]))
	}
	unknown := len(r.Unverifiable) + r.MoreDoubt
	equal := "fires are as they must be"
	if r.Equal == 1 {
		equal = "fire is as it must be"
	}
	_, err := fmt.Fprintf(w, "%d %s, %d differences, %d unverifiable%s\n", r.Equal, equal, len(r.Differences)+r.More, unknown, besides(r))
	return err
}

// sentence says what is wrong with a fire, and where it stands.
func sentence(d *verify.Difference) string {
	by := fmt.Sprintf("%s/%d@%d", clean(d.Source.Topic), d.Source.Partition, d.Source.Offset)
	at := fmt.Sprintf("%s/%d@%d", d.Topic, d.Partition, d.Offset)
	switch d.Kind {
	case verify.Missing:
		return fmt.Sprintf("decided at %s, not on %s/%d", by, d.Topic, d.Partition)
	case verify.Extra:
		return fmt.Sprintf("%s: nothing decides it; it names %s as its source", at, by)
	case verify.Duplicated:
		return at + ": it stands there already"
	default:
		return fmt.Sprintf("%s: differs in %s; decided at %s", at, strings.Join(d.Fields, ", "), by)
	}
}

// lasting says when a note holds, on the clock of its partition.
func lasting(n verify.Note) string {
	text := ""
	if !n.From.IsZero() {
		text += ", from " + stamp(n.From)
	}
	if !n.To.IsZero() {
		text += ", to " + stamp(n.To)
	}
	return text
}

func many(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return " (1 difference is put down to it)"
	}
	return fmt.Sprintf(" (%d differences are put down to it)", n)
}

// besides says what else stands on the topics.
func besides(r *verify.Report) (text string) {
	for _, part := range []struct {
		n    int
		what string
	}{
		{r.Foreign, "of campaigns that never ran here"},
		{r.Apart, "of a backfill, or sent again"},
		{r.Unreadable, "that are no deliveries"},
	} {
		if part.n > 0 {
			text += fmt.Sprintf("; besides %d %s", part.n, part.what)
		}
	}
	return text
}
