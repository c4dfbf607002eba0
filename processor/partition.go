package processor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/event"
	"vigil/kafka"
	"vigil/state"
	"vigil/trigger"
	"vigil/webhook"
)

// partition is one input partition at work. The session's loop owns it; step runs on a worker while the loop waits.
type partition struct {
	*Processor
	id      int32
	engine  *trigger.Engine // nil until restored
	store   state.Store
	decoder *event.Decoder

	topics    *topicSet
	continued bool       // the group had an offset in some input
	marks     *landmarks // of the last commit; nil: it had none

	// Per input topic: the next offset to process, the next one to poll, and the next one as committed.
	next, read, committed []int64
	undecided             []kafka.Decided // polled, and not known to be committed yet
	queue                 [][]*kgo.Record // polled and not processed
	held                  []bool          // not fetched: too much of it waits
	known                 []bool          // the queue's end is the topic's end, as of knownAt
	knownAt               int64           // ms
	heads                 []head          // of the queues
	lastRT                int64           // of the record taken last, and its topic
	lastTopic             int

	// The transaction in progress.
	moved     bool // there is something to commit
	worked    int  // records
	out       []*kgo.Record
	outBytes  int
	states    []kgo.Record // reused; changelog records of the commit
	journal   Entry
	jotted    int                    // bytes of it, at most
	opening   *Move                  // an adoption that no commit has made known yet
	aside     map[string]*kgo.Record // of the changelog: what could not be read, until a commit has told of it
	hindsight *hindsight             // what is taken in of the past, until that is committed; nil: nothing
	wall      time.Time              // when the step began
	load      *load                  // of the session
	settled   func() bool            // settledEnough
	settles   int                    // users settled in this step
	weighed   weighed                // what of this partition is in it
	more      bool                   // the step ended before all was done
	halfway   bool                   // the engine's clock has not arrived where a record or the wall clock moves it
	target    int64                  // where the wall clock moves it; 0: nowhere
	keys      [][]byte               // reused
	record    *kgo.Record            // in hand; nil while the clock settles

	// The checkpoint to come.
	broken     atomic.Bool  // the disk refused one
	tail       int64        // changelog records since the last checkpoint
	offset     int64        // of the changelog: behind the records of the last commit, and what the memory is a copy of
	written    atomic.Int64 // the same with those of the transaction, which may yet be refused
	topicID    string
	checkpoint time.Time
	left       int  // users still to be written for the one under way
	coming     mark // of the store, once they are
	stored     mark // of the store
	counts     map[outcome]prometheus.Counter
	stats      trigger.Stats // those of them that are in the metrics
	done       chan struct{} // closed when the checkpoint under way ends; nil: none is
}

func newPartition(s *session, id int32) *partition {
	topics := len(s.inputs)
	part := &partition{
		Processor: s.Processor, id: id, load: &s.load, topics: &s.topics, queue: make([][]*kgo.Record, topics), heads: make([]head, topics),
		undecided: make([]kafka.Decided, topics),
		known:     make([]bool, topics), held: make([]bool, topics), counts: map[outcome]prometheus.Counter{},
	}
	part.settled = part.settledEnough
	for range topics {
		part.next, part.read, part.committed = append(part.next, -1), append(part.read, -1), append(part.committed, -1)
	}
	return part
}

// adopt takes over what a restore brought.
func (p *partition) adopt(r *restored) error {
	p.engine, p.store, p.topicID = r.engine, r.store, r.topicID
	p.tail, p.checkpoint = r.tail, time.Now()
	p.offset = r.offset
	p.written.Store(r.offset)
	p.stored, p.left = r.stored, 0
	p.decoder = event.NewDecoder(p.cfg.Fields, p.cfg.Format)
	r.engine.SetFetch(r.store.Get)
	r.emit = p.decided
	// The offsets to begin at are committed with it, so that a new group never begins twice. The state may be that of
	// other campaigns: changed while nobody ran, or adopted while this was restored.
	m := Move{Catalog: Fingerprint(p.cfg.Catalog), Owner: p.owner()}
	if p.hindsight = r.hindsight; p.hindsight != nil {
		m.Past = &p.hindsight.past
	}
	return p.open(m)
}

// setCatalog adopts campaigns, unless the partition is not restored: its restore ends with it.
func (p *partition) setCatalog(cat *campaign.Catalog) error {
	if p.engine == nil {
		return nil
	}
	m := Move{Catalog: Fingerprint(cat)}
	if p.opening != nil {
		m.Owner = p.opening.Owner
	}
	return p.open(m)
}

// open adopts the campaigns in force and journals that. An abort undoes what it changes in the engine, so it is done
// again then.
func (p *partition) open(m Move) error {
	p.opening = &m
	p.note(m)
	if p.hindsight == nil {
		defer p.engine.Adopt()
	}
	return p.engine.SetCatalog(p.cfg.Catalog)
}

