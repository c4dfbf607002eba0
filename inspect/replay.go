package inspect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
	"vigil/webhook"
)

// Why a dead letter is left out of a replay.
const (
	LeftExpired     = "expired: webhooks are not sent later than their campaign says; --expired sends them all the same"
	LeftDelivered   = "delivered since"
	LeftDiedAgain   = "died again: only the newest dead letter of a fire_id is replayed"
	LeftInvalid     = "no delivery: it would end here again"
	LeftUnrendered  = "never rendered: there are no bytes to send"
	LeftCut         = "the value was too large to be kept whole"
	LeftUnknownFrom = "it does not say from which input topic it came"
	LeftNoInput     = "it came from a topic that is none of input.topics"
)

// Rules are what a replay goes by.
type Rules struct {
	Inputs  []string  // topics that events may go back to
	Now     time.Time // what has expired by then is left out
	Expired bool      // it is not: it goes without expires_at
}

// Plan is what a replay would write.
type Plan struct {
	Deliveries, Events int
	First              []*DeadLetter  // at most 5 of them, to look at
	Left               map[string]int // dead letters that match and stay, by the reason
	Unknown            []string       // ids of the filter that nothing matched, as they were given

	filter  DeadFilter
	rules   Rules
	letters map[place]bool
}

// maxFirst is how many dead letters a plan shows.
const maxFirst = 5

// Size is how many records the replay writes.
func (p *Plan) Size() int { return p.Deliveries + p.Events }

// Plan finds out what a replay of the dead letters that f wants would write. Of a fire_id that died more than once the
// newest is taken, of one that was delivered since, none.
func (r *Reader) Plan(ctx context.Context, topics kafka.Topics, f DeadFilter, rules Rules) (*Plan, error) {
	if err := f.Check(); err != nil {
		return nil, err
	}
	p := &Plan{Left: map[string]int{}, filter: f, rules: rules, letters: map[place]bool{}}
	fires, seen := map[string]*DeadLetter{}, map[string]bool{}
	err := r.dead(ctx, topics, f, func(d *DeadLetter, record *kgo.Record) error {
		seen[d.ID], seen[d.FireID] = true, true
		if why := rules.stays(d, record); why != "" {
			p.Left[why]++
			return nil
		}
		if d.Kind == Events {
			p.take(d)
			return nil
		}
		if old := fires[d.FireID]; old != nil {
			p.Left[LeftDiedAgain]++
			if old.At.After(d.At) {
				return nil
			}
		}
		fires[d.FireID] = d
		return nil
	})
	for _, id := range f.IDs {
		if !seen[id] {
			p.Unknown = append(p.Unknown, id)
		}
	}
	if err != nil || len(fires) == 0 {
		return p, err
	}
	if err := r.dropDelivered(ctx, topics, fires, p); err != nil {
		return nil, err
	}
	for _, d := range sortedByTime(fires) {
		p.take(d)
	}
	return p, nil
}

func (p *Plan) take(d *DeadLetter) {
	p.letters[place{d.Kind, d.partition, d.offset}] = true
	if d.Kind == Events {
		p.Events++
	} else {
		p.Deliveries++
	}
	if len(p.First) < maxFirst {
		p.First = append(p.First, d)
	}
}

func sortedByTime(fires map[string]*DeadLetter) []*DeadLetter {
	list := make([]*DeadLetter, 0, len(fires))
	for _, d := range fires {
		list = append(list, d)
	}
	slices.SortFunc(list, func(a, b *DeadLetter) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
	})
	return list
}

// dropDelivered takes out of fires what the delivery log says has been delivered after it died.
func (r *Reader) dropDelivered(ctx context.Context, topics kafka.Topics, fires map[string]*DeadLetter, p *Plan) error {
	oldest := p.rules.Now
	for _, d := range fires {
		if d.At.Before(oldest) {
			oldest = d.At
		}
	}
	return r.read(ctx, scan{topic: topics.Attempts, since: oldest}, func(record *kgo.Record) error {
		a, err := webhook.DecodeAttempt(record.Value)
		if err != nil || a.Outcome != webhook.Delivered {
			return nil
		}
		if d := fires[a.FireID]; d != nil && !record.Timestamp.Before(d.At) {
			delete(fires, a.FireID)
			p.Left[LeftDelivered]++
		}
		return nil
	})
}

// stays says why a dead letter is left where it is; empty where it can go back.
func (rules *Rules) stays(d *DeadLetter, record *kgo.Record) string {
	if d.Kind == Events {
		switch {
		case d.From.Topic == "":
			return LeftUnknownFrom
		case !slices.Contains(rules.Inputs, d.From.Topic):
			return LeftNoInput
		case headers(record)[headerCut] != "":
			return LeftCut
		}
		return ""
	}
	delivery, err := webhook.DecodeDelivery(record.Value)
	switch {
	case len(record.Value) == 0:
		return LeftCut
	case err != nil:
		return LeftInvalid
	case delivery.RenderError != "":
		return LeftUnrendered
	case delivery.ExpiresAt != nil && rules.Now.After(*delivery.ExpiresAt) && !rules.Expired:
		return LeftExpired
	}
	return ""
}

