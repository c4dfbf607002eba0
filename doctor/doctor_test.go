package doctor_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/config"
	"vigil/doctor"
	"vigil/kafka"
	"vigil/sink/egress"
)

// ward is a cluster, folders and a checkup of them.
type ward struct {
	*testing.T
	adm     *kadm.Client
	checkup doctor.Checkup
	failed  bool // of the last finds
}

func newWard(t *testing.T) *ward {
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
	cfg := config.Default()
	dir := t.TempDir()
	cfg.Kafka.Brokers = cluster.ListenAddrs()
	cfg.DataDir, cfg.Campaigns, cfg.Endpoints = filepath.Join(dir, "data", "deep"), filepath.Join(dir, "campaigns"), filepath.Join(dir, "endpoints")
	w := &ward{T: t, adm: kadm.NewClient(client), checkup: doctor.Checkup{
		Config: cfg, Client: client, Now: time.Now().Truncate(time.Millisecond),
		Policy: egress.Policy{LookupEnv: func(string) (string, bool) { return "whsec_YW5vdGhlci1hbm90aGVyLWFub3RoZXItYW5vdGhlciE=", true }},
	}}
	w.file(cfg.Campaigns, "c.yaml", "{id: c, trigger: {type: single_action, did: x}, webhook: {endpoint: shop}}")
	if err := kafka.EnsureInputs(t.Context(), w.adm, cfg.Input.Topics, 2); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *ward) file(dir, name, text string) {
	w.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		w.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		w.Fatal(err)
	}
}

func (w *ward) create() {
	w.Helper()
	if err := kafka.Ensure(w.Context(), w.adm, kafka.Specs(kafka.Names("vigil"), 2)); err != nil {
		w.Fatal(err)
	}
}

// receiver listens and adds an endpoint for it.
func (w *ward) receiver(more string) {
	w.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = l.Close() })
	w.file(w.checkup.Config.Endpoints, "shop.yaml", "{name: shop, url: 'http://"+l.Addr().String()+"', allow_http: true"+more+"}")
}

func (w *ward) alter(topic, name, value string) {
	w.Helper()
	if _, err := w.adm.AlterTopicConfigs(w.Context(), []kadm.AlterConfig{{Name: name, Value: &value}}, topic); err != nil {
		w.Fatal(err)
	}
}

// finds runs the checkup and wants these findings among others: level, check, part of the text, part of the fix.
func (w *ward) finds(want ...[4]string) {
	w.Helper()
	client, err := kgo.NewClient(w.checkup.Client.Opts()...) // which remembers no topics of before
	if err != nil {
		w.Fatal(err)
	}
	defer client.Close()
	checkup := w.checkup
	checkup.Client = client
	found := checkup.Run(w.Context())
	if w.failed = doctor.Failed(found); len(found) == 0 {
		w.Error("nothing was looked at")
	}
	for _, row := range want {
		ok := false
		for _, f := range found {
			ok = ok || string(f.Level) == row[0] && f.Check == row[1] && strings.Contains(f.Text, row[2]) && strings.Contains(f.Fix, row[3])
		}
		if !ok {
			w.Errorf("not found: %q in\n%+v", row, found)
		}
	}
	for _, f := range found {
		if (f.Level == doctor.OK) != (f.Fix == "") || f.Text == "" {
			w.Errorf("a finding is ok or has a fix: %+v", f)
		}
	}
}

func TestHealthy(t *testing.T) {
	w := newWard(t)
	w.create()
	w.receiver(", allow_private: true, secrets: ['env:A']")
	w.finds([][4]string{
		{"ok", "brokers", "1 broker, all reachable"},
		{"ok", "auth", "on this machine only"},
		{"ok", "topics", "13 topics of 2 partitions"},
		{"ok", "timestamps", "ahead"},
		{"ok", "clock", "ahead"},
		{"warn", "lag", "group vigil.sink has no members", "vigil sink"},
		{"ok", "lock", "no state"},
		{"ok", "campaigns", "1 campaign in"},
		{"ok", "endpoints", "shop: reachable at 127.0.0.1:"},
	}...)
	if w.failed {
		t.Error("something fails")
	}
}

func TestCampaignsTopic(t *testing.T) {
	w := newWard(t)
	w.checkup.Config.Campaigns = "topic"
	w.finds([4]string{"fail", "campaigns", "reads a folder", "set campaigns"})
}

func TestTopics(t *testing.T) {
	w := newWard(t)
	w.finds([4]string{"warn", "topics", "12 topics are missing: vigil.webhooks, vigil.webhooks.retry-1", "vigil topics create"})
	w.create()
	w.alter("vigil.state", "cleanup.policy", "delete")
	w.alter("vigil.state", "max.message.bytes", "1000000")
	w.alter("vigil.webhooks", "max.message.bytes", "1000000")
	w.alter("vigil.webhooks", "cleanup.policy", "compact")
	w.alter("vigil.journal", "retention.ms", "1000")
	w.alter("events", "retention.ms", "86400000")
	w.alter("events", "cleanup.policy", "compact")
	w.file(w.checkup.Config.Campaigns, "h.yaml", "{id: h, history: 30d, trigger: {type: inaction_within_time, did: x, did_not: y, within: 3d}, webhook: {endpoint: shop}}")
	w.finds([][4]string{
		{"fail", "topics", "topic vigil.state go with time", "--entity-name vigil.state --add-config cleanup.policy=compact"},
		{"fail", "topics", "a user may have 8388608", "max.message.bytes=8388608"},
		{"warn", "topics", "topic vigil.webhooks takes records of 1000000 bytes", "max.message.bytes=2097152"},
		{"fail", "topics", "topic vigil.webhooks keeps one record a key", "cleanup.policy=delete"},
		{"warn", "retention", "topic vigil.journal keeps 1s", "retention.ms=-1"},
		{"warn", "retention", "campaign h asks for 30d of history, topic events keeps 1d", "retention.ms=2592000000"},
		{"warn", "retention", "campaign h looks back 3d", "retention.ms=259200000"},
		{"fail", "retention", "topic events is compacted", "cleanup.policy=delete"},
	}...)
	w.checkup.Config.Input.Topics = []string{"events", "vigil.campaigns"}
	w.finds([4]string{"fail", "topics", "have 2 and 1 partitions", "input.topics"})
	w.checkup.Config.Input.Topics = []string{"nothing"}
	w.finds([4]string{"fail", "topics", `input topic "nothing"`, "vigil topics create"})
}