// decided is what the engine tells: counted, and a fire becomes a record on its way out.
func (p *partition) decided(d *trigger.Decision) {
	p.count(d)
	if !d.Fire {
		return
	}
	topic := p.cfg.Topics.Webhooks
	if d.Campaign.Shadow {
		topic = p.cfg.Topics.Shadow
	}
	delivery := p.delivery(d)
	r := &kgo.Record{Topic: topic, Partition: p.id, Key: []byte(d.User)}
	for _, h := range delivery.RecordHeaders(p.traceparent()) {
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: []byte(h.Value)})
	}
	r.Value = encode(delivery, min(maxDelivery, p.topics.largest(topic)-size(r)))
	p.send(r)
}

// size is the bytes of a record, about.
func size(r *kgo.Record) int {
	n := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		n += len(h.Key) + len(h.Value) + 8
	}
	return n
}

// outcome is a label pair of the decisions counted.
type outcome struct {
	campaign string
	reason   trigger.Reason
}

// count counts a decision; the children of the metric are looked up once.
func (p *partition) count(d *trigger.Decision) {
	o := outcome{d.CampaignID, d.Reason}
	counter := p.counts[o]
	if counter == nil {
		o.campaign = strings.Clone(o.campaign)
		counter = p.metrics.decision(o)
		p.counts[o] = counter
	}
	counter.Inc()
}

func (p *partition) send(r *kgo.Record) {
	p.out = append(p.out, r)
	p.outBytes += len(r.Key) + len(r.Value)
	p.moved = true
}

// delivery renders a fire. One that cannot be rendered goes out all the same, marked: the sink dead-letters it
// (semantics 4).
func (p *partition) delivery(d *trigger.Decision) *webhook.Delivery {
	c := d.Campaign
	now := time.Now()
	v := &webhook.Delivery{
		V: 1, FireID: d.FireID, Campaign: c.ID, Revision: c.Revision, Run: p.cfg.Times.Run, User: d.User, Key: d.Key,
		At: time.UnixMilli(d.At).UTC(), DecidedAt: now.UTC(), LateByMS: d.LateBy, Attempt: 1,
		Endpoint: c.Webhook.Endpoint, Source: p.source(),
	}
	if c.Webhook.ExpiresAfter > 0 {
		from := v.At
		if v.Run != "" {
			from = v.DecidedAt
		}
		expires := from.Add(time.Duration(c.Webhook.ExpiresAfter) * time.Millisecond)
		v.ExpiresAt = &expires
	}
	rendered, err := c.Render(campaign.Fire{
		FireID: d.FireID, Run: v.Run, User: d.User, Key: d.Key, Slot: d.Slot, At: d.At, LateBy: d.LateBy,
		Anchor: d.Anchor, Events: d.Events, Profile: d.Profile,
	})
	if err != nil {
		v.RenderError = err.Error()
	}
	v.URL, v.Path, v.Method, v.Headers = rendered.URL, rendered.Path, rendered.Method, rendered.Headers
	v.Body, v.ContentType = rendered.Body, rendered.ContentType
	return v
}

// maxDelivery is what a delivery may have in bytes so that its topic takes the record, key and headers included.
const maxDelivery = webhook.MaxRecordBytes - 8<<10

// encode is the value of a delivery's record. One that breaks a rule of deliveries or that its topic would refuse, which
// would stop the partition, goes out without what makes it large, and with the reason: the sink dead-letters it.
func encode(v *webhook.Delivery, limit int) []byte {
	err := v.Validate()
	if err == nil {
		value := v.Encode()
		if len(value) <= limit {
			return value
		}
		err = fmt.Errorf("the delivery has %d bytes, the topic takes at most %d: `vigil topics check` tells what to set", len(value), limit)
	}
	if v.RenderError == "" {
		v.RenderError = err.Error()
	}
	v.RenderError = strings.ToValidUTF8(v.RenderError[:min(len(v.RenderError), webhook.MaxURLBytes)], "")
	v.Body, v.Headers = nil, nil
	v.Key = strings.ToValidUTF8(v.Key[:min(len(v.Key), webhook.MaxKeyBytes)], "")
	return v.Encode()
}

// source is the record whose processing decided, or the position at which the clock did.
func (p *partition) source() webhook.Source {
	if p.record == nil {
		last := len(p.next) - 1
		return webhook.Source{Topic: p.inputs()[last], Partition: p.id, Offset: p.next[last]}
	}
	return webhook.Source{Topic: p.record.Topic, Partition: p.id, Offset: p.record.Offset}
}

// maxTrace is more than any traceparent has: 55 bytes in version 00 of W3C Trace Context.
const maxTrace = 256

func (p *partition) traceparent() string {
	if p.record == nil {
		return ""
	}
	value, _ := header(p.record, "traceparent")
	if len(value) > maxTrace {
		return ""
	}
	return string(value)
}

func header(r *kgo.Record, name string) (value []byte, ok bool) {
	i := slices.IndexFunc(r.Headers, func(h kgo.RecordHeader) bool { return h.Key == name })
	if i < 0 {
		return nil, false
	}
	return r.Headers[i].Value, true
}

func (p *partition) close() error {
	if p.done != nil {
		<-p.done
	}
	if p.store == nil {
		return nil
	}
	return p.store.Close()
}

func (p *partition) label() string { return strconv.Itoa(int(p.id)) }
