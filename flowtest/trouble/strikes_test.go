package trouble

import (
	"context"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// recreate deletes a topic and makes it anew.
func (s *stage) recreate(topic string) {
	s.t.Helper()
	s.must(s.cluster.DeleteTopic(topic))
	s.must(s.cluster.CreateTopic(topic, int32(s.partitions()), nil))
}

// trim deletes all records of a topic, as retention does.
func (s *stage) trim(topic string) {
	s.t.Helper()
	for id := range int32(s.partitions()) {
		s.must(s.cluster.DeleteRecords(topic, id, s.cluster.PartitionInfo(topic, id).HighWatermark))
	}
}

// shrink makes the last commits say that they wrote more to the changelog than it holds: its brokers have lost the rest. The
// group must be empty.
func (s *stage) shrink() {
	s.t.Helper()
	client := s.connect()
	defer client.Close()
	adm := kadm.NewClient(client)
	offsets, err := adm.FetchOffsets(s.t.Context(), "vigil.processor")
	s.must(err)
	var more kadm.Offsets
	offsets.Each(func(o kadm.OffsetResponse) {
		at := strings.LastIndex(o.Metadata, `"at":`) + len(`"at":`)
		o.Metadata = o.Metadata[:at] + "9" + o.Metadata[at:]
		more.Add(o.Offset)
	})
	s.must(adm.CommitAllOffsets(s.t.Context(), "vigil.processor", more))
}

// grow gives a topic more partitions.
func (s *stage) grow(topic string, n int) {
	s.t.Helper()
	client := s.connect()
	defer client.Close()
	resp, err := kadm.NewClient(client).UpdatePartitions(s.t.Context(), n, topic)
	if err == nil {
		err = resp.Error()
	}
	s.must(err)
}

// tryRound writes events that nobody counts, where the broker takes them.
func (s *stage) tryRound() {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	client := s.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer client.Close()
	for id := range int32(s.partitions()) {
		client.Produce(ctx, &kgo.Record{Topic: input, Partition: id, Key: []byte("eve"), Value: []byte(`{"type":"buy"}`)}, nil)
	}
	_ = client.Flush(ctx) // in some troubles it takes nothing
}
