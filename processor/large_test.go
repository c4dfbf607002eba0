package processor_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/webhook"
)

// produce writes a record of up to 4 MiB.
func (s *stage) produce(r *kgo.Record) {
	s.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.cluster.ListenAddrs()...), kgo.ProducerBatchMaxBytes(4<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		s.t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(context.Background(), r).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// A fire that its topic would refuse goes out marked, for the sink's dead letters, and the partition moves on.
func TestTooLargeFireMovesOn(t *testing.T) {
	s := newStage(t, onBuy, `
id: large
trigger: {type: single_action, key: k, did: load}
webhook: {url: "https://example.com/hook", body: {k: "{{ key }}"}}
`)
	s.start(s.config("a"))
	now := time.Now()
	for _, key := range []string{strings.Repeat("x", 1_000_000), strings.Repeat("<", 900_000)} {
		s.produce(&kgo.Record{
			Topic: "events", Key: []byte("ada"), Timestamp: now, Value: []byte(`{"type":"load","properties":{"k":"` + key + `"}}`),
			Headers: []kgo.RecordHeader{{Key: "traceparent", Value: []byte(strings.Repeat("t", 900_000))}},
		})
	}
	s.send("ada", "buy", "e1", now)
	var got []string
	for _, r := range s.records("vigil.webhooks", 3) {
		d, err := webhook.DecodeDelivery(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		marked := ""
		if d.RenderError != "" && len(d.Body) == 0 {
			marked = " marked"
		}
		got = append(got, d.Campaign+marked)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"buy", "large marked", "large marked"}, got); diff != "" {
		t.Error(diff)
	}
}

// The error of a template that quotes a long output is cut, so that the sink can read the delivery and tell it.
func TestLongRenderErrorIsCut(t *testing.T) {
	s := newStage(t, `
id: long
trigger: {type: single_action, did: load}
webhook: {url: "https://example.com/hook", body: {k: "{{ anchor.properties.k | plus: 1 | append: '`+strings.Repeat("x", 9000)+`' }}"}}
`)
	s.start(s.config("a"))
	s.raw("events", []byte("ada"), []byte(`{"type":"load","properties":{"k":"no number"}}`), time.Now())
	fired := s.records("vigil.webhooks", 1)
	if len(fired) != 1 {
		t.Fatalf("%d fires, want 1", len(fired))
	}
	d, err := webhook.DecodeDelivery(fired[0].Value)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(d.RenderError, "body.k:") {
		t.Errorf("%.40q", d.RenderError)
	}
}

// A record that is too large for the dead letters is cut there and says so; the partition moves on.
func TestTooLargeDeadLetterMovesOn(t *testing.T) {
	s := newStage(t, onBuy)
	s.start(s.config("a"))
	now := time.Now()
	large := []byte(strings.Repeat("x", 1_500_000))
	s.produce(&kgo.Record{Topic: "events", Partition: 0, Key: large, Value: large, Timestamp: now})
	s.produce(&kgo.Record{
		Topic: "events", Key: large[:10], Value: large, Timestamp: now, Headers: []kgo.RecordHeader{{Key: "h", Value: large}},
	})
	for _, user := range []string{"ada", "bob", "eve", "joe"} { // one in every partition
		s.send(user, "buy", "e1", now)
	}
	if got := s.fires(4); len(got) != 4 {
		t.Errorf("%d fires, want 4", len(got))
	}
	dead := s.records("dlq.vigil.events", 2)
	if len(dead) != 2 {
		t.Fatalf("%d dead letters, want 2", len(dead))
	}
	for _, r := range dead {
		cut := slices.ContainsFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == "x-truncated-from-bytes" })
		if !cut || len(r.Key)+len(r.Value) > 2<<20 {
			t.Errorf("dead letter of %d bytes, cut: %t", len(r.Key)+len(r.Value), cut)
		}
	}
}
