package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"vigil/inspect"
	"vigil/kafka"
	"vigil/webhook"
)

const shownAtMost = 1000 // lines of a list, unless --limit says otherwise

func deliveriesCommand() *cobra.Command {
	var s settings
	var want inspect.Attempts
	var from since
	var output string
	cmd := &cobra.Command{
		Use:   "deliveries",
		Short: "Tell what became of webhooks: every attempt and outcome",
		Long: `Reads the delivery log, PREFIX.attempts, and prints what matches by time: one line for every attempt, and for every outcome
that needed none. With --follow it stays and prints what comes. -o json is one object a line.`,
		Example: example(`
			vigil deliveries --user ada --since 2h
			vigil deliveries --fire-id 5f1c6f1b2d8e4a90b1c2d3e4f5a6b7c8
			vigil deliveries --campaign abandoned-cart --follow
			vigil deliveries --since 2026-11-25T09:00:00Z -o json | jq 'select(.outcome=="dead")'`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			want.Since = time.Time(from)
			client, cfg, err := s.client(cmd.Context())
			if err != nil {
				return err
			}
			defer client.Close()
			out := newAttemptWriter(cmd.OutOrStdout(), output)
			log, err := inspect.NewReader(client).Attempts(cmd.Context(), kafka.Names(cfg.TopicPrefix), want, out.write)
			if err != nil {
				return reached(err)
			}
			out.end(cmd.ErrOrStderr(), log)
			return nil
		},
	}
	s.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&want.User, "user", "", "of this user only")
	flags.StringVar(&want.Campaign, "campaign", "", "of this campaign only")
	flags.StringVar(&want.FireID, "fire-id", "", "of this fire only")
	flags.Var(&from, "since", "from this time on: RFC 3339, or how long ago, such as 2h")
	flags.BoolVar(&want.Follow, "follow", false, "stay and print what comes")
	limitFlag(cmd, &want.Limit, "of what is there, the newest so many; 0 is all")
	outputFlag(cmd, &output, "table")
	return cmd
}

// limitFlag adds --limit, which is no negative number.
func limitFlag(cmd *cobra.Command, limit *int, usage string) {
	*limit = shownAtMost
	cmd.Flags().Var((*atMost)(limit), "limit", usage)
}

// atMost is a flag for a number of lines.
type atMost int

// Set reads a number.
func (a *atMost) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return fmt.Errorf("%q is no number from 0 on", text)
	}
	*a = atMost(n)
	return nil
}

// String is the number.
func (a *atMost) String() string { return strconv.Itoa(int(*a)) }

// Type names the kind of value in the help.
func (a *atMost) Type() string { return "int" }

// attemptWriter prints attempts; its columns have a fixed width, for they come one by one.
type attemptWriter struct {
	w      io.Writer
	json   bool
	headed bool
}

func newAttemptWriter(w io.Writer, output string) *attemptWriter {
	return &attemptWriter{w: w, json: output == "json"}
}

const attemptLine = "%-24s  %-9s  %2s  %4s  %7s  %-20s  %-16s  %-12s  %-32s  %s\n"

func (a *attemptWriter) write(t *webhook.Attempt) error {
	if a.json {
		return json.NewEncoder(a.w).Encode(t)
	}
	if !a.headed {
		a.headed = true
		fmt.Fprintf(a.w, attemptLine, "AT", "OUTCOME", "N", "HTTP", "TOOK", "CAMPAIGN", "ENDPOINT", "USER", "FIRE_ID", "REASON")
	}
	status, took := "", ""
	if t.Status != 0 {
		status = strconv.Itoa(t.Status)
	}
	if t.LatencyMS != 0 || t.Status != 0 {
		took = strconv.FormatInt(t.LatencyMS, 10) + " ms"
	}
	text := t.Reason
	if t.NextAt != nil {
		text += ", again at " + stamp(*t.NextAt)
	}
	if t.Origin != webhook.OriginAuto {
		text += " (" + t.Origin + ")"
	}
	_, err := fmt.Fprintf(a.w, attemptLine, stamp(t.At), t.Outcome, strconv.Itoa(t.Attempt), status, took, clean(t.Campaign),
		clean(t.Endpoint), clean(t.User), clean(t.FireID), clean(text))
	return err
}

// end says on the screen what the list does not show.
func (a *attemptWriter) end(screen io.Writer, log inspect.Log) {
	if log.Shown == 0 && !a.json {
		fmt.Fprintln(screen, "nothing matches")
	}
	if log.Hidden > 0 {
		fmt.Fprintf(screen, "%d older ones are not shown; --limit 0 shows all\n", log.Hidden)
	}
	if log.Unreadable > 0 {
		fmt.Fprintf(screen, "%d records of the log cannot be read\n", log.Unreadable)
	}
}

// stamp is a time in a table.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// clean is a text from outside on one line of a terminal: what cannot be printed is escaped.
func clean(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) {
		return text
	}
	return strconv.QuoteToGraphic(text)
}
