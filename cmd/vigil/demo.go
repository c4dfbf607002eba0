package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/config"
	"vigil/demo"
)

const (
	demoLeast      = 10 * time.Second       // less shows no absence
	demoPause      = 700 * time.Millisecond // between two shoppers
	demoPartitions = 2
	demoReady      = 10 * time.Second // for everything to have started
)

func demoCommand() *cobra.Command {
	length := span(20 * time.Second)
	var seed uint64
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work: a shop, its campaigns, signed webhooks; nothing needed",
		Long: `Runs a Kafka broker, the processor and the sink in this process, lets shoppers with names do what shoppers do, and
prints every webhook as it arrives at a receiver that checks signatures, and why it came. Nothing leaves this machine and
nothing is left on it. Exit code 1 if no webhook arrived for a shopper who did not check out.`,
		Example: example(`
			vigil demo
			vigil demo --for 1m --seed 7`),
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if time.Duration(length) < demoLeast {
				return usagef("--for is at least %s: a cart must be left behind for 5 s", demoLeast)
			}
			return runDemo(cmd, time.Duration(length), seed)
		},
	}
	cmd.Flags().Var(&length, "for", "how long")
	cmd.Flags().Uint64Var(&seed, "seed", 1, "which shoppers come, and what they do")
	return cmd
}

// runDemo builds the shop around the real thing and takes all of it down again.
func runDemo(cmd *cobra.Command, length time.Duration, seed uint64) (err error) {
	var cleanup stopInOrder
	defer cleanup.run()
	story := demo.NewStory(cmd.OutOrStdout(), colours(cmd.OutOrStdout()))
	dir, err := os.MkdirTemp("", "vigil-demo-")
	if err != nil {
		return fmt.Errorf("make a folder for the demo: %w", err)
	}
	cleanup.add(func() { _ = os.RemoveAll(dir) })
	addr, stopBroker, err := embeddedBroker{listen: "127.0.0.1:0"}.start()
	if err != nil {
		return err
	}
	cleanup.add(stopBroker)
	url, stopReceiver, err := startReceiver(cmd.Context(), dir, story)
	if err != nil {
		return err
	}
	cleanup.add(stopReceiver)
	cfg, err := demoConfig(dir, addr, url)
	if err != nil {
		return err
	}
	client, err := openClient(cmd.Context(), cfg, kgo.DefaultProduceTopic(cfg.Input.Topics[0]))
	if err != nil {
		return err
	}
	cleanup.add(client.Close)
	if err := createTopics(cmd.Context(), kadm.NewClient(client), cfg, demoPartitions); err != nil {
		return err
	}
	s, err := demoDaemon(cmd, cfg)
	if err != nil {
		return err
	}
	d := &demoRun{story: story, daemon: s, shop: demo.NewShop(seed, demoPause), client: client, length: length}
	return d.run(cmd.Context())
}

// startReceiver serves the shop's endpoint and writes the secret that it shares with the sink.
func startReceiver(ctx context.Context, dir string, story *demo.Story) (url string, stop func(), err error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", nil, fmt.Errorf("make a secret: %w", err)
	}
	secret := "whsec_" + base64.StdEncoding.EncodeToString(raw)
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte(secret), 0o600); err != nil {
		return "", nil, fmt.Errorf("write the secret: %w", err)
	}
	receiver, err := demo.NewReceiver(secret, story.Came)
	if err != nil {
		return "", nil, err
	}
	url, serve, err := listenHTTP("127.0.0.1:0", receiver)
	if err != nil {
		return "", nil, err
	}
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	served := make(chan struct{})
	go func() { defer close(served); _ = serve(serving) }()
	return url, func() { end(); <-served }, nil
}

