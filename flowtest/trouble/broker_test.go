package trouble

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// strike is a trouble that begins; mend ends it.
type strike func(*stage) (mend func())

// fault has the broker answer requests with an error until it is mended, or as often as it says.
func fault(f kfake.Fault) strike {
	return func(s *stage) func() {
		if f.Count == 0 {
			f.Count = -1
		}
		return s.cluster.Fault(f).Remove
	}
}

func produceTo(topic string, err *kerr.Error) strike {
	return fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Topic: topic, Err: err})
}

// once does something that needs no mending.
func once(f func(*stage)) strike {
	return func(s *stage) func() { f(s); return func() {} }
}

func cut(s *stage) func() {
	s.network.set(true)
	return func() { s.network.set(false) }
}

// TestBrokerTrouble: each trouble comes in mid-run, lasts a while and ends. The processor is not started again, and what
// it fires is what an uninterrupted run fires.
func TestBrokerTrouble(t *testing.T) {
	for _, row := range []struct {
		name  string
		comes strike
		lasts time.Duration
		log   []string // words of the log, in the end
	}{
		{"leader change", once(func(s *stage) { s.cluster.ShufflePartitionLeaders() }), 0, nil},
		{"coordinator move", once(func(s *stage) { s.cluster.RehashCoordinators() }), 0, nil},
		{"coordinator loads", fault(kfake.Fault{
			Keys: []kmsg.Key{kmsg.TxnOffsetCommit, kmsg.EndTxn, kmsg.Heartbeat}, Err: kerr.CoordinatorLoadInProgress,
		}), 5 * time.Second, nil},
		{"connections end", once(func(s *stage) { s.network.reset() }), 0, nil},
		{"broker gone for 2 minutes", cut, 2 * time.Minute, []string{"connection refused", "starts again from the last commit"}},
		{"not enough replicas for a moment", produceTo("vigil.state", kerr.NotEnoughReplicas), 2 * time.Second, nil},
		{
			"not enough replicas for a minute", produceTo("vigil.state", kerr.NotEnoughReplicas), time.Minute,
			[]string{"vigil.state/", "NOT_ENOUGH_REPLICAS", "min.insync.replicas"},
		},
		{
			"not enough replicas after append", produceTo("vigil.webhooks", kerr.NotEnoughReplicasAfterAppend), time.Minute,
			[]string{"the brokers did not take them", "min.insync.replicas"},
		},
		{
			"disk of the broker full", produceTo("vigil.webhooks", kerr.KafkaStorageError), time.Minute,
			[]string{"vigil.webhooks/", "KAFKA_STORAGE_ERROR", "disk is full"},
		},
		{"disk of the broker broken, reading", fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: input, Err: kerr.KafkaStorageError}), time.Minute, nil},
		{"a batch without its predecessor", fault(kfake.Fault{
			Keys: []kmsg.Key{kmsg.Produce}, Topic: "vigil.state", Err: kerr.OutOfOrderSequenceNumber, Count: 1,
		}), time.Second, []string{"vigil.state/", "OUT_OF_ORDER_SEQUENCE_NUMBER", "unclean leader election"}},
		{"transaction time-out", fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.CoordinatorLoadInProgress}), 40 * time.Second, nil},
		{
			"topic unknown for a while", produceTo("vigil.webhooks", kerr.UnknownTopicOrPartition), 30 * time.Second,
			[]string{"vigil.webhooks/", "UNKNOWN_TOPIC_OR_PARTITION", "vigil topics check"},
		},
		{"answers to the end of a transaction are lost", unheard(kmsg.EndTxn, 3), 5 * time.Second, nil},
		{"answers to offsets are lost", unheard(kmsg.TxnOffsetCommit, 3), 5 * time.Second, nil},
		{"answers to records are lost", unheard(kmsg.Produce, 3), 5 * time.Second, nil},
		{"a refused end", fault(kfake.Fault{Keys: []kmsg.Key{kmsg.EndTxn}, Err: kerr.InvalidTxnState, Count: 1}), time.Second, []string{"INVALID_TXN_STATE"}},
		{"a record refused as too large", fault(kfake.Fault{
			Keys: []kmsg.Key{kmsg.Produce}, Topic: "vigil.webhooks", Err: kerr.MessageTooLarge, Count: 1,
		}), time.Second, []string{"vigil.webhooks/", "MESSAGE_TOO_LARGE", "vigil topics check"}},
		{"an evicted member", fault(kfake.Fault{Keys: []kmsg.Key{kmsg.TxnOffsetCommit}, Err: kerr.UnknownMemberID, Count: 2}), time.Second, nil},
		{"all requests time out", fault(kfake.Fault{Err: kerr.RequestTimedOut}), 30 * time.Second, nil},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(s *stage) {
				p := s.start()
				s.sendRound()
				s.settled()
				s.sendRound() // what is in hand when it comes
				mend := row.comes(s)
				<-time.After(row.lasts)
				mend()
				s.sendRound()
				s.settled()
				s.sendRound()
				s.settled()
				p.stop()
				wantWords(t, "the log", s.text.Text(), row.log...)
				s.agrees()
			})
		})
	}
}

