package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"vigil/campaign"
	"vigil/replay"
	"vigil/trigger"
)

// simulateFlags are the flags of `vigil simulate` (semantics 5).
type simulateFlags struct {
	campaigns, events, until, decisions, format string
	lateness, age, delay                        span
}

func simulateCommand() *cobra.Command {
	f := &simulateFlags{decisions: "all", format: "ndjson", lateness: span(2 * time.Second), age: span(2 * time.Hour), delay: span(24 * time.Hour)}
	cmd := &cobra.Command{
		Use:   "simulate --campaigns DIR --events FILE|-",
		Short: "Run a file of events through campaigns and print every decision",
		Long: `Runs the very engine of the processor over a file: one JSON event a line,
{"user","type","id","time","received","properties"}, in arrival order. Prints one JSON decision a line, in the order decided.
Nothing is sent. The clock is that of the data: after the last line it goes to --until, if given.`,
		Example: example(`
			vigil simulate --campaigns ./campaigns --events day.ndjson --until drain
			zcat day.ndjson.gz | vigil simulate --campaigns ./campaigns --events - --decisions fires
			vigil simulate --campaigns ./campaigns --events day.ndjson --until 2026-11-02T00:00:00Z`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.campaigns, "campaigns", "", "folder of campaigns (needed)")
	flags.StringVar(&f.events, "events", "", "NDJSON file, - for standard input (needed)")
	flags.StringVar(&f.until, "until", "", "where the clock goes after the last line: an RFC 3339 time, or drain: until no timer is pending")
	flags.Var(&choice{&f.decisions, []string{"all", "fires"}}, "decisions", "which decisions to print: all or fires")
	flags.Var(&f.lateness, "allowed-lateness", "how long after its deadline a timer waits for late events")
	flags.Var(&f.age, "max-event-age", "older events start nothing")
	flags.Var(&f.delay, "max-fire-delay", "later fires are past due")
	flags.Var(&choice{&f.format, []string{"ndjson"}}, "format", "of the output: ndjson")
	return cmd
}

func (f *simulateFlags) run(cmd *cobra.Command) error {
	s := replay.Simulation{FiresOnly: f.decisions == "fires", Options: trigger.Options{
		AllowedLateness: f.lateness.millis(), MaxEventAge: f.age.millis(), MaxFireDelay: f.delay.millis(),
	}}
	if err := f.check(&s); err != nil {
		return err
	}
	campaigns, err := loadCampaigns(f.campaigns, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	s.Catalog = campaign.NewCatalog(campaigns)
	in, closeInput, err := openInput(cmd, f.events)
	if err != nil {
		return err
	}
	defer closeInput()
	screen := cmd.ErrOrStderr()
	if terminal(cmd.OutOrStdout()) { // the decisions are on it already
		screen = io.Discard
	}
	seen := watched(in, screen)
	_, err = replay.Simulate(cmd.Context(), s, seen, cmd.OutOrStdout())
	seen.clear()
	var bad *replay.LineError
	if errors.As(err, &bad) {
		return exit(exitFailure, fmt.Errorf("%s: %w", f.events, err))
	}
	return err
}

// check reads the flags that have more than one form.
func (f *simulateFlags) check(s *replay.Simulation) error {
	switch {
	case f.campaigns == "" || f.events == "":
		return usagef("simulate needs --campaigns DIR and --events FILE")
	case f.until == "":
		return nil
	case f.until == "drain":
		s.Drain = true
		return nil
	}
	until, err := parseTime(f.until)
	if err != nil {
		return usagef("--until is an RFC 3339 time or drain, not %q", f.until)
	}
	s.Until = &until
	return nil
}

// loadCampaigns reads a folder; every problem is printed to w, and any error among them ends with exit code 3.
func loadCampaigns(dir string, w io.Writer) ([]*campaign.Campaign, error) {
	campaigns, problems := campaign.Load(dir)
	for _, p := range problems {
		fmt.Fprintln(w, p.String())
	}
	if campaign.Failed(problems) {
		return nil, exit(exitInvalid, fmt.Errorf("the campaigns in %s cannot be used", dir))
	}
	return campaigns, nil
}

// openInput opens a file, or standard input for "-"; a read from that ends when the context does.
func openInput(cmd *cobra.Command, name string) (io.Reader, func(), error) {
	if name == "-" {
		return interruptible(cmd.Context(), cmd.InOrStdin()), func() {}, nil
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, exit(exitFailure, err)
	}
	return file, func() { _ = file.Close() }, nil
}

// parseTime reads RFC 3339 or epoch ms as ms.
func parseTime(text string) (int64, error) {
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		return t.UnixMilli(), nil
	}
	return strconv.ParseInt(text, 10, 64)
}

// interruptible reads r on a goroutine of its own, so that a ^C is obeyed while r, a terminal or a pipe, says nothing.
func interruptible(ctx context.Context, r io.Reader) io.Reader {
	in, out := io.Pipe()
	go func() {
		_, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{r}, make([]byte, 1<<18))
		out.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { out.CloseWithError(context.Cause(ctx)) })
	return in
}
