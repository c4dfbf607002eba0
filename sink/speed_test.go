package sink_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/config/endpoints"
	"vigil/sink"
	"vigil/sink/egress"
)

// instant answers everything at once.
type instant struct{}

// RoundTrip implements http.RoundTripper.
func (instant) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody}, nil
}

// BenchmarkSink is what a delivery costs besides HTTP, with the broker in the same process.
func BenchmarkSink(b *testing.B) {
	bench := newBench(b, nil)
	done := make(chan struct{})
	left := b.N
	cfg := sink.Config{
		Client: bench.opts, Topics: topics, Group: "speed", Policy: egress.Policy{RoundTripper: instant{}},
		Endpoints: []endpoints.Endpoint{{Name: "shop", URL: "https://shop.example.com/hooks", Retries: 2}},
	}
	for i := range b.N {
		bench.client.Produce(b.Context(), &kgo.Record{Topic: topics.Webhooks, Partition: int32(i % 2), Value: fire(fmt.Sprint("f", i)).Encode()}, nil)
	}
	if err := bench.client.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.ResetTimer()
	s, err := sink.New(cfg, sink.Deps{Log: zerolog.Nop()})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	watch, err := kgo.NewClient(append(bench.opts, kgo.ConsumeTopics(topics.Attempts))...)
	if err != nil {
		b.Fatal(err)
	}
	defer watch.Close()
	go func() {
		defer close(done)
		for left > 0 {
			fetches := watch.PollFetches(ctx)
			left -= fetches.NumRecords()
			if ctx.Err() != nil {
				return
			}
		}
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		b.Errorf("%d deliveries left", left)
	}
	cancel()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}
