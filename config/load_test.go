package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/config"
)

// load writes text as vigil.yaml, into the working folder, and loads it.
func load(t *testing.T, text string, env []string, flags map[string]string) (config.Loaded, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	path := ""
	if text != "" {
		path = "vigil.yaml"
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return config.Load(path, env, flags)
}

func TestDefaults(t *testing.T) {
	l, err := load(t, "", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Instance = l.Instance
	if diff := cmp.Diff(want, l.Config); diff != "" || l.Instance == "" {
		t.Error(l.Instance, diff)
	}
	c := config.Default()
	if err := c.Validate(); err != nil {
		t.Error(err)
	}
}

func TestEveryKindOfValue(t *testing.T) {
	l, err := load(t, `
kafka:
  brokers: [a:9092, "b:9093"]
  properties: {security.protocol: sasl_ssl, sasl.mechanism: PLAIN, sasl.username: ada, sasl.password: "${env:PW}-$${x}", session.timeout.ms: 9000}
input:
  topics: one,two
  fields:
  start: "2026-01-02T03:04:05Z"
processor: {max_event_age: 1d12h, commit_interval: 250ms, clock_grace: 0, workers: 3}
sink: {default_secrets: ["env:VIGIL_WHATEVER"]}
`, []string{"PW=s3cret", "VIGIL_WHATEVER=x", "VIGIL_PROCESSOR_WORKERS=4", "HOME=/x"}, map[string]string{"processor.workers": "5", "ssl.ca.location": "/ca.pem"})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Kafka = config.Kafka{Brokers: []string{"a:9092", "b:9093"}, Properties: config.Properties{
		"security.protocol": "SASL_SSL", "sasl.mechanism": "PLAIN", "sasl.username": "ada", "sasl.password": "s3cret-${x}",
		"session.timeout.ms": "9000", "ssl.ca.location": "/ca.pem",
	}}
	want.Input.Topics, want.Input.Start = []string{"one", "two"}, "2026-01-02T03:04:05Z"
	want.Processor.MaxEventAge, want.Processor.CommitInterval = 36*time.Hour, 250*time.Millisecond
	want.Processor.ClockGrace, want.Processor.Workers = 0, 5
	want.Sink.DefaultSecrets = []string{"env:VIGIL_WHATEVER"}
	want.Instance = l.Instance
	if diff := cmp.Diff(want, l.Config); diff != "" {
		t.Error(diff)
	}
	for key, want := range map[string]string{
		"processor.workers": "-X processor.workers", "input.topics": "vigil.yaml:6:11", "log.level": "default",
		"kafka.properties.sasl.password": "vigil.yaml:4:88", "kafka.properties.ssl.ca.location": "-X ssl.ca.location",
	} {
		if got := l.Origins[key]; got != want {
			t.Errorf("%s comes from %q, want %q", key, got, want)
		}
	}
}

// Mistakes, and the whole error.
func TestMistakes(t *testing.T) {
	for _, row := range []struct {
		name, file string
		env        []string
		flags      map[string]string
		want       string
	}{
		{"unknown key", "procesor: {workers: 1}\nprocessor: {wokers: 2}", nil, nil,
			"vigil.yaml:1:1: the configuration has no field \"procesor\" (did you mean \"processor\"?)\n" +
				"vigil.yaml:2:13: processor has no field \"wokers\" (did you mean \"workers\"?)"},
		{"types", "group: 5\nprocessor: {workers: many, commit_interval: 100}", nil, nil,
			"vigil.yaml:1:8: group must be a text, not a number (put it in quotes: \"5\")\n" +
				"vigil.yaml:2:22: processor.workers must be a whole number, got \"many\"\n" +
				"vigil.yaml:2:45: processor.commit_interval (a duration such as 100ms) must be a text, not a number (put it in quotes: \"100\")"},
		{"ranges", "processor: {workers: -1, commit_interval: 1ms}\nlog: {level: inf}", nil, nil,
			"vigil.yaml:1:43: processor.commit_interval: must be 10ms to 10s in whole milliseconds, got 1ms\n" +
				"vigil.yaml:1:22: processor.workers: must be 0 to 1024, got -1\n" +
				"vigil.yaml:2:14: log.level: must be one of trace, debug, info, warn, error, got \"inf\"; did you mean info?"},
		{"variable", "", []string{"VIGIL_KAFKA_BROKER=x", "VIGIL_PROCESSOR_WORKERS=x", "VIGIL_SERVICE_HOST=10.0.0.1", "VIGIL_ADMIN_PORT=tcp://10.0.0.1:9321", "VIGIL_SECRET_CRM=x"}, nil,
			"VIGIL_KAFKA_BROKER: unknown variable; did you mean VIGIL_KAFKA_BROKERS?\n" +
				"VIGIL_PROCESSOR_WORKERS: processor.workers must be a whole number, got \"x\""},
		{"flag", "", nil, map[string]string{"sink.max_inflight": "3", "sasl.mechanizm": "PLAIN"},
			"-X sasl.mechanizm: unknown key\n-X sink.max_inflight: unknown key; did you mean sink.max_in_flight?"},
		{"property", "kafka: {properties: {sasl.mechanizm: PLAIN, acks: 1}}", nil, nil,
			"vigil.yaml:1:45: kafka.properties.acks: must be one of all, -1, got \"1\"\n" +
				"vigil.yaml:1:22: kafka.properties.sasl.mechanizm: is no Kafka property that is understood; did you mean sasl.mechanism?"},
		{"login", "kafka: {properties: {security.protocol: SASL_SSL}}", nil, nil,
			"kafka.properties.sasl.mechanism: is needed with security.protocol SASL_SSL"},
		{"reference", "group: ${env:NOPE}", nil, nil, "vigil.yaml:1:8: ${env:NOPE}: the variable is not set"},
		{"brokers", "kafka: {brokers: [embedded, \"b:1\"]}", nil, nil, "vigil.yaml:1:18: kafka.brokers: must be embedded alone, or a list of HOST:PORT"},
		{"our own topic", "input: {topics: [vigil.state]}", nil, nil, "vigil.yaml:1:17: input.topics: must not be one of the topics under topic_prefix, got vigil.state"},
		{"start", "input: {start: yesterday}", nil, nil, "vigil.yaml:1:16: input.start: must be latest, earliest or an RFC 3339 time, got \"yesterday\""},
		{"secret", "sink: {default_secrets: [hunter2]}", nil, nil,
			"vigil.yaml:1:25: sink.default_secrets: must be env:NAME or file:PATH; a secret never stands here itself"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := load(t, row.file, row.env, row.flags)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(row.want, err.Error()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestVariables(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "properties")
	if err := os.WriteFile(secret, []byte("sasl.username=ada,sasl.password=pw\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := load(t, "# nothing but a comment\n", []string{
		"KAFKA_BROKERS=x:1", "VIGIL_KAFKA_BROKERS=a:9092, b:9092", "VIGIL_KAFKA_PROPERTIES_FILE=" + secret,
		"KAFKA_SASL_MECHANISM=SCRAM-SHA-512", "KAFKA_TLS_ENABLED=true",
	}, map[string]string{"kafka.properties.client.id": "me"})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Kafka{Brokers: []string{"a:9092", "b:9092"}, Properties: config.Properties{
		"sasl.username": "ada", "sasl.password": "pw", "sasl.mechanism": "SCRAM-SHA-512", "security.protocol": "SASL_SSL", "client.id": "me",
	}}
	if diff := cmp.Diff(want, l.Kafka); diff != "" {
		t.Error(diff)
	}
	if got := l.Origins["kafka.properties.sasl.password"]; got != "VIGIL_KAFKA_PROPERTIES_FILE" {
		t.Error(got)
	}
	if _, err := load(t, "", []string{"VIGIL_GROUP=a", "VIGIL_GROUP_FILE=" + secret}, nil); err == nil {
		t.Error("both a variable and its file were taken")
	}
}

// Properties with a key of their own go there, unless something else set it.
func TestMovedProperties(t *testing.T) {
	l, err := load(t, "kafka: {properties: {bootstrap.servers: \"a:1,b:2\", group.id: shop, auto.offset.reset: smallest}}\ngroup: own", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{strings.Join(l.Kafka.Brokers, " "), l.Group, l.Input.Start, l.Origins["input.start"]}
	if diff := cmp.Diff([]string{"a:1 b:2", "own", "earliest", "vigil.yaml:1:68"}, got); diff != "" {
		t.Error(diff)
	}
	if len(l.Kafka.Properties) != 0 {
		t.Error(l.Kafka.Properties)
	}
}

// What Show prints, secrets masked, loads again.
func TestShow(t *testing.T) {
	l, err := load(t, "instance: vigil-0\nkafka: {brokers: [\"a:1\"], properties: {security.protocol: SASL_SSL, sasl.mechanism: PLAIN, sasl.username: ada, sasl.password: pw}}", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	var plain, origin strings.Builder
	if err := l.Show(&plain, false); err != nil {
		t.Fatal(err)
	}
	if err := l.Show(&origin, true); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "pw") || !strings.Contains(plain.String(), "sasl.password: \"********\"") {
		t.Error(plain.String())
	}
	if want := "  brokers: \"a:1\"                                 # vigil.yaml:2:18\n"; !strings.Contains(origin.String(), want) {
		t.Error(origin.String())
	}
	again, err := load(t, plain.String(), nil, nil)
	if err != nil {
		t.Fatal(err, plain.String())
	}
	l.Kafka.Properties["sasl.password"] = "********"
	if diff := cmp.Diff(l.Config, again.Config); diff != "" {
		t.Error(diff)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("processor: {workers: 3}")
	f.Add("kafka:\n  brokers: [a:1]\n  properties: {sasl.password: ${env:X}}\n")
	f.Add("{\"group\": \"$${\", \"input\": null}")
	f.Add("- a\n- ${")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "vigil.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := config.Load(path, []string{"X=1"}, nil)
		if err == nil {
			err = l.Validate()
		}
		_ = err // any text either loads or is refused
	})
}

func TestDurationsReadAsTheyAreWritten(t *testing.T) {
	for _, text := range []string{"0s", "100ms", "1500ms", "2s", "1m", "1m30s", "2h", "24h", "1h30m", "1h0m5s", "9600h"} {
		l, err := load(t, "processor: {max_event_age: "+text+"}", nil, nil)
		var shown strings.Builder
		if err == nil {
			err = l.Show(&shown, false)
		}
		if err != nil || !strings.Contains(shown.String(), "max_event_age: "+text+"\n") {
			t.Errorf("%s: %v\n%s", text, err, shown.String())
		}
	}
}
