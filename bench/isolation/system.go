package isolation

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/config/endpoints"
	"vigil/sink"
	"vigil/sink/egress"
	"vigil/webhook"
)

const (
	partitions = 4
	beat       = 10 * time.Millisecond // between two batches of load
	grace      = time.Second           // after a phase, for what is under way
)

// system is broker, sink and producer.
type system struct {
	cluster  *kfake.Cluster
	client   *kgo.Client
	registry *prometheus.Registry
	topics   sink.Topics
	cancel   context.CancelFunc
	ended    chan error
	number   int // of the next delivery
	next     int // endpoint
}

func startSystem(ctx context.Context, port int) (*system, error) {
	t := sink.TopicsOf("vigil")
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, t.Webhooks, t.Retry1, t.Retry2, t.Attempts, t.DeadLetters),
		kfake.SeedTopics(2*partitions, t.Parked), kfake.SeedTopics(1, t.Endpoints))
	if err != nil {
		return nil, err
	}
	s := &system{cluster: cluster, registry: prometheus.NewRegistry(), topics: t, ended: make(chan error, 1)}
	opts := []kgo.Opt{kgo.SeedBrokers(cluster.ListenAddrs()...)}
	if s.client, err = kgo.NewClient(append(opts, kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0))...); err != nil {
		return nil, err
	}
	var list []endpoints.Endpoint
	for i := range count {
		list = append(list, endpoints.Endpoint{
			Name: name(i), URL: address(i, port), AllowHTTP: true, AllowPrivate: true,
			Timeout: endpoints.DefaultTimeout, Retries: endpoints.DefaultRetries, RetryDelays: endpoints.DefaultRetryDelays(),
		})
	}
	it, err := sink.New(sink.Config{
		Client: opts, Topics: t, Group: "vigil.sink", Policy: egress.Policy{Version: "bench", MaxInFlight: pool}, Endpoints: list,
	}, sink.Deps{Log: zerolog.New(os.Stderr).Level(zerolog.ErrorLevel), Registry: s.registry})
	if err != nil {
		return nil, err
	}
	ctx, s.cancel = context.WithCancel(ctx)
	go func() { s.ended <- it.Run(ctx) }()
	return s, nil
}

func name(i int) string { return fmt.Sprintf("e%04d", i) }

func (s *system) stop() error {
	s.cancel()
	err := <-s.ended
	s.client.Close()
	s.cluster.Close()
	return err
}

// load puts the deliveries of a phase, evenly, whatever becomes of them.
func (s *system) load(ctx context.Context, number int, p phase) error {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	done, doneHot := 0, 0
	for begin := time.Now(); ; {
		passed := min(time.Since(begin), p.lasts).Seconds()
		for ; done < int(passed*float64(p.rate)); done++ {
			s.put(number, s.next)
			s.next = (s.next + 1) % count
		}
		for ; doneHot < int(passed*float64(p.hotRate)); doneHot++ {
			s.put(number, hot)
		}
		if time.Since(begin) >= p.lasts {
			break
		}
		select {
		case <-tick.C:
		case err := <-s.ended:
			return fmt.Errorf("the sink has ended: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-time.After(grace):
	case <-ctx.Done():
	}
	return ctx.Err()
}

func (s *system) put(number, endpoint int) {
	now := time.Now()
	body, _ := json.Marshal(note{number, endpoint, now.UnixNano(), s.number}) // integers only
	d := &webhook.Delivery{
		V: webhook.Version, FireID: fmt.Sprintf("f%09d", s.number), Campaign: "bench", User: "u", Endpoint: name(endpoint),
		Method: http.MethodPost, Body: body, ContentType: "application/json", Attempt: 1, At: now, DecidedAt: now,
	}
	s.client.Produce(context.Background(), &kgo.Record{Topic: s.topics.Webhooks, Partition: int32(s.number % partitions), Value: d.Encode()}, nil)
	s.number++
}

// sentHealthy is how many deliveries of a phase go to the endpoints that it is about.
func sentHealthy(p phase) int {
	share := 1 - float64(max(p.dead, p.rising))/count
	if p.hotRate > 0 {
		share -= 1. / count
	}
	return int(p.lasts.Seconds() * float64(p.rate) * share)
}

// parked is how often the sink has parked a delivery.
func (s *system) parked() (n int) {
	families, err := s.registry.Gather()
	if err != nil {
		return 0
	}
	for _, f := range families {
		if f.GetName() != "vigil_sink_parked_total" {
			continue
		}
		for _, m := range f.Metric {
			n += int(m.GetCounter().GetValue())
		}
	}
	return n
}
