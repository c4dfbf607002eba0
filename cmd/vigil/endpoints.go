package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/config"
	"vigil/config/endpoints"
	"vigil/kafka"
	"vigil/sink/egress"
	"vigil/sink/standing"
	"vigil/webhook"
)

func endpointsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "endpoints",
		Short: "Look at endpoints, pause and resume them, send one a test",
		Example: example(`
			vigil endpoints list
			vigil endpoints pause crm --note "maintenance until 14:00"
			vigil endpoints resume crm
			vigil endpoints test crm`),
		Args: noCommand,
		RunE: group,
	}
	cmd.AddCommand(endpointsListCommand(), endpointsPauseCommand(), endpointsResumeCommand(), endpointsTestCommand())
	return cmd
}

// endpointLine is one endpoint of the list.
type endpointLine struct {
	Endpoint string     `json:"endpoint"`
	Host     string     `json:"host,omitempty"` // scheme://host; empty where no file has the endpoint
	State    string     `json:"state"`          // active, failing or paused
	Reason   string     `json:"reason,omitempty"`
	Note     string     `json:"note,omitempty"`
	Since    *time.Time `json:"since,omitempty"`
}

func endpointsListCommand() *cobra.Command {
	var s settings
	var output string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the endpoints of the files and what stands against them",
		Long: `Lists the endpoints of the files, and every other one that is paused or does nothing but fail. State is active, failing (for
5 min or more; since when is told) or paused (its deliveries are parked until they expire). -o json is one object a line.`,
		Example: example("vigil endpoints list\nvigil endpoints list -o json | jq 'select(.state!=\"active\")'"),
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := s.outside()
			if err != nil {
				return err
			}
			list, err := loadEndpoints(cfg.Endpoints)
			if err != nil {
				return err
			}
			client, err := openClient(cmd.Context(), cfg)
			if err != nil {
				return err
			}
			defer client.Close()
			marks, err := standing.Read(cmd.Context(), client.Opts(), kafka.Names(cfg.TopicPrefix).Endpoints)
			if err != nil {
				return reached(err)
			}
			return printEndpoints(cmd.OutOrStdout(), endpointLines(list, marks), output)
		},
	}
	s.flags(cmd)
	outputFlag(cmd, &output, "table")
	return cmd
}

func endpointLines(list []endpoints.Endpoint, marks map[string]standing.Mark) []endpointLine {
	var lines []endpointLine
	for _, e := range list {
		m, ok := marks[e.Name]
		delete(marks, e.Name)
		line := endpointLine{Endpoint: e.Name, Host: egress.Key(&webhook.Delivery{URL: e.URL}), State: "active"}
		if ok && m.Stands(egress.Fingerprint(e.URL)) {
			line.marked(m)
		}
		lines = append(lines, line)
	}
	for _, name := range slices.Sorted(maps.Keys(marks)) {
		line := endpointLine{Endpoint: name}
		line.marked(marks[name])
		lines = append(lines, line)
	}
	return lines
}

func (l *endpointLine) marked(m standing.Mark) {
	l.State, l.Reason, l.Note, l.Since = string(m.State), m.Reason, m.Note, &m.Since
}

func printEndpoints(w io.Writer, lines []endpointLine, output string) error {
	if output == "json" {
		for _, l := range lines {
			if err := json.NewEncoder(w).Encode(l); err != nil {
				return err
			}
		}
		return nil
	}
	table := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "ENDPOINT\tHOST\tSTATE\tSINCE\tREASON\tNOTE")
	for _, l := range lines {
		since := ""
		if l.Since != nil {
			since = stamp(*l.Since)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", clean(l.Endpoint), clean(l.Host), l.State, since, clean(l.Reason), clean(l.Note))
	}
	return table.Flush()
}

func endpointsPauseCommand() *cobra.Command {
	var s settings
	var note string
	cmd := &cobra.Command{
		Use:   "pause NAME",
		Short: "Park the deliveries of an endpoint until it is resumed or they expire",
		Long: `Tells every sink to send nothing more to an endpoint: its deliveries are parked until it is resumed, or until they expire. NAME
is that of an endpoints file, or scheme://host of the URLs in campaigns. What is in flight ends as it ends.`,
		Example: example(`
			vigil endpoints pause crm --note "maintenance until 14:00"
			vigil endpoints pause https://hooks.example.com`),
		Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			now := time.Now()
			return s.changeMark(cmd, args[0], "paused", func(ctx context.Context, client *kgo.Client, topic, name string) error {
				return standing.Write(ctx, client, topic, standing.Mark{
					Endpoint: name, State: standing.Paused, Reason: standing.Operator, Note: note, Since: now, At: now,
				})
			})
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&note, "note", "", "why, for those who look at the list")
	return cmd
}

func endpointsResumeCommand() *cobra.Command {
	var s settings
	cmd := &cobra.Command{
		Use:   "resume NAME",
		Short: "Send to an endpoint again, whoever paused it",
		Long: `Takes a pause back, whoever made it: an operator, a 410, or a day of failures. What is parked goes out within 5 min, no faster
than new deliveries normally come.`,
		Example: example("vigil endpoints resume crm"),
		Args:    exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return s.changeMark(cmd, args[0], "resumed", standing.Clear)
		},
	}
	s.flags(cmd)
	return cmd
}

// changeMark changes the mark of an endpoint that a file has, or had when it got its mark, or of a host.
func (s *settings) changeMark(cmd *cobra.Command, name, done string, change func(context.Context, *kgo.Client, string, string) error) error {
	cfg, err := s.outside()
	if err != nil {
		return err
	}
	name, unknown := markedName(cfg, name)
	if unknown != nil && !errors.Is(unknown, errNoEndpoint) {
		return unknown
	}
	client, err := openClient(cmd.Context(), cfg)
	if err != nil {
		return err
	}
	defer client.Close()
	topic := kafka.Names(cfg.TopicPrefix).Endpoints
	if unknown != nil {
		marks, err := standing.Read(cmd.Context(), client.Opts(), topic)
		if err != nil {
			return reached(err)
		}
		if _, ok := marks[name]; !ok {
			return unknown
		}
	}
	if err := change(cmd.Context(), client, topic, name); err != nil {
		return reached(fmt.Errorf("write the mark of endpoint %s: %w", name, err))
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "endpoint %s: %s\n", name, done)
	return err
}

// markedName is the lane that a name on the command line means.
func markedName(cfg config.Config, name string) (string, error) {
	if strings.Contains(name, "://") {
		if u, err := url.Parse(name); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
			return "", usagef("%q is neither the name of an endpoint nor http://HOST or https://HOST", name)
		}
		return egress.Key(&webhook.Delivery{URL: name}), nil
	}
	_, err := namedEndpoint(cfg, name)
	return name, err
}

var errNoEndpoint = errors.New("no such endpoint")

func namedEndpoint(cfg config.Config, name string) (endpoints.Endpoint, error) {
	list, err := loadEndpoints(cfg.Endpoints)
	if err != nil {
		return endpoints.Endpoint{}, err
	}
	i := slices.IndexFunc(list, func(e endpoints.Endpoint) bool { return e.Name == name })
	if i < 0 {
		return endpoints.Endpoint{}, exit(exitFailure, fmt.Errorf("%w: %q is in no file of %s", errNoEndpoint, name, cfg.Endpoints))
	}
	return list[i], nil
}
