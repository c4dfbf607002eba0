package stream

import (
	"bytes"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// forgetful makes the broker tell no client any more which transactions were aborted, and write once more what stands
// on a topic, in a transaction that is aborted; with changes made to each record.
func (s *stage) forgetful(topic string, change func(*kgo.Record)) {
	s.t.Helper()
	stands, err := s.read(topic)
	s.must(err)
	s.cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		s.cluster.KeepControl()
		request.(*kmsg.FetchRequest).IsolationLevel = 0 // of what is aborted no list is made
		return nil, nil, false
	})
	writer := s.connect(kgo.TransactionalID("another"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer writer.Close()
	s.must(writer.BeginTransaction())
	for _, r := range stands {
		again := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers}
		change(again)
		s.must(writer.ProduceSync(s.t.Context(), again).FirstErr())
	}
	s.must(writer.EndTransaction(s.t.Context(), kgo.TryAbort))
}

// A broker that does not tell which transactions were aborted does not mislead verify: the markers in the log do tell.
func TestVerifyReadsTheMarkers(t *testing.T) {
	inBubble(t, 1, func(s *stage) {
		s.must(s.setCampaign(bought))
		s.startProcessor()
		s.pass(time.Second)
		s.must(s.send(sending{user: "ada", eventType: "buy", id: "1", at: s.now}))
		s.pass(time.Second)
		s.forgetful(s.topics.Webhooks, func(*kgo.Record) {})
		s.honest(s.verify(s.catalog()), 1)
	})
}

// purchases runs a processor and a sink. buy lets ada buy something, and waits until all of that is done; the webhooks of
// it all are counted in the end.
func purchases(t *testing.T, want int, story func(s *stage, buy func(id string))) {
	inBubble(t, 1, func(s *stage) {
		s.must(s.setCampaign(bought))
		s.startProcessor()
		s.startSink()
		story(s, func(id string) {
			s.pass(time.Second)
			s.must(s.send(sending{user: "ada", eventType: "buy", id: id, at: s.now}))
			s.pass(time.Second)
		})
		if n := len(s.receiver.since(0)); n != want {
			s.t.Errorf("%d webhooks, want %d", n, want)
		}
		s.stopAll()
	})
}

// Nor the sink: it sends nothing that was aborted, and what is committed afterwards.
func TestSinkReadsTheMarkers(t *testing.T) {
	purchases(t, 2, func(s *stage, buy func(id string)) {
		buy("1")
		s.forgetful(s.topics.Webhooks, func(*kgo.Record) {})
		buy("2")
	})
}

// Nor the restore: a user that an aborted transaction would have removed is known as before, so that an event that comes
// again is nothing new.
func TestRestoreReadsTheMarkers(t *testing.T) {
	purchases(t, 1, func(s *stage, buy func(id string)) {
		buy("1")
		s.stopAll()
		s.forgetful(s.topics.State, func(r *kgo.Record) {
			if string(r.Key) == "ada" {
				r.Value = nil
			}
		})
		s.startProcessor()
		s.startSink()
		buy("1")
	})
}

// Nor the processor: an event of an aborted transaction has not happened.
func TestInputReadsTheMarkers(t *testing.T) {
	purchases(t, 2, func(s *stage, buy func(id string)) {
		buy("1")
		s.forgetful(input, func(r *kgo.Record) { r.Value = bytes.ReplaceAll(r.Value, []byte(`"1"`), []byte(`"2"`)) })
		buy("3")
	})
}
