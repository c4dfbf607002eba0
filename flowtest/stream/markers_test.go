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

// Nor the sink: it sends nothing that was aborted, and what is committed afterwards.
func TestSinkReadsTheMarkers(t *testing.T) {
	inBubble(t, 1, func(s *stage) {
		s.must(s.setCampaign(bought))
		s.startProcessor()
		s.startSink()
		for i, id := range []string{"1", "2"} {
			s.pass(time.Second)
			s.must(s.send(sending{user: "ada", eventType: "buy", id: id, at: s.now}))
			s.pass(time.Second)
			if i == 0 {
				s.forgetful(s.topics.Webhooks, func(*kgo.Record) {})
			}
		}
		s.pass(time.Second)
		if n := len(s.receiver.since(0)); n != 2 {
			s.t.Errorf("%d webhooks, want 2", n)
		}
		s.stopAll()
	})
}

// Nor the restore: a user that an aborted transaction would have removed is known as before.
func TestRestoreReadsTheMarkers(t *testing.T) {
	inBubble(t, 1, func(s *stage) {
		s.must(s.setCampaign(bought))
		s.startProcessor()
		s.startSink()
		s.pass(time.Second)
		s.must(s.send(sending{user: "ada", eventType: "buy", id: "1", at: s.now}))
		s.pass(time.Second)
		s.stopAll()
		s.forgetful(s.topics.State, func(r *kgo.Record) {
			if string(r.Key) == "ada" {
				r.Value = nil
			}
		})
		s.startProcessor()
		s.startSink()
		s.pass(time.Second)
		s.must(s.send(sending{user: "ada", eventType: "buy", id: "1", at: s.now}))
		s.pass(time.Second)
		if n := len(s.receiver.since(0)); n != 1 {
			s.t.Errorf("%d webhooks for an event that came twice, want 1", n)
		}
		s.stopAll()
	})
}

// Nor the processor: an event of an aborted transaction has not happened.
func TestInputReadsTheMarkers(t *testing.T) {
	inBubble(t, 1, func(s *stage) {
		s.must(s.setCampaign(bought))
		s.startProcessor()
		s.startSink()
		s.pass(time.Second)
		s.must(s.send(sending{user: "ada", eventType: "buy", id: "1", at: s.now}))
		s.pass(time.Second)
		s.forgetful(input, func(r *kgo.Record) { r.Value = bytes.ReplaceAll(r.Value, []byte(`"1"`), []byte(`"2"`)) })
		s.pass(time.Second)
		s.must(s.send(sending{user: "ada", eventType: "buy", id: "3", at: s.now}))
		s.pass(time.Second)
		if n := len(s.receiver.since(0)); n != 2 {
			s.t.Errorf("%d webhooks, want 2", n)
		}
		s.stopAll()
	})
}
