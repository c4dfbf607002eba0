package stream

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/webhook"
)

// want tells what happened, as lines in order.
func want(s *stage, c *command) ([]string, error) {
	look := map[string]func() ([]string, error){
		"webhooks": s.webhooks, "attempts": s.attempts, "decisions": s.decisions, "shadow": s.shadow, "dead": s.deadLetters,
		"journal": s.journal, "nothing": s.nothing,
	}[c.rest]
	if look == nil {
		return nil, fmt.Errorf("nothing is named %q", c.rest)
	}
	lines, err := look()
	slices.SortStableFunc(lines, strings.Compare)
	return lines, err
}

// second is when something happened on the wall clock; less than a second is a matter of ticks and commits.
func second(t time.Time) string { return t.UTC().Format("01-02 15:04:05") }

// exact is a time of the data, with its ms where there are any.
func exact(t time.Time) string {
	return strings.TrimSuffix(t.UTC().Format("01-02 15:04:05.000"), ".000")
}

func (s *stage) webhooks() ([]string, error) {
	var lines []string
	hits := s.receiver.since(s.sent)
	s.sent += len(hits)
	for _, h := range hits {
		lines = append(lines, fmt.Sprintf("%s  %s  #%s %s", second(h.at), h.body, h.attempt, h.answer))
	}
	return lines, nil
}

func (s *stage) nothing() ([]string, error) {
	lines, err := s.webhooks()
	if err == nil && len(lines) > 0 {
		err = fmt.Errorf("there were requests:\n%s", strings.Join(lines, "\n"))
	}
	return nil, err
}

// String is a fire as a timeline tells it.
func (b body) String() string {
	user := b.User
	if b.Key != "" {
		user += "/" + b.Key
	}
	text := fmt.Sprintf("%s %s %s", b.Campaign, user, cmp.Or(b.Trigger.Anchor.ID, "-"))
	if b.Trigger.Slot != "" {
		text += " " + b.Trigger.Slot
	}
	text += "  at " + exact(b.At)
	if b.LateBy > 0 {
		text += fmt.Sprintf(" late by %s", time.Duration(b.LateBy)*time.Millisecond)
	}
	return text
}

func (s *stage) attempts() ([]string, error) {
	records, err := s.read(s.topics.Attempts)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(records, func(a, b *kgo.Record) int { return a.Timestamp.Compare(b.Timestamp) })
	fresh := records[s.tried:]
	s.tried = len(records)
	var lines []string
	for _, r := range fresh {
		a, err := webhook.DecodeAttempt(r.Value)
		if err != nil {
			return nil, err
		}
		line := fmt.Sprintf("%s  %s %s  #%d %s", second(a.At), a.Campaign, a.User, a.Attempt, a.Outcome)
		if a.Reason != "" {
			line += " " + a.Reason
		}
		if a.NextAt != nil {
			line += ", next " + second(*a.NextAt)
		}
		lines = append(lines, line)
	}
	return lines, nil
}

// decisions are the processor's counters since the last time.
func (s *stage) decisions() ([]string, error) {
	now := map[string]float64{}
	for _, registry := range s.registries {
		families, err := registry.Gather()
		if err != nil {
			return nil, err
		}
		for _, f := range families {
			if f.GetName() != "vigil_decisions_total" {
				continue
			}
			for _, m := range f.GetMetric() {
				now[labelsOf(m.GetLabel())] += m.GetCounter().GetValue()
			}
		}
	}
	var lines []string
	for name, n := range now {
		if n -= s.told[name]; n > 0 {
			lines = append(lines, fmt.Sprintf("%s %v", name, n))
		}
	}
	s.told = now
	return lines, nil
}

func (s *stage) shadow() ([]string, error) {
	records, err := s.read(s.topics.Shadow)
	var lines []string
	for _, r := range records {
		d, err := webhook.DecodeDelivery(r.Value)
		if err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%s %s at %s", d.Campaign, d.User, exact(d.At)))
	}
	return lines, err
}

func (s *stage) deadLetters() ([]string, error) {
	var lines []string
	for _, topic := range []string{s.topics.DeadEvents, s.topics.DeadWebhooks} {
		records, err := s.read(topic)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			i := slices.IndexFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == "x-reason-code" })
			if i >= 0 {
				lines = append(lines, fmt.Sprintf("%s %s %s", topic, r.Key, r.Headers[i].Value))
			}
		}
	}
	return lines, nil
}

// labelsOf are the values of campaign and reason.
func labelsOf[L interface{ GetValue() string }](pairs []L) string {
	var labels []string
	for _, l := range pairs {
		labels = append(labels, cmp.Or(l.GetValue(), "-"))
	}
	return strings.Join(labels, " ")
}

// journal tells moves of the clock to the second, clamps exactly, and campaigns adopted later than with the start.
func (s *stage) journal() ([]string, error) {
	records, err := s.read(s.topics.Journal)
	if err != nil {
		return nil, err
	}
	var lines []string
	for _, r := range records {
		var j struct {
			Moves []struct {
				Clock   int64
				Catalog string
				Owner   json.RawMessage
			}
			Clamps []struct {
				Topic      string
				Offset, RT int64
			}
		}
		if err := json.Unmarshal(r.Value, &j); err != nil {
			return nil, err
		}
		for _, m := range j.Moves {
			if m.Clock != 0 {
				lines = append(lines, "clock "+second(time.UnixMilli(m.Clock)))
			}
			if m.Catalog != "" && m.Owner == nil {
				lines = append(lines, "campaigns adopted")
			}
		}
		for _, c := range j.Clamps {
			lines = append(lines, fmt.Sprintf("record %s %d taken as of %s", c.Topic, c.Offset, exact(time.UnixMilli(c.RT))))
		}
	}
	return lines, nil
}

// read is everything that is committed in a topic.
func (s *stage) read(topic string) ([]*kgo.Record, error) {
	ends, err := s.adm.ListEndOffsets(s.t.Context(), topic)
	if err == nil {
		err = ends.Error()
	}
	if err != nil {
		return nil, err
	}
	from, left := map[int32]kgo.Offset{}, map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			from[o.Partition], left[o.Partition] = kgo.NewOffset().AtStart(), o.Offset
		}
	})
	client := s.connect(kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}))
	defer client.Close()
	var all []*kgo.Record
	for len(left) > 0 {
		client.PollFetches(s.t.Context()).EachRecord(func(r *kgo.Record) {
			if r.Offset+1 >= left[r.Partition] {
				delete(left, r.Partition)
			}
			if !r.Attrs.IsControl() {
				all = append(all, r)
			}
		})
	}
	return all, nil
}
