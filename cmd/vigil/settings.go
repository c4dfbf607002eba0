package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/config"
	"vigil/kafka"
)

const (
	reachWithin   = 5 * time.Second       // for the first answer of a broker
	freshMetadata = 50 * time.Millisecond // age from which a client asks again which topics there are
)

// settings are the flags of every command that needs a configuration: --config and -X.
type settings struct {
	file      string
	overrides []string
}

func (s *settings) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "config", "", "configuration file (default: $VIGIL_CONFIG, else vigil.yaml where there is one)")
	cmd.Flags().StringArrayVarP(&s.overrides, "set", "X", nil, "one setting, `key=value`, such as kafka.brokers=localhost:9092; as often as needed")
}

// load reads the configuration; every mistake is one line of the error.
func (s *settings) load() (config.Loaded, error) {
	flags := map[string]string{}
	for _, o := range s.overrides {
		name, value, ok := strings.Cut(o, "=")
		if !ok {
			return config.Loaded{}, usagef("-X takes key=value, not %q", o)
		}
		flags[strings.TrimSpace(name)] = value
	}
	loaded, err := config.Load(s.file, os.Environ(), flags)
	if err != nil {
		return config.Loaded{}, exit(exitInvalid, err)
	}
	return loaded, nil
}

// outside is the configuration with the embedded broker where every process but `vigil run` finds it.
func (s *settings) outside() (config.Config, error) {
	loaded, err := s.load()
	if err == nil && loaded.Kafka.IsEmbedded() {
		loaded.Kafka.Brokers = []string{embeddedAddr}
	}
	return loaded.Config, err
}

// client makes a client of the configured brokers, and has made sure that they answer.
func (s *settings) client(ctx context.Context, more ...kgo.Opt) (*kgo.Client, config.Config, error) {
	cfg, err := s.outside()
	if err != nil {
		return nil, cfg, err
	}
	client, err := openClient(ctx, cfg, more...)
	return client, cfg, err
}

// openClient makes a client and waits until a broker answers. Of several that are configured the client begins with that one:
// each time it took another, a frozen one would cost it a time-out.
func openClient(ctx context.Context, cfg config.Config, more ...kgo.Opt) (*kgo.Client, error) {
	options, err := kafka.Options(cfg, zerolog.Nop())
	if err != nil {
		return nil, exit(exitInvalid, err)
	}
	options = append(options, kgo.MetadataMinAge(freshMetadata))
	options = append(options, more...)
	client, err := kgo.NewClient(options...)
	if err != nil {
		return nil, exit(exitInvalid, fmt.Errorf("make a Kafka client: %w", err))
	}
	within, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	first, err := reach(within, client)
	if err == nil && len(cfg.Kafka.Brokers) == 1 {
		return client, nil
	}
	client.Close()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil:
		return nil, unreachable(brokersError(cfg, err))
	}
	return kgo.NewClient(append(options, kgo.SeedBrokers(cfg.Kafka.Brokers[first]))...)
}

// reach asks every configured broker whether it is there, and tells which one answered first: one that is frozen, with
// its connections open, must not hide the others.
func reach(ctx context.Context, client *kgo.Client) (first int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	brokers := client.SeedBrokers()
	type answer struct {
		broker int
		err    error
	}
	answers := make(chan answer, len(brokers))
	var asked sync.WaitGroup
	for i, b := range brokers {
		asked.Go(func() {
			_, err := b.Request(ctx, kmsg.NewPtrApiVersionsRequest())
			answers <- answer{i, err}
		})
	}
	defer asked.Wait()
	defer cancel()
	for range brokers {
		a := <-answers
		if a.err == nil {
			return a.broker, nil
		}
		err = a.err
	}
	return 0, err
}

// brokersError says which brokers did not answer, and what to do.
func brokersError(cfg config.Config, err error) error {
	brokers := strings.Join(cfg.Kafka.Brokers, ", ")
	if brokers == embeddedAddr {
		return fmt.Errorf("no Kafka broker answers at %s: start `vigil run` or `vigil broker`, or set kafka.brokers (%w)", brokers, err)
	}
	return fmt.Errorf("no Kafka broker answers at %s: check kafka.brokers and kafka.properties (%w)", brokers, err)
}

func unreachable(err error) error { return exit(exitUnreachable, err) }

// newLog is the log of a daemon: for people on a terminal, else JSON.
func newLog(cfg config.Log, w io.Writer) (zerolog.Logger, error) {
	level, err := zerolog.ParseLevel(cfg.Level)
	if err != nil {
		return zerolog.Nop(), exit(exitInvalid, fmt.Errorf("log.level: %w", err))
	}
	if cfg.Format == "console" || cfg.Format != "json" && terminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: "15:04:05.000", NoColor: !colours(w)}
	}
	log := zerolog.New(w).Level(level).With().Timestamp().Logger()
	stdlog.SetFlags(0)
	stdlog.SetOutput(standardLog{log})
	return log, nil
}

// standardLog takes what the standard library logs by itself, at the level debug: net/http tells there, as often as they
// like, what receivers send out of place.
type standardLog struct{ log zerolog.Logger }

// Write implements io.Writer.
func (s standardLog) Write(line []byte) (int, error) {
	s.log.Debug().Str("text", strings.TrimSpace(string(line))).Msg("the standard library says")
	return len(line), nil
}

// reached gives an error of a broker that stopped answering its exit code. Errors of files say whether they are a time-out
// too, and are none of the network.
func reached(err error) error {
	var network *net.OpError
	if errors.As(err, &network) || errors.Is(err, context.DeadlineExceeded) {
		return unreachable(err)
	}
	return err
}
