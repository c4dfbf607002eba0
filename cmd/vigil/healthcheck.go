package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// healthcheckCommand asks whether a service is ready; an image that holds nothing but vigil needs it.
func healthcheckCommand() *cobra.Command {
	var s settings
	var target string
	var within span = span(2 * time.Second)
	cmd := &cobra.Command{
		Use:    "healthcheck",
		Short:  "Exit with 0 if a service is ready: /readyz of the admin listener, or a URL",
		Hidden: true,
		Example: example(`
			vigil healthcheck
			vigil healthcheck --url tcp://127.0.0.1:8080`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if target == "" {
				loaded, err := s.load()
				if err != nil {
					return err
				}
				if loaded.Admin.Listen == "" {
					return exit(exitInvalid, errors.New("admin.listen is empty: there is no /readyz; set it, or ask another address with --url"))
				}
				target = "http://" + loaded.Admin.Listen + "/readyz"
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Duration(within))
			defer cancel()
			return ask(ctx, target)
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&target, "url", "", "http://HOST:PORT/PATH, or tcp://HOST:PORT, which only has to accept (default: /readyz)")
	cmd.Flags().Var(&within, "within", "time to answer")
	return cmd
}

func ask(ctx context.Context, target string) error {
	u, err := url.Parse(target)
	switch {
	case err == nil && u.Scheme == "tcp":
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
		if err != nil {
			return unreachable(err)
		}
		return conn.Close()
	case err != nil || u.Scheme != "http" && u.Scheme != "https":
		return usagef("--url is http://, https:// or tcp://, not %q", target)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return usagef("--url: %w", err)
	}
	answer, err := (&http.Client{Transport: &http.Transport{}}).Do(req) // without HTTP_PROXY: a container asks itself, under 0.0.0.0
	if err != nil {
		return unreachable(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(answer.Body, 4<<10))
	if answer.StatusCode != http.StatusOK {
		return exit(exitFailure, fmt.Errorf("%s answers %d: %s", target, answer.StatusCode, strings.TrimSpace(string(text))))
	}
	return nil
}