// demoConfig writes the files of the shop and gives the configuration that reads them: the defaults, but for windows
// of seconds. Neither a file nor the environment has a say in it.
func demoConfig(dir, addr, url string) (config.Config, error) {
	if err := os.CopyFS(dir, demo.Campaigns); err != nil {
		return config.Config{}, fmt.Errorf("write the campaigns: %w", err)
	}
	endpoint := fmt.Sprintf("name: shop\nurl: %s\nsecrets: [%q]\nallow_http: true\nallow_private: true\n", url, "file:"+filepath.Join(dir, "secret"))
	endpoints := filepath.Join(dir, "endpoints")
	if err := errors.Join(os.Mkdir(endpoints, 0o700), os.WriteFile(filepath.Join(endpoints, "shop.yaml"), []byte(endpoint), 0o600)); err != nil {
		return config.Config{}, fmt.Errorf("write the endpoint: %w", err)
	}
	cfg := config.Default()
	cfg.Kafka.Brokers = []string{addr}
	cfg.Input.Start = "earliest"
	cfg.Instance = "demo"
	cfg.DataDir, cfg.Campaigns, cfg.Endpoints = filepath.Join(dir, "state"), filepath.Join(dir, "campaigns"), endpoints
	cfg.Processor.AllowedLateness, cfg.Processor.ClockGrace = 300*time.Millisecond, 200*time.Millisecond
	cfg.Processor.CommitInterval = 50 * time.Millisecond
	cfg.Admin.Listen, cfg.Log.Level = "", "error"
	return cfg, nil
}

// demoDaemon is what `vigil run` runs.
func demoDaemon(cmd *cobra.Command, cfg config.Config) (*daemon, error) {
	var f daemonFlags
	s, err := f.newDaemon(cmd, cfg)
	if err != nil {
		return nil, err
	}
	_, err = s.addBoth()
	return s, err
}

// demoRun is one run of the demo, all rooms built.
type demoRun struct {
	story  *demo.Story
	daemon *daemon
	shop   *demo.Shop
	client *kgo.Client
	length time.Duration

	mu      sync.Mutex // guards what follows
	watcher *demo.Watcher
	events  int
}

func (d *demoRun) run(ctx context.Context) error {
	d.watcher = demo.NewWatcher()
	d.open()
	serving, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	go func() { served <- d.daemon.serve(serving) }()
	if err := d.daemon.ready(ctx, demoReady); err != nil {
		stop()
		return errors.Join(err, <-served)
	}
	failed := d.shopping(ctx)
	stop()
	if err := errors.Join(failed, <-served); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	counts, err := d.daemon.counts()
	if err != nil {
		return err
	}
	counts.Events = d.events
	wait := d.daemon.cfg.Processor
	counts.Note = fmt.Sprintf(", which waits %s for late events", wait.AllowedLateness+wait.ClockGrace)
	d.story.Summary(counts)
	if d.story.Got("abandoned-cart") == 0 {
		return exit(exitFailure, errors.New("no webhook arrived for a cart that was left behind"))
	}
	d.close()
	return nil
}

// shopping lets shoppers come until shortly before the end, and tells now and then for whom no webhook came.
func (d *demoRun) shopping(ctx context.Context) error {
	all, cancel := context.WithTimeout(ctx, d.length)
	defer cancel()
	open, closeShop := context.WithTimeout(ctx, d.length-time.Second)
	defer closeShop()
	shopped := make(chan error, 1)
	go func() {
		send := sendEvent(all, d.client)
		shopped <- d.shop.Run(open, func(ev demo.Event) error {
			d.mu.Lock()
			d.watcher.See(ev)
			d.events++
			d.mu.Unlock()
			return send(ev)
		})
	}()
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-all.Done():
			return <-shopped
		case now := <-tick.C:
			d.mu.Lock()
			d.story.Quiet(d.watcher, now)
			d.mu.Unlock()
		}
	}
}

// open says what will be seen.
func (d *demoRun) open() {
	d.story.Say("A shop on vigil: a Kafka broker, the processor, the sink and a receiver in this process, for %s.", d.length)
	campaigns, _ := campaign.Load(d.daemon.cfg.Campaigns)
	for _, c := range campaigns {
		d.story.Say("  %-20s %-41s %s", c.ID, c.Name, c.Trigger.Type)
	}
	d.story.Say("Each line with ✓ is a webhook that arrived and whose signature is right.\n")
}

// close says what to do next.
func (d *demoRun) close() {
	d.story.Say(`
Try your own:
  write campaigns/mine.yaml                  the four above are in demo/campaigns
  vigil lint campaigns                       every mistake at once
  vigil simulate --campaigns campaigns --events day.ndjson --until drain
  vigil run -X kafka.brokers=HOST:9092       your Kafka, your endpoints`)
}
