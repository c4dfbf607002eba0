package inspect_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/inspect"
	"vigil/kafka"
	"vigil/trigger"
	"vigil/webhook"
)

var (
	topics = kafka.Names("vigil")
	start  = time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
)

// bench is a broker with all topics and a client to write with.
type bench struct {
	*testing.T
	client *kgo.Client
	reader *inspect.Reader
}

func newBench(t *testing.T) *bench {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	adm := kadm.NewClient(client)
	if err := kafka.EnsureInputs(t.Context(), adm, []string{"events"}, 3); err != nil {
		t.Fatal(err)
	}
	if err := kafka.Ensure(t.Context(), adm, kafka.Specs(topics, 3)); err != nil {
		t.Fatal(err)
	}
	return &bench{t, client, inspect.NewReader(client)}
}

func (b *bench) write(records ...*kgo.Record) {
	b.Helper()
	if err := b.client.ProduceSync(b.Context(), records...).FirstErr(); err != nil {
		b.Fatal(err)
	}
}

func (b *bench) attempt(fire, user string, after time.Duration, outcome webhook.Outcome) {
	b.Helper()
	at := start.Add(after)
	a := webhook.Attempt{V: 1, FireID: fire, Campaign: "c-" + user, User: user, Attempt: 1, Outcome: outcome, At: at, Origin: "auto"}
	b.write(&kgo.Record{Topic: topics.Attempts, Key: []byte(fire), Value: a.Encode(), Timestamp: at})
}

func (b *bench) dead(fire string, after time.Duration, change func(*webhook.Delivery)) {
	b.Helper()
	d := &webhook.Delivery{
		V: 1, FireID: fire, Campaign: "c", User: "ada", At: start, URL: "https://x.example/", Method: "POST", Body: []byte(`{"a":1}`),
		Source: webhook.Source{Topic: "events", Partition: 2, Offset: 7}, Attempt: 3,
	}
	if change != nil {
		change(d)
	}
	b.write(&kgo.Record{
		Topic: topics.DeadWebhooks, Key: []byte("ada"), Value: d.Encode(), Timestamp: start.Add(after),
		Headers: []kgo.RecordHeader{
			{Key: "fire_id", Value: []byte(fire)},
			{Key: "origin", Value: []byte("manual")},
			{Key: "__connect.errors.topic", Value: []byte(topics.Retry2)},
			{Key: "__connect.errors.partition", Value: []byte("2")},
			{Key: "__connect.errors.offset", Value: []byte("41")},
			{Key: "__connect.errors.exception.message", Value: []byte("http 503")},
			{Key: "x-reason-code", Value: []byte("exhausted")},
		},
	})
}

