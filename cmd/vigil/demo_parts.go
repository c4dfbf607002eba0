package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/demo"
)

// demoReceiverCommand is the receiver of the demo alone, for a compose file.
func demoReceiverCommand() *cobra.Command {
	var listen, secret string
	cmd := &cobra.Command{
		Use:     "demo-receiver",
		Short:   "Receive webhooks, check their signatures and say why they came",
		Example: example("vigil demo-receiver --listen :8080 --secret whsec_..."),
		Hidden:  true,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			story := demo.NewStory(cmd.OutOrStdout(), colours(cmd.OutOrStdout()))
			if secret == "" {
				secret = os.Getenv("SHOP_SECRET")
			}
			receiver, err := demo.NewReceiver(secret, story.Came)
			if err != nil {
				return usagef("--secret: %w", err)
			}
			url, serve, err := listenHTTP(listen, receiver)
			if err != nil {
				return err
			}
			story.Say("Receiving webhooks on %s", url)
			return obeyed(serve(cmd.Context()))
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:8080", "HOST:PORT to listen on")
	cmd.Flags().StringVar(&secret, "secret", "", "whsec_ secret that webhooks are signed with (default: $SHOP_SECRET)")
	return cmd
}

// demoGeneratorCommand is the shoppers of the demo alone, for a compose file.
func demoGeneratorCommand() *cobra.Command {
	var s settings
	var topic string
	var brokers []string
	var seed uint64
	pause := span(700 * time.Millisecond)
	cmd := &cobra.Command{
		Use:     "demo-generator",
		Short:   "Let the shoppers of the demo shop, until told to end",
		Example: example("vigil demo-generator --brokers kafka:9092 --topic events"),
		Hidden:  true,
		Args:    exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if len(brokers) > 0 {
				s.overrides = append(s.overrides, "kafka.brokers="+strings.Join(brokers, ","))
			}
			client, _, err := s.client(cmd.Context(), kgo.DefaultProduceTopic(topic))
			if err != nil {
				return err
			}
			defer client.Close()
			fmt.Fprintf(cmd.ErrOrStderr(), "Shoppers come every %s; their events go to %s\n", pause.String(), topic)
			return obeyed(demo.NewShop(seed, time.Duration(pause)).Run(cmd.Context(), sendEvent(cmd.Context(), client)))
		},
	}
	s.flags(cmd)
	cmd.Flags().StringSliceVar(&brokers, "brokers", nil, "brokers, as -X kafka.brokers=...")
	cmd.Flags().StringVar(&topic, "topic", "events", "topic to write to")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "which shoppers come, and what they do")
	cmd.Flags().Var(&pause, "pause", "time between two shoppers")
	return cmd
}

// sendEvent writes the events of a shop, one by one.
func sendEvent(ctx context.Context, client *kgo.Client) func(demo.Event) error {
	return func(ev demo.Event) error {
		doc, err := ev.JSON()
		if err != nil {
			return err
		}
		return client.ProduceSync(ctx, &kgo.Record{Key: []byte(ev.User), Value: doc}).FirstErr()
	}
}

// listenHTTP binds at once and returns the URL, and a function that serves until the context ends.
func listenHTTP(listen string, h http.Handler) (url string, serve func(context.Context) error, err error) {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return "", nil, exit(exitFailure, fmt.Errorf("listen for HTTP: %w", err))
	}
	server := &http.Server{
		Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 32 << 10,
	}
	serve = func(ctx context.Context) error {
		closed := make(chan struct{})
		stop := context.AfterFunc(ctx, func() {
			defer close(closed)
			budget, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			if server.Shutdown(budget) != nil {
				_ = server.Close()
			}
		})
		err := server.Serve(listener)
		if !stop() {
			<-closed
		}
		if errors.Is(err, http.ErrServerClosed) {
			return nil
		}
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return "http://" + listener.Addr().String(), serve, nil
}

// obeyed is nil for an error that only says that the command was told to end.
func obeyed(err error) error {
	if errors.As(err, new(caught)) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}
