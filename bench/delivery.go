package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"vigil/config/endpoints"
	"vigil/kafka"
	"vigil/sink"
	"vigil/sink/egress"
	"vigil/trigger"
	"vigil/webhook"
)

const (
	inFlight     = 256 // the default of sink.max_in_flight
	secretName   = "env:BENCH_SECRET"
	secret       = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYqrTwjU"
	endpointName = "ops"
)

// bodyAt is the body of the i-th webhook, such as the campaigns of the benchmark send.
func bodyAt(i int) []byte {
	return fmt.Appendf(nil, `{"item":"i%04d","total":%d.95,"user":"u%07d"}`, i%10_000, 100+i%900, i%userCount)
}

// preloadFires writes n fires into the topic that the sink reads.
func (b *broker) preloadFires(ctx context.Context, prefix string, n int) error {
	cl, err := kgo.NewClient(append(options(b.address), kgo.DefaultProduceTopic(kafka.Names(prefix).Webhooks))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	var failed firstError
	now := time.Now().UTC().Truncate(time.Millisecond)
	for i := range n {
		user := string(appendUser(nil, uint64(i%userCount)))
		d := &webhook.Delivery{
			V: 1, FireID: trigger.FireID("c00000", "", user, "", strconv.Itoa(i), "inaction"), Campaign: "c00000", Revision: "bench",
			User: user, At: now, DecidedAt: now, Endpoint: endpointName, Method: http.MethodPost, Path: "/carts", Body: bodyAt(i),
			ContentType: "application/json", Attempt: 1, Source: webhook.Source{Topic: "events", Offset: int64(i)},
		}
		if err := d.Validate(); err != nil {
			return err
		}
		r := &kgo.Record{Key: []byte(user), Value: d.Encode()}
		for _, h := range d.RecordHeaders("") {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
		}
		cl.Produce(ctx, r, func(_ *kgo.Record, err error) { failed.note(err) })
	}
	return errors.Join(cl.Flush(ctx), failed.get())
}

// deliver measures the sink: from its start until all is delivered and it has stopped in good order.
func deliver(ctx context.Context, p part) (*figures, error) {
	registry, produced := prometheus.NewRegistry(), &writes{}
	endpoint := endpoints.Endpoint{
		Name: endpointName, URL: p.Receiver, Secrets: []string{secretName}, Timeout: endpoints.DefaultTimeout,
		Retries: endpoints.DefaultRetries, RetryDelays: endpoints.DefaultRetryDelays(), AllowHTTP: true, AllowPrivate: true, MaxInFlight: inFlight,
	}
	s, err := sink.New(sink.Config{
		Client: append(options(p.Brokers), kgo.WithHooks(produced)), Topics: sink.TopicsOf(p.Prefix), Group: p.Prefix + ".sink",
		Policy: egress.Policy{
			Version: "bench", MaxInFlight: inFlight,
			LookupEnv: func(string) (string, bool) { return secret, true },
		},
		Endpoints: []endpoints.Endpoint{endpoint},
	}, sink.Deps{Log: zerolog.New(os.Stderr).Level(zerolog.WarnLevel), Registry: registry})
	if err != nil {
		return nil, err
	}
	f := &figures{Name: "sink", Units: p.Deliver}
	watch := started()
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(running) }()
	if err := reached(ctx, registry, "vigil_sink_outcomes_total", p.Deliver, ended); err != nil {
		return nil, err
	}
	f.Committed, f.Wall = watch.cpuTime(), watch.wallTime()
	stop()
	if err := <-ended; err != nil {
		return nil, err
	}
	f.CPU = watch.cpuTime()
	f.memory()
	f.Produced = produced.taken()
	return f, ctx.Err()
}

// bareClient measures what any program pays that signs the same bodies and sends them with net/http.
func bareClient(ctx context.Context, p part) (*figures, error) {
	signer, err := webhook.NewSigner(secret)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: endpoints.DefaultTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: inFlight}}
	f := &figures{Name: "client", Units: p.Deliver}
	watch := started()
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range inFlight {
		group.Go(func() error {
			for i := next.Add(1) - 1; i < int64(p.Deliver); i = next.Add(1) - 1 {
				if err := post(ctx, client, signer, p.Receiver, int(i)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	f.CPU, f.Wall = watch.cpuTime(), watch.wallTime()
	f.Committed = f.CPU
	f.memory()
	return f, nil
}

func post(ctx context.Context, client *http.Client, signer *webhook.Signer, url string, i int) error {
	body := bodyAt(i)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/carts", bytes.NewReader(body))
	if err != nil {
		return err
	}
	now := time.Now().Unix()
	id := trigger.FireID("c00000", "", "", "", strconv.Itoa(i), "")
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(webhook.IDHeader, id)
	req.Header.Set(webhook.TimestampHeader, strconv.FormatInt(now, 10))
	req.Header.Set(webhook.SignatureHeader, signer.Sign(id, now, body))
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil {
		return err
	}
	if res.StatusCode != http.StatusNoContent {
		return fmt.Errorf("the receiver answered %s", res.Status)
	}
	return nil
}

// receiver takes every webhook and says nothing; it runs beside the broker until it is ended. It prints its URL first.
func receiver(ctx context.Context, _ part) (*figures, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // a body cut short is the sender's trouble
		w.WriteHeader(http.StatusNoContent)
	})}
	fmt.Fprintf(os.Stdout, "http://%s\n", l.Addr())
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return nil, err
	}
	return nil, nil
}