// all reads a topic from its beginning to its end.
func (b *bench) all(topic string) []*kgo.Record {
	b.Helper()
	ends, err := kadm.NewClient(b.client).ListEndOffsets(b.Context(), topic)
	if err != nil {
		b.Fatal(err)
	}
	left := int64(0)
	ends.Each(func(o kadm.ListedOffset) { left += o.Offset })
	client, err := kgo.NewClient(append(b.client.Opts(), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	var got []*kgo.Record
	for int64(len(got)) < left {
		fetches := client.PollFetches(b.Context())
		if err := fetches.Err(); err != nil {
			b.Fatal(err)
		}
		got = append(got, fetches.Records()...)
	}
	return got
}

func TestAttempts(t *testing.T) {
	b := newBench(t)
	b.attempt("f2", "ada", 2*time.Minute, webhook.Delivered)
	b.attempt("f1", "ada", time.Minute, webhook.Retry)
	b.attempt("f3", "bob", 3*time.Minute, webhook.Dead)
	b.write(&kgo.Record{Topic: topics.Attempts, Key: []byte("x"), Value: []byte("nope"), Timestamp: start})
	for name, row := range map[string]struct {
		want inspect.Attempts
		ids  []string
		log  inspect.Log
	}{
		"all, by time": {inspect.Attempts{}, []string{"f1", "f2", "f3"}, inspect.Log{Shown: 3, Unreadable: 1}},
		"newest":       {inspect.Attempts{Limit: 1}, []string{"f3"}, inspect.Log{Shown: 1, Hidden: 2, Unreadable: 1}},
		"user":         {inspect.Attempts{User: "bob"}, []string{"f3"}, inspect.Log{Shown: 1, Unreadable: 1}},
		"campaign":     {inspect.Attempts{Campaign: "c-ada", Since: start.Add(90 * time.Second)}, []string{"f2"}, inspect.Log{Shown: 1}},
		"since never":  {inspect.Attempts{Since: start.Add(time.Hour)}, nil, inspect.Log{}},
	} {
		t.Run(name, func(t *testing.T) {
			var ids []string
			log, err := b.reader.Attempts(t.Context(), topics, row.want, func(a *webhook.Attempt) error {
				ids = append(ids, a.FireID)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(row.ids, ids) + cmp.Diff(row.log, log); diff != "" {
				t.Error(diff)
			}
		})
	}
	log, err := b.reader.Attempts(t.Context(), topics, inspect.Attempts{FireID: "f2"}, func(*webhook.Attempt) error { return nil })
	if err != nil || log.Shown != 1 {
		t.Errorf("by fire_id: %+v, %v", log, err)
	}
}

func TestAttemptsFollow(t *testing.T) {
	b := newBench(t)
	b.attempt("f1", "ada", time.Minute, webhook.Retry)
	ctx, cancel := context.WithCancel(t.Context())
	var ids []string
	var writer sync.WaitGroup // what it has written may be read before it knows
	_, err := b.reader.Attempts(ctx, topics, inspect.Attempts{User: "ada", Follow: true}, func(a *webhook.Attempt) error {
		ids = append(ids, a.FireID)
		if a.FireID == "f1" {
			writer.Go(func() {
				b.attempt("f9", "bob", time.Minute, webhook.Delivered)
				b.attempt("f2", "ada", time.Minute, webhook.Delivered)
			})
		} else {
			cancel()
		}
		return nil
	})
	if err != nil || !slices.Equal(ids, []string{"f1", "f2"}) {
		t.Errorf("got %q, %v", ids, err)
	}
	cancel()
	writer.Wait()
}

func TestDeadLetters(t *testing.T) {
	b := newBench(t)
	b.dead("f1", time.Minute, nil)
	b.write(&kgo.Record{Topic: topics.DeadEvents, Partition: 1, Key: []byte("bob"), Value: []byte("\xff"), Timestamp: start, Headers: []kgo.RecordHeader{
		{Key: "__connect.errors.topic", Value: []byte("events")},
		{Key: "__connect.errors.partition", Value: []byte("1")},
		{Key: "x-reason-code", Value: []byte("not_json")},
	}})
	list, hidden, err := b.reader.DeadLetters(t.Context(), topics, inspect.DeadFilter{}, 10)
	if err != nil || hidden != 0 || len(list) != 2 {
		t.Fatalf("%d of them, %d hidden, %v", len(list), hidden, err)
	}
	if d := list[1]; d.FireID != "f1" || d.Reason != "exhausted" || d.From != (inspect.Origin{Topic: topics.Retry2, Partition: 2, Offset: 41}) {
		t.Errorf("got %+v", d)
	}
	for _, f := range []inspect.DeadFilter{
		{Reason: "not_json"},
		{User: "bob"},
		{IDs: []string{list[0].ID}},
		{Campaign: "c"},
		{Since: start.Add(time.Second)},
		{IDs: []string{"f1"}},
	} {
		if one, _, err := b.reader.DeadLetters(t.Context(), topics, f, 0); err != nil || len(one) != 1 {
			t.Errorf("%+v: %d, %v", f, len(one), err)
		}
	}
	whole, err := b.reader.Show(t.Context(), topics, "f1")
	if err != nil || len(whole) != 1 || whole[0].Body != `{"a":1}` || len(whole[0].Headers) != 7 {
		t.Errorf("%+v, %v", whole, err)
	}
	whole, err = b.reader.Show(t.Context(), topics, list[0].ID)
	if err != nil || len(whole) != 1 || string(whole[0].Value) != `"`+base64.StdEncoding.EncodeToString([]byte("\xff"))+`"` {
		t.Errorf("%+v, %v", whole, err)
	}
	for _, bad := range []string{"", "events/1", "events/a/1", "other/1/2"} {
		if _, err := b.reader.Show(t.Context(), topics, bad); !errors.Is(err, inspect.ErrID) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// TestDeadLettersOfTransactions: only what a processor committed is shown, and one that is still under way holds nothing up.
func TestDeadLettersOfTransactions(t *testing.T) {
	b := newBench(t)
	writer, err := kgo.NewClient(append(b.client.Opts(), kgo.TransactionalID("p"), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(writer.Close)
	for _, user := range []string{"kept", "aborted", "kept too", "under way"} {
		if err := writer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := writer.ProduceSync(t.Context(), &kgo.Record{Topic: topics.DeadEvents, Key: []byte(user), Value: []byte("{")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if user == "under way" {
			break
		}
		if err := writer.EndTransaction(t.Context(), kgo.TransactionEndTry(user != "aborted")); err != nil {
			t.Fatal(err)
		}
	}
	list, _, err := b.reader.DeadLetters(t.Context(), topics, inspect.DeadFilter{}, 10)
	var users []string
	for _, d := range list {
		users = append(users, d.User)
	}
	slices.Sort(users)
	if want := []string{"kept", "kept too"}; err != nil || !slices.Equal(users, want) {
		t.Errorf("%q, %v", users, err)
	}
}

func TestReplayDeliveries(t *testing.T) {
	b := newBench(t)
	later, soon := start.Add(24*time.Hour), start.Add(time.Minute)
	b.dead("again", time.Minute, func(d *webhook.Delivery) { d.ExpiresAt = &later; d.NotBefore = &soon })
	b.dead("again", 2*time.Minute, func(d *webhook.Delivery) { d.ExpiresAt = &later; d.NotBefore = &soon })
	b.dead("sent", time.Minute, nil)
	b.attempt("sent", "ada", 5*time.Minute, webhook.Delivered)
	b.dead("old", time.Minute, func(d *webhook.Delivery) { d.ExpiresAt = &soon })
	b.dead("bare", time.Minute, func(d *webhook.Delivery) { d.URL, d.RenderError = "", "body.total" })
	b.write(&kgo.Record{Topic: topics.DeadWebhooks, Value: []byte("nope"), Timestamp: start},
		&kgo.Record{Topic: topics.DeadWebhooks, Key: []byte("ada"), Timestamp: start})
	rules := inspect.Rules{Inputs: []string{"events"}, Now: start.Add(time.Hour)}
	plan, err := b.reader.Plan(t.Context(), topics, inspect.DeadFilter{Since: start}, rules)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]int{
		inspect.LeftDiedAgain: 1, inspect.LeftDelivered: 1, inspect.LeftExpired: 1, inspect.LeftUnrendered: 1, inspect.LeftInvalid: 1,
		inspect.LeftCut: 1,
	}
	if diff := cmp.Diff(want, plan.Left); diff != "" || plan.Size() != 1 || len(plan.First) != 1 {
		t.Fatalf("size %d\n%s", plan.Size(), diff)
	}
	if n, err := b.reader.Replay(t.Context(), topics, plan); n != 1 || err != nil {
		t.Fatalf("%d written, %v", n, err)
	}
	got := b.all(topics.Webhooks)
	if len(got) != 1 || got[0].Partition != 2 || string(got[0].Key) != "ada" {
		t.Fatalf("got %v", got)
	}
	d, err := webhook.DecodeDelivery(got[0].Value)
	if err != nil || d.FireID != "again" || d.Attempt != 1 || d.NotBefore != nil || d.ExpiresAt == nil || string(d.Body) != `{"a":1}` {
		t.Errorf("%+v, %v", d, err)
	}
	headers := map[string]string{}
	for _, h := range got[0].Headers {
		headers[h.Key] = string(h.Value)
	}
	if diff := cmp.Diff(map[string]string{"fire_id": "again", "origin": "replay"}, headers); diff != "" {
		t.Error(diff)
	}

	rules.Expired = true
	if plan, err = b.reader.Plan(t.Context(), topics, inspect.DeadFilter{IDs: []string{"old", "none"}}, rules); err != nil || plan.Deliveries != 1 ||
		!slices.Equal(plan.Unknown, []string{"none"}) {
		t.Fatalf("%+v, %v", plan, err)
	}
	if _, err := b.reader.Replay(t.Context(), topics, plan); err != nil {
		t.Fatal(err)
	}
	got = b.all(topics.Webhooks)
	if d, err := webhook.DecodeDelivery(got[1].Value); err != nil || d.FireID != "old" || d.ExpiresAt != nil {
		t.Errorf("%+v, %v", d, err)
	}
}

// TestReplayOfLargeDeliveries: a delivery may be larger than what the input topics take, and goes back all the same.
func TestReplayOfLargeDeliveries(t *testing.T) {
	b := newBench(t)
	large, err := kgo.NewClient(append(b.client.Opts(), kgo.ProducerBatchMaxBytes(webhook.MaxRecordBytes))...)
	if err != nil {
		t.Fatal(err)
	}
	defer large.Close()
	b.client = large
	b.dead("large", time.Minute, func(d *webhook.Delivery) { d.Body = make([]byte, webhook.MaxBodyBytes) })
	b.write(&kgo.Record{Topic: topics.DeadEvents, Key: []byte("ada"), Value: []byte(`{"type":"x"}`), Timestamp: start, Headers: []kgo.RecordHeader{
		{Key: "__connect.errors.topic", Value: []byte("events")}, {Key: "__connect.errors.partition", Value: []byte("1")},
	}})
	plan, err := b.reader.Plan(t.Context(), topics, inspect.DeadFilter{}, inspect.Rules{Inputs: []string{"events"}, Now: start})
	if err != nil || plan.Deliveries != 1 || plan.Events != 1 {
		t.Fatalf("%+v, %v", plan, err)
	}
	if n, err := b.reader.Replay(t.Context(), topics, plan); n != 2 || err != nil {
		t.Errorf("%d written, %v", n, err)
	}
}

func TestReplayEvents(t *testing.T) {
	b := newBench(t)
	letter := func(from, partition string, more ...kgo.RecordHeader) *kgo.Record {
		return &kgo.Record{Topic: topics.DeadEvents, Key: []byte("ada"), Value: []byte(`{"type":"x"}`), Timestamp: start, Headers: append([]kgo.RecordHeader{
			{Key: "trace", Value: []byte("1")},
			{Key: "__connect.errors.topic", Value: []byte(from)},
			{Key: "__connect.errors.partition", Value: []byte(partition)},
			{Key: "x-reason-code", Value: []byte("engine_fault")},
		}, more...)}
	}
	b.write(letter("events", "1"), letter("somewhere", "0"), letter("", "0"),
		letter("events", "1", kgo.RecordHeader{Key: "x-truncated-from-bytes", Value: []byte("3000000")}))
	plan, err := b.reader.Plan(t.Context(), topics, inspect.DeadFilter{}, inspect.Rules{Inputs: []string{"events"}, Now: start})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]int{inspect.LeftUnknownFrom: 1, inspect.LeftNoInput: 1, inspect.LeftCut: 1}, plan.Left); diff != "" || plan.Events != 1 {
		t.Fatalf("%d\n%s", plan.Events, diff)
	}
	if n, err := b.reader.Replay(t.Context(), topics, plan); n != 1 || err != nil {
		t.Fatalf("%d written, %v", n, err)
	}
	got := b.all("events")
	if r := got[0]; r.Partition != 1 || !r.Timestamp.Equal(start) || len(r.Headers) != 1 || string(r.Value) != `{"type":"x"}` {
		t.Errorf("got %+v", r)
	}
}

// record is a user record with a profile and nothing else.
func record(profile string) []byte {
	return append(append([]byte{1, 1, 0, 0, byte(len(profile))}, profile...), 0, 0, 0)
}

func TestUsers(t *testing.T) {
	b := newBench(t)
	b.write(
		&kgo.Record{Topic: topics.State, Key: []byte("ada"), Value: record(`{"n":1}`)},
		&kgo.Record{Topic: topics.State, Key: []byte("bob"), Value: record(`{}`)},
		&kgo.Record{Topic: topics.State, Key: []byte("ada"), Value: record(`{"n":2}`)},
		&kgo.Record{Topic: topics.State, Key: []byte("bob")},
		&kgo.Record{Topic: topics.State, Key: []byte("cleo"), Value: []byte{9}},
		&kgo.Record{Topic: topics.State, Key: []byte(trigger.PartitionKey), Value: []byte{1}},
	)
	u, err := b.reader.User(t.Context(), topics, "ada")
	if err != nil || u.State == nil || string(u.State.Profile) != `{"n":2}` {
		t.Fatalf("%+v, %v", u, err)
	}
	if _, err := json.Marshal(u); err != nil {
		t.Error(err)
	}
	for _, gone := range []string{"bob", "dan"} {
		if _, err := b.reader.User(t.Context(), topics, gone); !errors.Is(err, inspect.ErrUnknownUser) {
			t.Errorf("%s: %v", gone, err)
		}
	}
	s, err := b.reader.Stats(t.Context(), topics)
	if err != nil || s.Users != 2 || s.Profiles != 1 || s.Unreadable != 1 || s.Largest.User != "ada" {
		t.Errorf("%+v, %v", s, err)
	}
}

// TestUserOfAnotherPartition finds a user whose producer did not choose the partition by the key's hash.
func TestUserOfAnotherPartition(t *testing.T) {
	b := newBench(t)
	client, err := kgo.NewClient(append(b.client.Opts(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for id := range int32(3) {
		r := &kgo.Record{Topic: topics.State, Partition: id, Key: []byte{'u', byte('0' + id)}, Value: record(`{}`)}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
		if u, err := b.reader.User(t.Context(), topics, string(r.Key)); err != nil || u.Partition != id {
			t.Errorf("%s: %+v, %v", r.Key, u, err)
		}
	}
}

func TestMissingTopic(t *testing.T) {
	b := newBench(t)
	none := kafka.Names("none")
	_, err := b.reader.Attempts(t.Context(), none, inspect.Attempts{}, nil)
	if !errors.Is(err, kafka.ErrMissing) {
		t.Errorf("got %v", err)
	}
	if _, err := b.reader.User(t.Context(), none, "ada"); !errors.Is(err, kafka.ErrMissing) {
		t.Errorf("got %v", err)
	}
}
