// Package kafka is what vigil knows of the cluster: how to reach it, the names of its topics, and how they are to be
// made. It reads and writes no records.
package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Topics are the names of interface 3.
type Topics struct {
	Webhooks, Retry1, Retry2, Parked, Shadow, Attempts, State, Journal, Campaigns, Endpoints, DeadEvents, DeadWebhooks string
}

// Names gives the topics of a prefix.
func Names(prefix string) Topics {
	return Topics{
		Webhooks:     prefix + ".webhooks",
		Retry1:       prefix + ".webhooks.retry-1",
		Retry2:       prefix + ".webhooks.retry-2",
		Parked:       prefix + ".webhooks.parked",
		Shadow:       prefix + ".shadow",
		Attempts:     prefix + ".attempts",
		State:        prefix + ".state",
		Journal:      prefix + ".journal",
		Campaigns:    prefix + ".campaigns",
		Endpoints:    prefix + ".endpoints",
		DeadEvents:   "dlq." + prefix + ".events",
		DeadWebhooks: "dlq." + prefix + ".webhooks",
	}
}

// Spec is a topic as vigil wants it.
type Spec struct {
	Name       string
	Partitions int32
	Settings   map[string]string
}

const (
	dayMillis = 24 * 60 * 60 * 1000
	largeSize = 2 << 20 // bytes of a record that carries a body of up to 1 MiB in base64 (delivery 1)
	stateSize = 8 << 20 // bytes of a record of vigil.state: a user within the limits of semantics 2.11
)

// UsualBatchBytes is what brokers take in one batch unless told otherwise.
const UsualBatchBytes = 1_000_012

// BatchBytes is what a topic takes in one batch; otherwise where the broker does not tell, as to those who may not ask.
func BatchBytes(topic kadm.ResourceConfig, otherwise int32) int32 {
	for _, c := range topic.Configs {
		if v, err := strconv.ParseInt(c.MaybeValue(), 10, 32); c.Key == "max.message.bytes" && err == nil {
			return int32(v)
		}
	}
	return otherwise
}

// Specs are the topics for inputs of that many partitions (interface 3).
func Specs(t Topics, inputPartitions int32) []Spec {
	kept := func(days, size int) map[string]string {
		return map[string]string{
			"cleanup.policy": "delete", "retention.ms": strconv.Itoa(days * dayMillis), "max.message.bytes": strconv.Itoa(size),
		}
	}
	compacted := func(size int) map[string]string {
		return map[string]string{
			"cleanup.policy": "compact", "max.message.bytes": strconv.Itoa(size), "segment.bytes": strconv.Itoa(128 << 20),
			"min.cleanable.dirty.ratio": "0.3", "delete.retention.ms": strconv.Itoa(7 * dayMillis),
		}
	}
	p := inputPartitions
	return []Spec{
		{t.Webhooks, p, kept(7, largeSize)},
		{t.Retry1, p, kept(7, largeSize)},
		{t.Retry2, p, kept(7, largeSize)},
		{t.Parked, 2 * p, kept(7, largeSize)},
		{t.Shadow, p, kept(7, largeSize)},
		{t.Attempts, p, kept(30, largeSize)},
		{t.State, p, compacted(stateSize)},
		{t.Journal, p, map[string]string{"cleanup.policy": "delete", "retention.ms": "-1"}},
		{t.Campaigns, 1, compacted(largeSize)},
		{t.Endpoints, 1, compacted(largeSize)}, // docs/decisions/0052
		{t.DeadEvents, p, kept(30, largeSize)},
		{t.DeadWebhooks, p, kept(30, largeSize)},
	}
}

// ErrMissing is wrapped by errors about a topic that is not there.
var ErrMissing = errors.New("topic does not exist")

// ErrPartitions is wrapped by errors about a partition count that does not fit.
var ErrPartitions = errors.New("partition counts do not fit")

// InputPartitions is the partition count that all input topics share (semantics 2.1).
func InputPartitions(ctx context.Context, adm *kadm.Client, topics []string) (int32, error) {
	details, err := adm.ListTopics(ctx, topics...)
	if err != nil {
		return 0, fmt.Errorf("list the input topics: %w", err)
	}
	var count int32
	for _, name := range topics {
		d, ok := details[name]
		if !ok || errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			return 0, fmt.Errorf("input topic %q: %w; create it, or name another in input.topics", name, ErrMissing)
		}
		if d.Err != nil {
			return 0, fmt.Errorf("input topic %q: %w", name, d.Err)
		}
		n := int32(len(d.Partitions))
		if count != 0 && n != count {
			return 0, fmt.Errorf("%w: input topics %s have %d and %d partitions: they need the same count and partitioner (semantics 2.1)",
				ErrPartitions, strings.Join(topics, ", "), count, n)
		}
		count = n
	}
	return count, nil
}

// EnsureInputs creates input topics that are missing, as the embedded broker and `vigil topics create` do.
func EnsureInputs(ctx context.Context, adm *kadm.Client, topics []string, partitions int32) error {
	var specs []Spec
	for _, name := range topics {
		specs = append(specs, Spec{Name: name, Partitions: partitions})
	}
	return create(ctx, adm, specs)
}

// Ensure creates what is missing of specs and refuses a topic whose partition count is another: state is bound to its
// partition for ever.
func Ensure(ctx context.Context, adm *kadm.Client, specs []Spec) error {
	found, err := Check(ctx, adm, specs)
	if err != nil {
		return err
	}
	missing := map[string]bool{}
	var errs []error
	for _, f := range found {
		switch f.Code {
		case CodeMissing:
			missing[f.Topic] = true
		case CodePartitions:
			errs = append(errs, fmt.Errorf("%w: %s", ErrPartitions, f.Text))
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	var absent []Spec
	for _, s := range specs {
		if missing[s.Name] {
			absent = append(absent, s)
		}
	}
	return create(ctx, adm, absent)
}

func create(ctx context.Context, adm *kadm.Client, specs []Spec) error {
	for _, s := range specs {
		settings := map[string]*string{}
		for name, value := range s.Settings {
			settings[name] = &value
		}
		_, err := adm.CreateTopic(ctx, s.Partitions, -1, settings, s.Name)
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s with %d partitions: %w; run `vigil topics create` with an account that may", s.Name, s.Partitions, err)
		}
	}
	return nil
}
