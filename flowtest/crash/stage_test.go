package crash

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/flowtest/live"
	"vigil/kafka"
	"vigil/replay"
	"vigil/webhook"
)

const (
	input      = "events"
	partitions = 2
	users      = 12 // of each round, and as many that come in every round
	patience   = 3 * time.Minute
)

// stage is the broker, what was written to it, and the disk of the children.
type stage struct {
	t          *testing.T
	cluster    *kfake.Cluster
	client     *kgo.Client
	adm        *kadm.Client
	ids        map[string][16]byte // of topics
	dir        string
	checkpoint time.Duration
	rounds     int
	lines      [partitions]bytes.Buffer // the input as a simulation reads it
}

func newStage(t *testing.T, checkpoint time.Duration) *stage {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, input))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	s := &stage{t: t, cluster: cluster, dir: t.TempDir(), checkpoint: checkpoint, ids: map[string][16]byte{}}
	s.client = s.connect(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(100*time.Millisecond))
	s.adm = kadm.NewClient(s.client)
	specs := kafka.Specs(kafka.Names("vigil"), partitions)
	if err := kafka.Ensure(t.Context(), s.adm, specs); err != nil {
		t.Fatal(err)
	}
	for _, spec := range specs {
		s.ids[spec.Name] = cluster.TopicInfo(spec.Name).TopicID
	}
	return s
}

func (s *stage) connect(more ...kgo.Opt) *kgo.Client {
	s.t.Helper()
	client, err := kgo.NewClient(append(more, kgo.SeedBrokers(s.cluster.ListenAddrs()...), kgo.MetadataMinAge(50*time.Millisecond))...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(client.Close)
	return client
}

// sendRound writes one round, a partition's part of it as one batch: a cart that is left and one that is bought by users
// of this round alone, and a buy of everybody who comes always.
func (s *stage) sendRound() {
	s.t.Helper()
	s.rounds++
	now := time.Now()
	var records []*kgo.Record
	add := func(i int, user, eventType string) {
		id := fmt.Sprintf("%s-%s-%d", user, eventType, s.rounds)
		value, err := json.Marshal(map[string]any{"user": user, "type": eventType, "id": id, "time": now.UnixMilli(), "received": now.UnixMilli()})
		if err != nil {
			s.t.Fatal(err)
		}
		p := i % partitions
		s.lines[p].Write(append(value, '\n'))
		records = append(records, &kgo.Record{Topic: input, Partition: int32(p), Key: []byte(user), Value: value, Timestamp: now})
	}
	for i := range users {
		cart := fmt.Sprintf("round%d-%d", s.rounds, i)
		add(i, cart, "add")
		if i%3 == 0 {
			add(i, cart, "buy")
		}
		add(i, fmt.Sprintf("always-%d", i), "buy")
	}
	if err := s.client.ProduceSync(s.t.Context(), records...).FirstErr(); err != nil {
		s.t.Fatal(err)
	}
}

// wanted are the fires of an uninterrupted run, sorted.
func (s *stage) wanted() []string {
	s.t.Helper()
	var all []string
	until := time.Now().Add(time.Hour).UnixMilli()
	for p := range partitions {
		var out bytes.Buffer
		_, err := replay.Simulate(s.t.Context(), replay.Simulation{
			Catalog: campaign.NewCatalog(live.Counting()), Options: live.Times(), FiresOnly: true, Until: &until,
		}, bytes.NewReader(s.lines[p].Bytes()), &out)
		if err != nil {
			s.t.Fatal(err)
		}
		for line := range bytes.Lines(out.Bytes()) {
			var d struct {
				Campaign, User, Anchor string
				At                     int64
				FireID                 string `json:"fire_id"`
			}
			if err := json.Unmarshal(line, &d); err != nil {
				s.t.Fatal(err)
			}
			all = append(all, fmt.Sprint(p, d.Campaign, d.User, d.At, d.FireID))
		}
	}
	slices.Sort(all)
	return all
}

// fires are those that are committed, sorted; one that is there twice is listed twice.
func (s *stage) fires() []string {
	s.t.Helper()
	var all []string
	for _, r := range s.read("vigil.webhooks") {
		d, err := webhook.DecodeDelivery(r.Value)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, fmt.Sprint(r.Partition, d.Campaign, d.User, d.At.UnixMilli(), d.FireID))
	}
	slices.Sort(all)
	return all
}

// read is everything that is committed in a topic.
func (s *stage) read(topic string) []*kgo.Record {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	records, err := live.ReadAll(ctx, s.connect, topic)
	if err != nil {
		s.t.Fatal(err)
	}
	return records
}

// awaitFires waits until as many fires are committed as are wanted of what was written, or the child has died.
func (s *stage) awaitFires(c *child) {
	s.t.Helper()
	want := len(s.wanted())
	end := time.NewTimer(patience)
	defer end.Stop()
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for !c.dead() {
		got := len(s.fires())
		if got >= want {
			return
		}
		select {
		case <-ticker.C:
		case <-end.C:
			s.t.Fatalf("%d of %d fires within %s\n%s", got, want, patience, c.log.Text())
		}
	}
}
