package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"time"

	"github.com/spf13/cobra"

	"vigil/webhook"
)

func endpointsTestCommand() *cobra.Command {
	var s settings
	var output, path, body string
	cmd := &cobra.Command{
		Use:   "test NAME",
		Short: "Send one marked request to an endpoint and print the whole exchange",
		Long: `Makes one attempt from this machine as the sink would, through the guard, signed, with the endpoint's auth and timeout, and prints
what was said on both sides; headers that may hold secrets are masked. The request has the header X-Vigil-Test and a
webhook-id that begins with test-. It needs no broker, and is tried once. Exit code 0 if the answer is a 2xx.`,
		Example: example(`
			vigil endpoints test crm
			vigil endpoints test crm --path /carts --body cart.json -o json`),
		Args: exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := s.outside()
			if err != nil {
				return err
			}
			e, err := namedEndpoint(cfg, args[0])
			if err != nil {
				return err
			}
			d, err := testDelivery(e.Name, path, body)
			if err != nil {
				return err
			}
			x, err := rehearse(cmd.Context(), egressPolicy(cfg.Sink), e, d)
			if err != nil {
				return exit(exitInvalid, err)
			}
			if cmd.Context().Err() != nil { // the endpoint is not to blame
				return context.Cause(cmd.Context())
			}
			if err := printExchange(cmd.OutOrStdout(), x, output); err != nil {
				return err
			}
			if x.Outcome != "success" {
				return exit(exitFailure, nil)
			}
			return nil
		},
	}
	s.flags(cmd)
	cmd.Flags().StringVar(&path, "path", "", "added to the endpoint's URL, as a campaign's path is")
	cmd.Flags().StringVar(&body, "body", "", "a file with the JSON to send (default: a small object that says what it is)")
	outputFlag(cmd, &output, "text")
	return cmd
}

// testDelivery is a delivery that says of itself that it is a test.
func testDelivery(name, path, file string) (*webhook.Delivery, error) {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	now := time.Now().UTC()
	d := &webhook.Delivery{
		V: webhook.Version, FireID: "test-" + hex.EncodeToString(random[:]), Endpoint: name, Method: http.MethodPost, Path: path,
		Headers: map[string]string{"X-Vigil-Test": "true"}, ContentType: "application/json", Attempt: 1, At: now, DecidedAt: now,
	}
	if file != "" {
		var err error
		d.Body, err = os.ReadFile(file)
		return d, err
	}
	var err error
	d.Body, err = json.Marshal(map[string]any{"type": "vigil.test", "endpoint": name, "at": stamp(now)})
	return d, err
}
