package processor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"vigil/kafka"
)

// topicSet is what the topics are like in the life of a session.
type topicSet struct {
	count  int32             // partitions of the inputs, and of what is theirs
	ids    map[string]string // by name; none where the brokers know no ids
	limits map[string]int32  // bytes of a batch that a topic takes
}

const batchMargin = 4096 // bytes that the frame of a batch takes at most

// findTopics looks at the topics, makes those of vigil that are missing, and refuses a changed partition count. An input
// or a changelog that was made anew since this process first saw it is not what the state in hand is of.
func (p *Processor) findTopics(ctx context.Context) (topicSet, error) {
	count, err := kafka.InputPartitions(ctx, p.adm, p.inputs())
	if err != nil {
		return topicSet{}, p.known(err)
	}
	if p.count != 0 && count != p.count {
		return topicSet{}, p.partitionsChanged(strconv.Itoa(int(count)))
	}
	specs := kafka.Specs(p.cfg.Topics, count)
	if p.topicIDs != nil { // a changelog that is gone must not come back empty
		specs = slices.DeleteFunc(specs, func(s kafka.Spec) bool { return s.Name == p.cfg.Topics.State })
	}
	if err := kafka.Ensure(ctx, p.adm, specs); err != nil {
		return topicSet{}, p.known(err)
	}
	set := topicSet{count: count}
	if set.ids, err = p.findIDs(ctx); err != nil {
		return set, err
	}
	p.count, p.topicIDs = count, set.ids
	set.limits = p.findLimits(ctx, kafka.Specs(p.cfg.Topics, count))
	return set, nil
}

// known is err, which nothing mends where the partition counts do not fit.
func (p *Processor) known(err error) error {
	if errors.Is(err, kafka.ErrPartitions) {
		return fmt.Errorf("%w: %w", errFatal, err)
	}
	return err
}

func (p *Processor) partitionsChanged(count string) error {
	return fmt.Errorf("%w: the inputs %v have %s partitions, they had %d: the same user is now in another partition than their state. "+
		"Let the processors finish what they read, then begin anew with another topic_prefix and group", errFatal, p.inputs(), count, p.count)
}

// findIDs are the ids of all topics read and written.
func (p *Processor) findIDs(ctx context.Context) (map[string]string, error) {
	ids, err := p.listIDs(ctx)
	for began := time.Now(); errors.Is(err, kafka.ErrMissing) && time.Since(began) < visibleWithin; {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		ids, err = p.listIDs(ctx)
	}
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(ids)) {
		was, knew := p.topicIDs[name]
		switch {
		case !knew || was == ids[name]:
		case name == p.cfg.Topics.State || slices.Contains(p.inputs(), name):
			return nil, p.madeAnew(name)
		default:
			p.cfg.Log.Error().Str("topic", name).Msg("topic was deleted and made anew: what was in it is gone, processing goes on")
		}
	}
	return ids, nil
}

// visibleWithin is how long a topic that was made may be unknown to some brokers.
const visibleWithin = 10 * time.Second

func (p *Processor) listIDs(ctx context.Context) (map[string]string, error) {
	t := p.cfg.Topics
	names := append(slices.Clone(p.inputs()), t.State, t.Webhooks, t.Shadow, t.Journal, t.DeadEvents)
	details, err := p.adm.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	ids := map[string]string{}
	for _, name := range names {
		d, ok := details[name]
		if !ok || errors.Is(d.Err, kerr.UnknownTopicOrPartition) {
			return nil, fmt.Errorf("topic %s: %w: it was deleted, or the brokers do not tell of it yet", name, kafka.ErrMissing)
		}
		if d.Err != nil {
			return nil, fmt.Errorf("find topic %s: %w", name, d.Err)
		}
		if d.ID != (kadm.TopicID{}) {
			ids[name] = d.ID.String()
		}
	}
	return ids, nil
}

