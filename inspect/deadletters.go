package inspect

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
	"vigil/webhook"
)

// The two kinds of dead letters, by the topic they are on; an id begins with one of them.
const (
	Events   = "events"
	Webhooks = "webhooks"
)

// Headers of a dead letter (interface 3).
const (
	headerTopic     = "__connect.errors.topic"
	headerPartition = "__connect.errors.partition"
	headerOffset    = "__connect.errors.offset"
	headerText      = "__connect.errors.exception.message"
	headerReason    = "x-reason-code"
	headerCut       = "x-truncated-from-bytes"
)

// DeadLetter is a record of a dead-letter topic, without its value.
type DeadLetter struct {
	ID       string    `json:"id"` // KIND/PARTITION/OFFSET
	Kind     string    `json:"kind"`
	At       time.Time `json:"at"` // the record's timestamp; of an event that of the input record
	Reason   string    `json:"reason"`
	Text     string    `json:"text"`
	Campaign string    `json:"campaign,omitempty"`
	User     string    `json:"user"`
	FireID   string    `json:"fire_id,omitempty"`
	From     Origin    `json:"from"`
	Bytes    int       `json:"bytes"` // of the value

	partition int32 // where it is itself
	offset    int64
}

// Origin is the record that died; an empty topic is not known.
type Origin struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// DeadFilter says which dead letters are wanted; empty fields want all. Events belong to no campaign.
type DeadFilter struct {
	IDs                    []string // ids or fire_ids; empty: all
	Reason, Campaign, User string
	Since                  time.Time
}

// ErrID says that a text is neither the id of a dead letter nor a fire_id.
var ErrID = errors.New("no id of a dead letter: KIND/PARTITION/OFFSET as `vigil deadletters list` shows it, or a fire_id")

// Check errs on ids that cannot be any.
func (f DeadFilter) Check() error {
	for _, id := range f.IDs {
		if _, ok := parseID(id); !ok && strings.ContainsAny(id, "/. ") || id == "" {
			return fmt.Errorf("%q: %w", id, ErrID)
		}
	}
	return nil
}

// place is a dead letter's own.
type place struct {
	kind      string
	partition int32
	offset    int64
}

func parseID(id string) (place, bool) {
	parts := strings.Split(id, "/")
	if len(parts) != 3 || parts[0] != Events && parts[0] != Webhooks {
		return place{}, false
	}
	partition, err1 := strconv.ParseInt(parts[1], 10, 32)
	offset, err2 := strconv.ParseInt(parts[2], 10, 64)
	return place{parts[0], int32(partition), offset}, err1 == nil && err2 == nil && partition >= 0 && offset >= 0
}

// kinds are those that a filter can match.
func (f DeadFilter) kinds() []string {
	if f.Campaign != "" {
		return []string{Webhooks}
	}
	return []string{Events, Webhooks}
}

func (f DeadFilter) wants(d *DeadLetter) bool {
	named := len(f.IDs) == 0
	for _, id := range f.IDs {
		named = named || id == d.ID || d.FireID != "" && id == d.FireID
	}
	return named && (f.Reason == "" || d.Reason == f.Reason) && (f.Campaign == "" || d.Campaign == f.Campaign) &&
		(f.User == "" || d.User == f.User) && !d.At.Before(f.Since)
}

// DeadLetters shows what the filter wants by time, the newest limit of them (0: all); hidden says how many older ones
// there are.
func (r *Reader) DeadLetters(ctx context.Context, topics kafka.Topics, f DeadFilter, limit int) (list []*DeadLetter, hidden int, err error) {
	kept := newest[*DeadLetter]{limit: limit, at: func(d *DeadLetter) time.Time { return d.At }}
	err = r.dead(ctx, topics, f, func(d *DeadLetter, _ *kgo.Record) error {
		kept.add(d)
		return nil
	})
	list = kept.sorted()
	return list, kept.dropped, err
}

