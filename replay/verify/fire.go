package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/webhook"
)

// The parts of a fire that are compared, as a difference names them.
const (
	fieldTopic = iota
	fieldCampaign
	fieldUser
	fieldKey
	fieldAt
	fieldLateBy
	fieldRevision
	fieldSource
	fieldExpires
	fieldRecord
	fieldContentType // from here on it is what was rendered
	fieldEndpoint
	fieldAddress
	fieldHeaders
	fieldBody
	fieldRenderError
	fieldCount
)

var fieldNames = [fieldCount]string{
	"topic", "campaign", "user", "key", "at", "late_by_ms", "revision", "source", "expires_at", "the record's key and headers",
	"content_type", "endpoint", "url, method or path", "headers", "body", "render_error",
}

// fire is a delivery as a processor writes it: what tells which it is, and a sum of each part that is compared.
type fire struct {
	ID, Campaign, User, Key string
	At                      int64 // ms
	Source                  webhook.Source
	Topic                   string
	Offset                  int64 // -1: it does not stand on the topic
	sums                    [fieldCount]uint64
}

// read makes a fire of a record. It is nil where the record is no fire of the live run: one of a backfill, one that
// `vigil deadletters replay` sent again.
func (s *sums) read(r *kgo.Record) (*fire, error) {
	var d webhook.Delivery
	if err := json.Unmarshal(r.Value, &d); err != nil {
		return nil, fmt.Errorf("decode %s/%d at %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	var headers strings.Builder
	for _, h := range r.Headers {
		if h.Key == webhook.HeaderOrigin && string(h.Value) != webhook.OriginAuto || h.Key == webhook.HeaderRun && len(h.Value) > 0 {
			return nil, nil
		}
		fmt.Fprintf(&headers, "%q=%q ", h.Key, h.Value)
	}
	if d.Run != "" {
		return nil, nil
	}
	f := &fire{
		ID: d.FireID, Campaign: d.Campaign, User: d.User, Key: d.Key, At: d.At.UnixMilli(), Source: d.Source,
		Topic: r.Topic, Offset: r.Offset,
	}
	for i, part := range [fieldCount]any{
		fieldTopic: r.Topic, fieldCampaign: d.Campaign, fieldUser: d.User, fieldKey: d.Key, fieldAt: f.At,
		fieldLateBy: d.LateByMS, fieldRevision: d.Revision, fieldSource: d.Source, fieldExpires: stamp(d.ExpiresAt),
		fieldRecord:      fmt.Sprint(string(r.Key), headers.String(), d.V, d.Attempt, stamp(d.NotBefore)),
		fieldContentType: d.ContentType, fieldEndpoint: d.Endpoint, fieldAddress: d.URL + "\n" + d.Method + "\n" + d.Path,
		fieldHeaders: d.Headers, fieldBody: d.Body, fieldRenderError: d.RenderError,
	} {
		f.sums[i] = s.of(part)
	}
	return f, nil
}

// sums makes sums of one seed.
type sums struct{ seed maphash.Seed }

func (s *sums) of(part any) uint64 {
	switch v := part.(type) {
	case string:
		return maphash.String(s.seed, v)
	case []byte:
		return maphash.Bytes(s.seed, v)
	}
	return maphash.String(s.seed, fmt.Sprint(part)) // fmt prints maps in the order of their keys
}

// stamp is a time that may be missing.
func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// differs names the parts in which two fires differ, and tells whether all of them were rendered.
func (f *fire) differs(g *fire) (names []string, rendered bool) {
	rendered = true
	for i := range f.sums {
		if f.sums[i] != g.sums[i] {
			names = append(names, fieldNames[i])
			rendered = rendered && i >= fieldContentType
		}
	}
	return names, rendered
}

// standing is what stands on the topics under one fire_id and has not been made yet by the run.
type standing struct {
	fires []*fire
	made  bool // one of the id has been
}

// board is what stands on the webhooks and shadow topics of a partition.
type board struct {
	sums
	byID       map[string]*standing
	apart      int // of another run, or sent again
	unreadable int
}

// standing reads all fires of a partition.
func (v *verifier) standing(ctx context.Context, id int32) (*board, error) {
	b := &board{sums: sums{maphash.MakeSeed()}, byID: map[string]*standing{}}
	for _, topic := range []string{v.Topics.Webhooks, v.Topics.Shadow} {
		span := v.bounds.fires[topic][id]
		t, err := v.tape(topic, id, span.start, span.end)
		if err != nil {
			return nil, err
		}
		err = b.readAll(ctx, t)
		t.close()
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *board) readAll(ctx context.Context, t *tape) error {
	for {
		r, err := t.peek(ctx)
		if err != nil || r == nil {
			return err
		}
		t.take()
		if r.Attrs.IsControl() {
			continue
		}
		switch f, err := b.read(r); {
		case err != nil:
			b.unreadable++
		case f == nil:
			b.apart++
		case b.byID[f.ID] == nil:
			b.byID[f.ID] = &standing{fires: []*fire{f}}
		default:
			b.byID[f.ID].fires = append(b.byID[f.ID].fires, f)
		}
	}
}

// take takes the fire that stands for one that the run made: of several the one that is equal.
func (b *board) take(made *fire) *fire {
	s := b.byID[made.ID]
	if s == nil || len(s.fires) == 0 {
		return nil
	}
	best := 0
	for i, f := range s.fires {
		if f.sums == made.sums {
			best = i
			break
		}
	}
	f := s.fires[best]
	s.fires = append(s.fires[:best], s.fires[best+1:]...)
	s.made = true
	return f
}
