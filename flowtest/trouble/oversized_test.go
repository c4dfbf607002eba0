package trouble

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/processor"
	"vigil/webhook"
)

// limit is the max.message.bytes that somebody has set on a topic, far below what vigil asks for.
const limit = 20_000

// limited is a stage one of whose topics takes only small records, and a processor on it whose webhooks carry a property.
func (s *stage) limited(topic string) *running {
	s.t.Helper()
	client := s.connect()
	defer client.Close()
	_, err := kadm.NewClient(client).AlterTopicConfigs(s.t.Context(), []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "max.message.bytes", Value: kadm.StringPtr(strconv.Itoa(limit))},
	}, topic)
	s.must(err)
	var all []*campaign.Campaign
	for _, text := range []string{
		`{id: large, trigger: {type: single_action, did: buy}, webhook: {endpoint: shop, body: {note: "{{ anchor.properties.note }}"}}}`,
		`{id: kept, trigger: {type: inaction_within_time, did: add, did_not: buy, within: 1h}, webhook: {endpoint: shop}}`,
	} {
		c, problems := campaign.Parse("campaign.yaml", []byte(text))
		if campaign.Failed(problems) {
			s.t.Fatal(problems)
		}
		all = append(all, c)
	}
	return s.start(func(cfg *processor.Config) { cfg.Catalog = campaign.NewCatalog(all) })
}

// put writes one event with a note of some length to partition 0.
func (s *stage) put(user, eventType string, note int) {
	s.t.Helper()
	value, err := json.Marshal(map[string]any{"type": eventType, "properties": map[string]any{"note": strings.Repeat("x", note)}})
	s.must(err)
	s.putRaw(user, value)
}

func (s *stage) putRaw(user string, value []byte) {
	s.t.Helper()
	client := s.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()))
	defer client.Close()
	s.must(client.ProduceSync(s.t.Context(), &kgo.Record{Topic: input, Key: []byte(user), Value: value}).FirstErr())
}

// A fire that its topic does not take goes out without its body, marked for the dead letters; others are as they are.
func TestOversizedFire(t *testing.T) {
	inBubble(t, func(s *stage) {
		p := s.limited("vigil.webhooks")
		s.put("ada", "buy", limit)
		s.put("bob", "buy", 10)
		<-time.After(5 * time.Second)
		p.stop()
		got := map[string]*webhook.Delivery{}
		for _, r := range s.read("vigil.webhooks") {
			d, err := webhook.DecodeDelivery(r.Value)
			s.must(err)
			got[d.User] = d
		}
		if d := got["ada"]; d == nil || !strings.Contains(d.RenderError, "takes at most") || len(d.Body) > 0 {
			t.Errorf("the fire that is too large: %+v", d)
		}
		if d := got["bob"]; d == nil || d.RenderError != "" || len(d.Body) == 0 {
			t.Errorf("the other fire: %+v", d)
		}
		wantWords(t, "the log", s.text.Text(), "vigil.webhooks", "takes smaller records", "vigil topics check")
	})
}

// A record that is no event is cut where the dead letters do not take all of it, and the partition moves on.
func TestOversizedDeadLetter(t *testing.T) {
	inBubble(t, func(s *stage) {
		p := s.limited("dlq.vigil.events")
		s.putRaw("ada", []byte(strings.Repeat("{", 2*limit)))
		s.put("bob", "buy", 10)
		<-time.After(5 * time.Second)
		p.stop()
		dead := s.read("dlq.vigil.events")
		if len(dead) != 1 || len(dead[0].Value) < limit/2 || len(dead[0].Value) > limit {
			t.Errorf("%d dead letters", len(dead))
		}
		if n := len(s.read("vigil.webhooks")); n != 1 {
			t.Errorf("%d fires, want 1", n)
		}
	})
}

// A user whose state the changelog does not take cannot be left out: the processor ends and says what to set.
func TestOversizedState(t *testing.T) {
	inBubble(t, func(s *stage) {
		p := s.limited("vigil.state")
		s.put("bob", "add", 10)
		s.put("ada", "add", 2*limit)
		p.ended("vigil.state/0", "ada", "MESSAGE_TOO_LARGE", "vigil topics check")
	})
}
