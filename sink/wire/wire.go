// Package wire makes the records of the sink that are not JSON of ours: dead letters and their headers, in which partition
// a record goes, how large it may be, and what a commit of offsets says. It is used where the sink writes what became of a
// delivery. It reads and writes nothing itself.
package wire

import (
	"slices"
	"strconv"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/kafka"
	"vigil/webhook"
)

// Headers of a dead letter (interface 3).
const (
	deadTopic     = "__connect.errors.topic"
	deadPartition = "__connect.errors.partition"
	deadOffset    = "__connect.errors.offset"
	deadText      = "__connect.errors.exception.message"
	deadReason    = "x-reason-code"
)

// DeadLetter is a record for the topic of dead letters: untouched, with headers that say where it was and why it is here.
func DeadLetter(topic string, r *kgo.Record, code, reason string) *kgo.Record {
	headers := make([]kgo.RecordHeader, 0, len(r.Headers)+5)
	for _, h := range r.Headers {
		switch h.Key {
		case deadTopic, deadPartition, deadOffset, deadText, deadReason: // of an earlier death
		default:
			headers = append(headers, h)
		}
	}
	add := func(key, value string) { headers = append(headers, kgo.RecordHeader{Key: key, Value: []byte(value)}) }
	add(deadTopic, r.Topic)
	add(deadPartition, strconv.Itoa(int(r.Partition)))
	add(deadOffset, strconv.FormatInt(r.Offset, 10))
	add(deadText, reason)
	add(deadReason, code)
	return &kgo.Record{Topic: topic, Key: r.Key, Value: r.Value, Headers: headers}
}

// Origin says whether a person or a replay wrote the record.
func Origin(r *kgo.Record) string {
	for _, h := range r.Headers {
		if h.Key != webhook.HeaderOrigin {
			continue
		}
		if v := string(h.Value); v == webhook.OriginManual || v == webhook.OriginReplay {
			return v
		}
	}
	return webhook.OriginAuto
}

// Partitioner keeps the partition that the sink set in records of some topics, and leaves the rest to the key.
type Partitioner struct{ Kept []string }

// ForTopic implements kgo.Partitioner.
func (p Partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	if slices.Contains(p.Kept, topic) {
		return keep{}
	}
	return kgo.StickyKeyPartitioner(nil).ForTopic(topic)
}

// keep takes the partition of the record, folded where the topic has fewer.
type keep struct{}

// RequiresConsistency implements kgo.TopicPartitioner.
func (keep) RequiresConsistency(*kgo.Record) bool { return true }

// Partition implements kgo.TopicPartitioner.
func (keep) Partition(r *kgo.Record, n int) int { return int(r.Partition) % n }

// BatchBytes is the size of a batch that all topics take: that of the records that the sink must be able to write, or less.
// It warns of each topic that takes less.
func BatchBytes(topics kadm.ResourceConfigs, records int, log zerolog.Logger) int32 {
	least := int32(records)
	for _, topic := range topics {
		limit := kafka.BatchBytes(topic, kafka.UsualBatchBytes)
		if int(limit) < records {
			log.Warn().Str("topic", topic.Name).Int32("max.message.bytes", limit).
				Msg("larger deliveries than this end as dead letters; `vigil topics check` tells what to set")
		}
		least = min(least, limit)
	}
	return least
}

// PutMetadata puts the bitmaps where the client would write its member id.
func PutMetadata(req *kmsg.OffsetCommitRequest, metas map[string]map[int32]string) error {
	for i := range req.Topics {
		t := &req.Topics[i]
		for j := range t.Partitions {
			meta := metas[t.Topic][t.Partitions[j].Partition]
			t.Partitions[j].Metadata = &meta
		}
	}
	return nil
}

// CommitError is the first error in the answer to a commit of offsets.
func CommitError(resp *kmsg.OffsetCommitResponse) error {
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return err
			}
		}
	}
	return nil
}
