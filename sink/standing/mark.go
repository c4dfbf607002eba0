// Package standing keeps what is known of endpoints beyond their files: which are paused, by whom and why, and since when
// one does nothing but fail. It is one small compacted topic that every sink reads and that outlives them all. It lies
// beside the flow from deliveries to requests; it never sends a webhook and never decides what becomes of a delivery.
package standing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// State is what a mark says.
type State string

// The states. An endpoint without a mark is in neither.
const (
	Failing State = "failing" // nothing but failures since Since; deliveries are tried all the same
	Paused  State = "paused"  // deliveries are parked until they expire, or until somebody resumes it
)

// cleared is the state of a mark that was taken back, on a board only: failures count anew from its Since on.
const cleared State = ""

// Reasons of a pause.
const (
	Operator = "operator" // somebody wanted it
	Gone     = "http_410" // the endpoint says that it wants no more
	Dead     = "failing"  // a day of nothing but failures
)

// Mark is what stands against one endpoint. Its key on the topic is the name; a tombstone takes it back.
type Mark struct {
	V        int       `json:"v"` // 1
	Endpoint string    `json:"endpoint"`
	State    State     `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	Note     string    `json:"note,omitempty"`    // what an operator wrote
	Address  string    `json:"address,omitempty"` // fingerprint of where it pointed: mended, a mark that a sink made says nothing more
	Since    time.Time `json:"since"`
	At       time.Time `json:"at"`
}

const markVersion = 1

// encode is the record of a mark.
func (m Mark) record(topic string) (*kgo.Record, error) {
	m.V = markVersion
	m.Since, m.At = m.Since.UTC().Truncate(time.Millisecond), m.At.UTC().Truncate(time.Millisecond)
	value, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encode the mark of %s: %w", m.Endpoint, err)
	}
	return &kgo.Record{Topic: topic, Key: []byte(m.Endpoint), Value: value}, nil
}

// decode reads a record; ok is false for a tombstone and for what is no mark, which says as little.
func decode(r *kgo.Record) (m Mark, ok bool) {
	if err := json.Unmarshal(r.Value, &m); err != nil || m.V != markVersion || m.State != Failing && m.State != Paused {
		return Mark{}, false
	}
	m.Endpoint = string(r.Key)
	return m, true
}

// Stands tells whether the mark concerns an endpoint at this address. What an operator wants stands wherever it points.
func (m Mark) Stands(address string) bool { return m.Reason == Operator || m.Address == address }

// Read reads all marks of the topic. A topic that does not exist holds none.
func Read(ctx context.Context, opts []kgo.Opt, topic string) (map[string]Mark, error) {
	marks := map[string]Mark{}
	client, err := reader(opts, topic)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	end, err := endOf(ctx, client, topic)
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		return marks, nil
	}
	if err != nil {
		return nil, err
	}
	return marks, follow(ctx, client, end, func(r *kgo.Record) { apply(marks, r) })
}

// apply takes one record into marks.
func apply(marks map[string]Mark, r *kgo.Record) {
	if m, ok := decode(r); ok {
		marks[m.Endpoint] = m
		return
	}
	delete(marks, string(r.Key))
}

// reader makes a client that reads the topic from its start.
func reader(opts []kgo.Opt, topic string) (*kgo.Client, error) {
	client, err := kgo.NewClient(append(append([]kgo.Opt{}, opts...), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))...)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", topic, err)
	}
	return client, nil
}

// endOf is the end offset of the topic.
func endOf(ctx context.Context, client *kgo.Client, topic string) (int64, error) {
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", topic, err)
	}
	o, _ := ends.Lookup(topic, 0)
	return o.Offset, nil
}

// follow hands records to take until everything before end was read.
func follow(ctx context.Context, client *kgo.Client, end int64, take func(*kgo.Record)) error {
	for read := int64(0); read < end; {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read the marks of endpoints: %w", err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			take(r)
			read = r.Offset + 1
		})
	}
	return nil
}

// Write sets a mark; the brokers have it when it returns.
func Write(ctx context.Context, client *kgo.Client, topic string, m Mark) error {
	r, err := m.record(topic)
	if err != nil {
		return err
	}
	return client.ProduceSync(ctx, r).FirstErr()
}

// Clear takes a mark back.
func Clear(ctx context.Context, client *kgo.Client, topic, endpoint string) error {
	return client.ProduceSync(ctx, &kgo.Record{Topic: topic, Key: []byte(endpoint)}).FirstErr()
}