// unheard has the connections end after the broker was asked something, so that it acts and its answer is lost.
func unheard(key kmsg.Key, times int) strike {
	return func(s *stage) func() {
		left := times
		return s.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{key}, Count: -1, Observe: true, When: func(kmsg.Request) bool {
			if left > 0 {
				left--
				go s.network.reset()
			}
			return true
		}}).Remove
	}
}

// TestBrokerHardStop: each trouble ends the processor with what it is, where, and what to do.
func TestBrokerHardStop(t *testing.T) {
	anew := once(func(s *stage) { s.recreate(input) })
	authorized := func(key kmsg.Key, err *kerr.Error) strike {
		return fault(kfake.Fault{Keys: []kmsg.Key{key}, Err: err})
	}
	for _, row := range []struct {
		name    string
		stopped bool // it comes while the processor is stopped
		comes   strike
		words   []string // of the error
	}{
		{"offset out of range", true, once(func(s *stage) {
			s.sendRound()
			s.sendRound()
			s.trim(input)
		}), []string{"read events/", "OFFSET_OUT_OF_RANGE", "nothing was skipped", "--reset-offsets"}},
		{"input deleted and made anew, running", false, anew, []string{"events", "deleted and made anew", "--reset-offsets"}},
		{"input deleted and made anew, stopped", true, anew, []string{"events", "no offset", "deleted and made anew", "--reset-offsets"}},
		{"changelog deleted and made anew, running", false, once(func(s *stage) { s.recreate("vigil.state") }), []string{"vigil.state", "deleted and made anew", "begin without the past"}},
		{"changelog deleted, stopped", true, once(func(s *stage) { s.must(s.cluster.DeleteTopic("vigil.state")) }), []string{"vigil.state", "deleted and made anew", "begin without the past"}},
		{"changelog shorter than it was", true, once(func(s *stage) {
			<-time.After(time.Minute) // until the group is empty
			s.shrink()
		}), []string{"vigil.state/", "the brokers have lost the state of users", "unclean leader election", "begin without the past"}},
		{"inputs with more partitions, running", false, once(func(s *stage) { s.grow(input, 4) }), []string{"events", "more partitions", "they had 2", "topic_prefix"}},
		{"inputs with more partitions, stopped", true, once(func(s *stage) { s.grow(input, 4) }), []string{"vigil.state has 2 partitions", "the inputs ask for 4", "topic_prefix"}},
		{
			"no read on the input", false, fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: input, Err: kerr.TopicAuthorizationFailed}),
			[]string{"read events/", "TOPIC_AUTHORIZATION_FAILED", "grant the account READ"},
		},
		{"no write on the fires", false, produceTo("vigil.webhooks", kerr.TopicAuthorizationFailed), []string{"vigil.webhooks/", "TOPIC_AUTHORIZATION_FAILED", "grant the account"}},
		{"no read on the group", false, authorized(kmsg.Heartbeat, kerr.GroupAuthorizationFailed), []string{"GROUP_AUTHORIZATION_FAILED", "READ on the consumer group"}},
		{"no transactions", true, authorized(kmsg.InitProducerID, kerr.TransactionalIDAuthorizationFailed), []string{"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "transactional ids"}},
		{"expired credentials", false, func(s *stage) func() {
			mend := authorized(kmsg.SASLAuthenticate, kerr.SaslAuthenticationFailed)(s)
			s.network.reset()
			return mend
		}, []string{"SASL_AUTHENTICATION_FAILED", "sasl.password", "start again"}},
		{"two processes of one name", false, authorized(kmsg.Heartbeat, kerr.FencedInstanceID), []string{"FENCED_INSTANCE_ID", "instance"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			inBubble(t, func(s *stage) {
				p := s.start()
				s.sendRound()
				s.settled()
				if row.stopped {
					p.stop()
				}
				mend := row.comes(s)
				if row.stopped {
					p = s.start()
				} else {
					s.tryRound()
				}
				p.ended(row.words...)
				mend()
			})
		})
	}
}