// madeAnew is the error of a topic that has another id than the one that offsets and state belong to.
func (p *Processor) madeAnew(topic string) error {
	if topic == p.cfg.Topics.State {
		return fmt.Errorf("%w: topic %s was deleted and made anew: the state of users was in it. "+
			"To begin without the past: stop all processors, delete the consumer group %s, start again", errFatal, topic, p.cfg.Group)
	}
	return fmt.Errorf("%w: input topic %s was deleted and made anew: the offsets and the state of group %s are of the old one. "+
		"To go on with the new one and the state so far: stop all processors, set the group's offsets "+
		"(kafka-consumer-groups --group %s --topic %s --reset-offsets --to-earliest --execute), start again",
		errFatal, topic, p.cfg.Group, p.cfg.Group, topic)
}

// findLimits are the sizes of a batch that the topics take: a larger one would be refused with every small record in it.
// One that takes less than it should is warned of.
func (p *Processor) findLimits(ctx context.Context, specs []kafka.Spec) map[string]int32 {
	limits, names := map[string]int32{}, []string{}
	for _, s := range specs {
		limits[s.Name] = kafka.UsualBatchBytes
		if n, err := strconv.ParseInt(s.Settings["max.message.bytes"], 10, 32); err == nil {
			limits[s.Name] = int32(n)
		}
		names = append(names, s.Name)
	}
	configs, err := p.adm.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return limits // who may not ask takes them for what they should be
	}
	for _, topic := range configs {
		n := kafka.BatchBytes(topic, limits[topic.Name])
		if n >= limits[topic.Name] {
			continue
		}
		p.cfg.Log.Warn().Str("topic", topic.Name).Int32("max.message.bytes", n).Int32("wanted", limits[topic.Name]).
			Msg("the topic takes smaller records than vigil may write; `vigil topics check` tells what to set")
		limits[topic.Name] = n
	}
	return limits
}

// batchBytes is the limit of the client for a topic.
func (t *topicSet) batchBytes(topic string) int32 {
	if n, ok := t.limits[topic]; ok {
		return n
	}
	return kafka.UsualBatchBytes
}

// largest is how large a record may be so that a topic takes it.
func (t *topicSet) largest(topic string) int { return int(t.batchBytes(topic)) - batchMargin }

// landmarks are what a commit says of the topics that it belongs to, in the metadata of its offsets. They are what a
// later owner compares with what it finds.
type landmarks struct {
	V      int               `json:"v"`
	Inputs map[string]string `json:"inputs"` // id of each input
	State  string            `json:"state"`  // id of the changelog
	At     int64             `json:"at"`     // where the changelog went on, at least
}

// landmarks are those of a commit of now.
func (p *partition) landmarks(ids map[string]string) *string {
	marks := landmarks{V: 1, Inputs: map[string]string{}, State: ids[p.cfg.Topics.State], At: p.written.Load()}
	for _, topic := range p.inputs() {
		marks.Inputs[topic] = ids[topic]
	}
	raw, err := json.Marshal(marks)
	if err != nil {
		panic(err) // a struct of numbers and strings always marshals
	}
	text := string(raw)
	return &text
}

// noteMarks takes in the metadata of fetched offsets. It is called before assigned is, by the same goroutine.
func (s *session) noteMarks(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range resp.Groups {
		for _, t := range g.Topics {
			for _, p := range t.Partitions {
				s.noteMark(p.Partition, p.Metadata)
			}
		}
	}
	return nil
}

// noteMark keeps the newest landmarks of a partition.
func (s *session) noteMark(id int32, metadata *string) {
	if metadata == nil {
		return
	}
	marks := readLandmarks(*metadata)
	if marks != nil && (s.marks[id] == nil || s.marks[id].At < marks.At) {
		s.marks[id] = marks
	}
}

// readLandmarks reads the metadata of an offset. That of another program, or of a version that wrote none, says nothing: nil.
func readLandmarks(metadata string) *landmarks {
	marks := &landmarks{}
	if json.Unmarshal([]byte(metadata), marks) != nil || marks.V != 1 {
		return nil
	}
	return marks
}

// misplaced says why a partition's offset in a topic is none to begin at; nil where it is one.
func (s *session) misplaced(topic string, id int32, offset int64) error {
	if id >= s.topics.count {
		return s.partitionsChanged("more")
	}
	marks := s.marks[id]
	if marks == nil {
		return nil
	}
	was, now := marks.Inputs[topic], s.topics.ids[topic]
	if was != "" && now != "" && (was != now || offset < 0) {
		return s.madeAnew(topic)
	}
	return nil
}
