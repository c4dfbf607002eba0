package kafka

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
)

// Remedy is what an error means: whether a new try is of no use, and what the operator can do.
type Remedy struct {
	Err   error
	Final bool
	Do    string
}

// remedies are asked in this order. An error that is not here is tried again, without advice. docs/operations.md is the
// table for people.
var remedies = []Remedy{
	{kerr.OffsetOutOfRange, true, "records that were not read yet are gone, by retention or because the topic was made anew; nothing was skipped. " +
		"Stop all processors, choose where to go on (kafka-consumer-groups --group GROUP --topic TOPIC:PARTITION --reset-offsets --to-earliest --execute), start again, " +
		"and give the input a longer retention than your longest outage"},
	{kerr.TopicAuthorizationFailed, true, "grant the account READ on the inputs, and READ, WRITE, CREATE and DESCRIBE_CONFIGS on the topics of topic_prefix and dlq.*"},
	{kerr.GroupAuthorizationFailed, true, "grant the account READ on the consumer group"},
	{kerr.TransactionalIDAuthorizationFailed, true, "grant the account WRITE and DESCRIBE on the transactional ids that begin with the group's name"},
	{kerr.ClusterAuthorizationFailed, true, "grant the account IDEMPOTENT_WRITE on the cluster"},
	{kerr.SaslAuthenticationFailed, true, "the brokers refuse the credentials, or they have expired: renew sasl.username and sasl.password in kafka.properties and start again"},
	{kerr.UnsupportedSaslMechanism, true, "set sasl.mechanism in kafka.properties to one that the brokers offer"},
	{kerr.FencedInstanceID, true, "another process runs with the same instance: give each its own (instance: NAME; the default is the host name)"},
	{kerr.ProducerFenced, false, "the transaction took longer than the brokers allow, or another process runs with the same group and instance: give each its own"},
	{kerr.InvalidProducerEpoch, false, "the transaction took longer than the brokers allow; if this comes again and again, look at the brokers' load and logs"},
	{kerr.UnknownTopicID, false, "a topic was deleted or made anew while in use"},
	{kerr.UnknownTopicOrPartition, false, "a topic is missing, or its brokers do not know it yet: `vigil topics check` tells, `vigil topics create` makes those of vigil"},
	{kerr.NotEnoughReplicas, false, "fewer replicas are in sync than min.insync.replicas asks for: bring the missing brokers back"},
	{kerr.NotEnoughReplicasAfterAppend, false, "fewer replicas are in sync than min.insync.replicas asks for: bring the missing brokers back"},
	{kerr.KafkaStorageError, false, "a broker cannot write: its disk is full or broken, see its log"},
	{kerr.OutOfOrderSequenceNumber, false, "a broker has lost what it had acknowledged: look for an unclean leader election"},
	{kerr.MessageTooLarge, false, "a topic takes smaller records than vigil writes: `vigil topics check` names the setting"},
	{kerr.PolicyViolation, false, "a policy of the brokers refuses this: ask those who run them"},
	{kerr.ThrottlingQuotaExceeded, false, "a quota of the brokers holds this client back: raise it"},
}

// Diagnose tells whether a new try is of no use after err, and gives err what the operator can do. More are remedies of the
// caller's own, asked first.
func Diagnose(err error, more ...Remedy) (final bool, told error) {
	for _, list := range [...][]Remedy{more, remedies} {
		for _, r := range list {
			if errors.Is(err, r.Err) {
				return r.Final, fmt.Errorf("%w: %s", err, r.Do)
			}
		}
	}
	return false, err
}