// dead visits the dead letters that f wants.
func (r *Reader) dead(ctx context.Context, topics kafka.Topics, f DeadFilter, visit func(*DeadLetter, *kgo.Record) error) error {
	for _, kind := range f.kinds() {
		if err := r.deadOf(ctx, topics, kind, f, visit); err != nil {
			return err
		}
	}
	return nil
}

// deadOf visits those of one kind.
func (r *Reader) deadOf(ctx context.Context, topics kafka.Topics, kind string, f DeadFilter, visit func(*DeadLetter, *kgo.Record) error) error {
	return r.read(ctx, scan{topic: deadTopic(topics, kind), since: f.Since}, func(record *kgo.Record) error {
		if d := deadLetter(kind, record); f.wants(d) {
			return visit(d, record)
		}
		return nil
	})
}

func deadTopic(topics kafka.Topics, kind string) string {
	if kind == Events {
		return topics.DeadEvents
	}
	return topics.DeadWebhooks
}

// deadLetter reads the headers, and of a delivery the value where it is one.
func deadLetter(kind string, record *kgo.Record) *DeadLetter {
	h := headers(record)
	partition, _ := strconv.ParseInt(h[headerPartition], 10, 32)
	offset, _ := strconv.ParseInt(h[headerOffset], 10, 64)
	d := &DeadLetter{
		ID:   fmt.Sprintf("%s/%d/%d", kind, record.Partition, record.Offset),
		Kind: kind, At: record.Timestamp.UTC().Truncate(time.Millisecond), Reason: h[headerReason], Text: h[headerText],
		User: string(record.Key), From: Origin{h[headerTopic], int32(partition), offset}, Bytes: len(record.Value),
		partition: record.Partition, offset: record.Offset,
	}
	if kind == Events {
		return d
	}
	d.Campaign, d.FireID = h[webhook.HeaderCampaign], h[webhook.HeaderFireID]
	if delivery, err := webhook.DecodeDelivery(record.Value); err == nil {
		d.Campaign, d.FireID, d.User = delivery.Campaign, delivery.FireID, delivery.User
	}
	return d
}

func headers(record *kgo.Record) map[string]string {
	m := make(map[string]string, len(record.Headers))
	for _, h := range record.Headers {
		m[h.Key] = string(h.Value)
	}
	return m
}

// Whole is a dead letter with everything it carries.
type Whole struct {
	DeadLetter
	Headers []Header        `json:"headers"`
	Value   json.RawMessage `json:"value"`          // as JSON, else as a text, in base64 where it is none
	Body    string          `json:"body,omitempty"` // of a delivery, where it is text
}

// Header is one header of a record.
type Header struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Show finds the dead letters of one id or fire_id, in order of time.
func (r *Reader) Show(ctx context.Context, topics kafka.Topics, id string) ([]Whole, error) {
	f := DeadFilter{IDs: []string{id}}
	if err := f.Check(); err != nil {
		return nil, err
	}
	var found []Whole
	err := r.dead(ctx, topics, f, func(d *DeadLetter, record *kgo.Record) error {
		w := Whole{DeadLetter: *d, Value: shown(record.Value)}
		for _, h := range record.Headers {
			w.Headers = append(w.Headers, Header{h.Key, string(h.Value)})
		}
		if delivery, err := webhook.DecodeDelivery(record.Value); err == nil && d.Kind == Webhooks && utf8.Valid(delivery.Body) {
			w.Body = string(delivery.Body)
		}
		found = append(found, w)
		return nil
	})
	return found, err
}

// shown is a value as JSON.
func shown(value []byte) json.RawMessage {
	var text any = value // []byte is written in base64
	switch {
	case len(value) == 0:
		return nil
	case json.Valid(value):
		return value
	case utf8.Valid(value):
		text = string(value)
	}
	out, err := json.Marshal(text)
	if err != nil {
		return nil
	}
	return out
}