// Replay writes what p has found back: a delivery to vigil.webhooks under the same fire_id, with all its attempts
// before it and origin replay (delivery 2); an event to its input topic as it was, with its own timestamp. It returns
// how many records the brokers have taken.
func (r *Reader) Replay(ctx context.Context, topics kafka.Topics, p *Plan) (written int, err error) {
	if p.Events > 0 {
		if written, err = r.replay(ctx, topics, p, Events, p.rules.Inputs); err != nil {
			return written, err
		}
	}
	if p.Deliveries > 0 {
		n, err := r.replay(ctx, topics, p, Webhooks, []string{topics.Webhooks})
		return written + n, err
	}
	return written, nil
}

// replay writes the dead letters of one kind back to their topics. Each kind has its own producer: deliveries may be larger
// than what input topics take.
func (r *Reader) replay(ctx context.Context, topics kafka.Topics, p *Plan, kind string, targets []string) (written int, err error) {
	counts, batch, err := r.targets(ctx, targets)
	if err != nil {
		return 0, err
	}
	client, err := kgo.NewClient(append(r.client.Opts(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(batch))...)
	if err != nil {
		return 0, fmt.Errorf("replay: %w", err)
	}
	defer client.Close()
	w := &writes{}
	err = r.deadOf(ctx, topics, kind, p.filter, func(d *DeadLetter, record *kgo.Record) error {
		if !p.letters[place{d.Kind, d.partition, d.offset}] {
			return nil
		}
		client.Produce(ctx, p.again(topics, d, record, counts), w.done)
		return w.failed()
	})
	err = errors.Join(err, client.Flush(ctx))
	return w.taken(), errors.Join(w.failed(), err)
}

// targets are the partition counts of the topics that are written to, and the size of a batch that all of them take.
func (r *Reader) targets(ctx context.Context, topics []string) (map[string]int, int32, error) {
	counts := map[string]int{}
	for _, topic := range topics {
		n, err := r.partitions(ctx, topic)
		if err != nil && !errors.Is(err, kafka.ErrMissing) {
			return nil, 0, err
		}
		counts[topic] = n
	}
	settings, err := r.adm.DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		return nil, 0, fmt.Errorf("read the limits of topics: %w", err)
	}
	batch := int32(webhook.MaxRecordBytes)
	for _, topic := range settings {
		batch = min(batch, kafka.BatchBytes(topic, kafka.UsualBatchBytes))
	}
	return counts, batch, nil
}

// again is the record that takes a dead letter back.
func (p *Plan) again(topics kafka.Topics, d *DeadLetter, record *kgo.Record, counts map[string]int) *kgo.Record {
	out := &kgo.Record{Key: record.Key, Value: record.Value}
	for _, h := range record.Headers {
		switch h.Key {
		case headerTopic, headerPartition, headerOffset, headerText, headerReason, headerCut, webhook.HeaderOrigin:
		default:
			out.Headers = append(out.Headers, h)
		}
	}
	if d.Kind == Events {
		out.Topic, out.Timestamp = d.From.Topic, record.Timestamp
		out.Partition = partitionFor(out, d.From.Partition, counts[out.Topic])
		return out
	}
	out.Topic = topics.Webhooks
	out.Headers = append(out.Headers, kgo.RecordHeader{Key: webhook.HeaderOrigin, Value: []byte(webhook.OriginReplay)})
	delivery, err := webhook.DecodeDelivery(record.Value)
	if err != nil { // Plan has seen that it is one
		return out
	}
	delivery.Attempt, delivery.NotBefore = 1, nil
	if delivery.ExpiresAt != nil && p.rules.Now.After(*delivery.ExpiresAt) { // only where the rules want it sent all the same
		delivery.ExpiresAt = nil
	}
	out.Value = delivery.Encode()
	from := int32(-1)
	if delivery.Source.Topic != "" {
		from = delivery.Source.Partition
	}
	out.Partition = partitionFor(out, from, counts[out.Topic])
	return out
}

// partitionFor is the partition it came from, where there is one of that number, else that of its key.
func partitionFor(r *kgo.Record, from int32, n int) int32 {
	if from >= 0 && int(from) < n || n == 0 {
		return from
	}
	return home(r.Key, r.Topic, n)
}

// writes counts what the brokers take.
type writes struct {
	mu  sync.Mutex // guards what follows: promises run on goroutines of the client
	ok  int
	err error
}

func (w *writes) done(r *kgo.Record, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.ok++
	case w.err == nil:
		w.err = fmt.Errorf("write to %s: %w", r.Topic, err)
	}
}

func (w *writes) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *writes) taken() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ok
}
