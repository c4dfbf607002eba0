package processor

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/trigger"
)

// errFatal marks what no new try mends: the process ends with it, so that its partitions are free for others.
var errFatal = errors.New("cannot go on")

// errNotTaken is what there is to say of records for which the brokers gave no final answer.
var errNotTaken = errors.New("the brokers did not take them")

// remedy is what an error of the brokers means: whether a new try is of no use, and what the operator can do.
type remedy struct {
	err   error
	final bool
	do    string
}

// remedies are asked in this order. An error that is not here is tried again, without advice. docs/operations.md is the
// table for people.
var remedies = []remedy{
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
	{trigger.ErrNewer, true, "run the version that wrote it, or a newer one, here too; the partition moves to a process that can read it"},
	{kerr.ProducerFenced, false, "the transaction took longer than the brokers allow, or another process runs with the same group and instance: give each its own"},
	{kerr.InvalidProducerEpoch, false, "the transaction took longer than the brokers allow; if this comes again and again, look at the brokers' load and logs"},
	{kerr.UnknownTopicID, false, "a topic was deleted or made anew while in use"},
	{kerr.UnknownTopicOrPartition, false, "a topic is missing, or its brokers do not know it yet: `vigil topics check` tells, `vigil topics create` makes those of vigil"},
	{kerr.NotEnoughReplicas, false, "fewer replicas are in sync than min.insync.replicas asks for: bring the missing brokers back"},
	{kerr.NotEnoughReplicasAfterAppend, false, "fewer replicas are in sync than min.insync.replicas asks for: bring the missing brokers back"},
	{kerr.KafkaStorageError, false, "a broker cannot write: its disk is full or broken, see its log"},
	{kerr.OutOfOrderSequenceNumber, false, "a broker has lost what it had acknowledged: look for an unclean leader election"},
	{errNotTaken, false, "check that the brokers run and can be reached, that as many replicas are in sync as min.insync.replicas asks for, and their logs"},
	{kerr.MessageTooLarge, false, "a topic takes smaller records than vigil writes: `vigil topics check` names the setting"},
	{kerr.PolicyViolation, false, "a policy of the brokers refuses this: ask those who run them"},
	{kerr.ThrottlingQuotaExceeded, false, "a quota of the brokers holds this client back: raise it"},
}

// findRemedy is the remedy for err; the zero remedy where none is known.
func findRemedy(err error) remedy {
	for _, r := range remedies {
		if errors.Is(err, r.err) {
			return r
		}
	}
	return remedy{}
}

// diagnose tells whether a new try is of no use, and gives err what the operator can do.
func diagnose(err error) (final bool, told error) {
	r := findRemedy(err)
	final = r.final || errors.Is(err, errFatal)
	if r.do == "" {
		return final, err
	}
	return final, fmt.Errorf("%w: %s", err, r.do)
}

// fetchError is the first error of a poll that is more than its time running out.
func fetchError(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		switch group := (*kgo.ErrGroupSession)(nil); {
		case isTimeout(e.Err):
		case errors.As(e.Err, &group):
			return fmt.Errorf("the consumer group: %w", e.Err)
		default:
			return fmt.Errorf("read %s/%d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return nil
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