func TestTimestamps(t *testing.T) {
	w := newWard(t)
	w.create()
	soon := &kgo.Record{Topic: "events", Value: []byte("{}"), Timestamp: w.checkup.Now.Add(time.Hour)}
	drift := &kgo.Record{Topic: "vigil.attempts", Value: []byte("{}"), Timestamp: w.checkup.Now.Add(10 * time.Second)}
	if err := w.checkup.Client.ProduceSync(t.Context(), soon, drift).FirstErr(); err != nil {
		t.Fatal(err)
	}
	w.finds([][4]string{
		{"warn", "timestamps", "topic events is 1h0m0s ahead", "LogAppendTime"},
		{"warn", "clock", "topic vigil.attempts is 10s ahead", "chronyc"},
	}...)
}

func TestReceivers(t *testing.T) {
	w := newWard(t)
	w.create()
	w.receiver("")
	w.file(w.checkup.Config.Endpoints, "gone.yaml", "{name: gone, url: 'http://127.0.0.1:1/', allow_http: true, allow_private: true}")
	w.file(w.checkup.Config.Campaigns, "d.yaml", "{id: d, trigger: {type: single_action, did: x}, webhook: {endpoint: nowhere}}")
	w.file(w.checkup.Config.Campaigns, "e.yaml", "{id: e, trigger: {type: single_action, did: x}, webhook: {url: 'https://10.0.0.1/{{ user }}?a=1'}}")
	w.finds([][4]string{
		{"fail", "endpoints", `endpoint "nowhere"`, "add it"},
		{"fail", "endpoints", "shop: blocked by egress policy (allow_private)", "allow_private: true"},
		{"fail", "endpoints", "https://10.0.0.1: blocked", "allow_private: true"},
		{"fail", "endpoints", "gone: ", "curl -v http://127.0.0.1:1"},
	}...)
	w.file(w.checkup.Config.Campaigns, "f.yaml", "{id: f}")
	w.file(w.checkup.Config.Endpoints, "bad.yaml", "{name: bad}")
	w.finds([][4]string{
		{"fail", "campaigns", "cannot be used", "vigil lint "},
		{"fail", "endpoints", "bad.yaml:1:1", "mend the file"},
	}...)
	w.checkup.Config.Campaigns = filepath.Join(t.TempDir(), "none")
	w.finds([4]string{"fail", "campaigns", "no such file", "mkdir -p"})
}

func TestDefaultSecrets(t *testing.T) {
	w := newWard(t)
	w.receiver(", allow_private: true, secrets: ['env:A']")
	w.checkup.Policy.DefaultSecrets = []string{"file:/none"}
	w.finds([4]string{"fail", "endpoints", "default secrets: secret file:/none", "set the variable"})
}

func TestHost(t *testing.T) {
	w := newWard(t)
	dir := w.checkup.Config.DataDir
	store, err := badger.Open(badger.DefaultOptions(filepath.Join(dir, "state", "0")).WithLogger(nil))
	if err != nil {
		t.Fatal(err)
	}
	w.finds([4]string{"ok", "lock", "has the state of 1 partition open"})
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	w.checkup.Config.Sink.MaxInFlight = 1 << 30
	w.finds([4]string{"ok", "lock", "open to nobody"}, [4]string{"warn", "descriptors", "open files", "ulimit"})
	w.checkup.Config.DataDir = "/dev/null/state"
	w.finds([4]string{"fail", "disk", "cannot be written", "set data_dir"})
}

// A broker that takes connections and never answers, as one that is frozen does, is one finding, and hides none of the others.
func TestFrozenBroker(t *testing.T) {
	w := newWard(t)
	w.create()
	frozen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = frozen.Close() }()
	seeds := append([]string{frozen.Addr().String()}, w.checkup.Config.Kafka.Brokers...)
	client, err := kgo.NewClient(kgo.SeedBrokers(seeds...), kgo.MetadataMinAge(10*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	w.checkup.Client, w.checkup.Config.Kafka.Brokers = client, seeds
	w.finds([][4]string{
		{"fail", "brokers", seeds[0] + " does not answer", "start the broker"},
		{"ok", "brokers", "1 broker, all reachable"},
		{"ok", "topics", "13 topics of 2 partitions"},
		{"ok", "clock", "ahead"},
		{"warn", "lag", "group vigil.sink has no members", "vigil sink"},
	}...)
}

func TestNoBroker(t *testing.T) {
	w := newWard(t)
	client, err := kgo.NewClient(kgo.SeedBrokers("127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	w.checkup.Client, w.checkup.Config.Kafka.Brokers = client, []string{"127.0.0.1:1"}
	w.finds([4]string{"fail", "brokers", "127.0.0.1:1 does not answer", "start the broker"}, [4]string{"ok", "campaigns", "1 campaign"})
}
