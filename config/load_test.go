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
		write(t, path, text)
	}
	return config.Load(path, env, flags)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
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

// The file of interface 2 spells out the defaults.
func TestInterface(t *testing.T) {
	l, err := config.Load("testdata/vigil.yaml", nil, map[string]string{"instance": "me"})
	if err != nil {
		t.Fatal(err)
	}
	want := config.Default()
	want.Instance = "me"
	if diff := cmp.Diff(want, l.Config); diff != "" {
		t.Error(diff)
	}
	for key, origin := range l.Origins {
		if origin == "default" && key != "kafka.properties" {
			t.Errorf("%s is not in the file", key)
		}
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

func TestVariables(t *testing.T) {
	dir := t.TempDir()
	secret := filepath.Join(dir, "properties")
	write(t, secret, "sasl.username=ada,sasl.password=pw\n")
	l, err := load(t, "# nothing but a comment\n", []string{
		"KAFKA_BROKERS=x:1", "VIGIL_KAFKA_BROKERS=a:9092, b:9092", "VIGIL_SERVICE_PORT=9321", "KAFKA_SASL_USERNAME=", "VIGIL_KAFKA_PROPERTIES_FILE=" + secret,
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

// Properties with a key of their own go there, unless what set the key goes before.
func TestMovedProperties(t *testing.T) {
	if _, err := load(t, "kafka: {}", nil, map[string]string{"group.instance.id": "p-1", "instance": "p-2"}); err == nil || !strings.Contains(err.Error(), "-X group.instance.id: kafka.properties.group.instance.id: is the same as instance, which is set too (-X instance)") {
		t.Error(err)
	}
	l, err := load(t, "kafka: {properties: {bootstrap.servers: \"a:1,b:2\", group.id: shop, auto.offset.reset: smallest}}\n",
		[]string{"VIGIL_GROUP=own"}, nil)
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

// The file that nobody names may be missing; one that somebody names may not.
func TestWhichFile(t *testing.T) {
	t.Chdir(t.TempDir())
	if _, err := config.Load("vigil.yaml", nil, nil); err == nil {
		t.Error("a named file that is missing is no error")
	}
	if _, err := config.Load("", []string{"VIGIL_CONFIG=other.yaml"}, nil); err == nil {
		t.Error("a file of VIGIL_CONFIG that is missing is no error")
	}
	write(t, "vigil.yaml", "group: by-name")
	write(t, "other.yaml", "group: by-variable")
	for _, row := range []struct {
		path string
		env  []string
		want string
	}{
		{"", nil, "by-name"},
		{"", []string{"VIGIL_CONFIG=other.yaml"}, "by-variable"},
		{"vigil.yaml", []string{"VIGIL_CONFIG=other.yaml"}, "by-name"},
	} {
		if l, err := config.Load(row.path, row.env, nil); err != nil || l.Group != row.want {
			t.Errorf("%q %v: group %s, want %s: %v", row.path, row.env, l.Group, row.want, err)
		}
	}
}

// Flag > variable > alias of a variable > file > default, for every key that is a text.
func TestOrder(t *testing.T) {
	env := []string{"VIGIL_KAFKA_PROPERTIES_CLIENT_ID=variable", "KAFKA_BROKERS=alias:1"}
	file := "kafka: {brokers: [file:1], properties: {client.id: file}}\ngroup: file\n"
	l, err := load(t, file, env, map[string]string{"client.id": "flag"})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{l.Kafka.Properties["client.id"], l.Kafka.Brokers[0], l.Group, l.TopicPrefix}
	if diff := cmp.Diff([]string{"flag", "alias:1", "file", "vigil"}, got); diff != "" {
		t.Error(diff)
	}
	l, err = load(t, file, append(env, "VIGIL_KAFKA_BROKERS=variable:1"), nil)
	if err != nil {
		t.Fatal(err)
	}
	got = []string{l.Kafka.Properties["client.id"], l.Kafka.Brokers[0], l.Origins["kafka.brokers"]}
	if diff := cmp.Diff([]string{"variable", "variable:1", "VIGIL_KAFKA_BROKERS"}, got); diff != "" {
		t.Error(diff)
	}
}

// KAFKA_TLS_ENABLED says that there is encryption; whether there is a login, the rest says.
func TestEncryption(t *testing.T) {
	login := []string{"KAFKA_SASL_MECHANISM=plain", "KAFKA_SASL_USERNAME=ada", "KAFKA_SASL_PASSWORD=pw"}
	for _, row := range []struct {
		file string
		env  []string
		want string
	}{
		{"", []string{"KAFKA_TLS_ENABLED=true"}, "SSL"},
		{"", append([]string{"KAFKA_TLS_ENABLED=1"}, login...), "SASL_SSL"},
		{"", append([]string{"KAFKA_TLS_ENABLED=false"}, login...), "SASL_PLAINTEXT"},
		{"", append([]string{"KAFKA_TLS_ENABLED=true", "VIGIL_KAFKA_PROPERTIES_SECURITY_PROTOCOL=sasl_plaintext"}, login...), "SASL_PLAINTEXT"},
		{"kafka: {properties: {security.protocol: PLAINTEXT}}", []string{"KAFKA_TLS_ENABLED=true"}, "SSL"},
	} {
		l, err := load(t, row.file, append(row.env, "KAFKA_BROKERS=a:1"), nil)
		if got := l.Kafka.Properties["security.protocol"]; err != nil || got != row.want {
			t.Errorf("%v: %s, want %s: %v", row.env, got, row.want, err)
		}
	}
	_, err := load(t, "", append(login, "KAFKA_BROKERS=a:1"), nil)
	if err == nil || !strings.Contains(err.Error(), "KAFKA_SASL_PASSWORD: kafka.properties.sasl.password: needs security.protocol") {
		t.Error("a login without a protocol:", err)
	}
}

func TestJAAS(t *testing.T) {
	const module = "org.apache.kafka.common.security.scram.ScramLoginModule required "
	for text, want := range map[string]string{
		module + `username="ada" password="p;\"w\\ =";`:         `ada p;"w\ =`,
		module + "password='x' \n username=bob":                 "bob x",
		module + `username="ada" password="p" serviceName="k";`: "ada p",
		module + `username="ada";`:                              "",
		`com.evil.Module required username="a" password="s3";`:  "",
		"": "",
	} {
		l, err := load(t, "", []string{"KAFKA_BROKERS=a:1"}, map[string]string{
			"sasl.jaas.config": text, "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512",
		})
		p := l.Kafka.Properties
		if got := strings.TrimSpace(p["sasl.username"] + " " + p["sasl.password"]); got != want || (err == nil) != (want != "") {
			t.Errorf("%s: %q, want %q: %v", text, got, want, err)
		}
		if err != nil && strings.Contains(err.Error(), "s3") {
			t.Error("the error tells the secret:", err)
		}
	}
}

// Any text either loads, and then is valid and shown as it loads again, or is refused.
func FuzzLoad(f *testing.F) {
	for _, text := range []string{
		"processor: {workers: 3}", "kafka:\n  brokers: [a:1]\n  properties: {sasl.password: ${env:X}}\n",
		"{\"group\": \"$${\", \"input\": null}", "- a\n- ${", "input: {topics: [a, b], fields: {user: \"x${env:X}\"}}",
		"processor: {max_event_age: 1w2d, clock_grace: 0}", "kafka: {brokers: [host:9092], properties: {linger.ms: 5}}", "log: {level: ${file:/dev/zero}}",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "file:") {
			t.Skip("reads the machine's files")
		}
		path := filepath.Join(t.TempDir(), "vigil.yaml")
		write(t, path, text)
		l, err := config.Load(path, []string{"X=1"}, nil)
		if err != nil {
			return
		}
		if err := l.Validate(); err != nil {
			t.Fatal("loaded, but not valid:", err)
		}
		var shown strings.Builder
		if err := l.Show(&shown, true); err != nil {
			t.Fatal(err)
		}
		write(t, path, shown.String())
		again, err := config.Load(path, nil, nil)
		if err != nil {
			t.Fatal(err, "\n", shown.String())
		}
		for name, value := range l.Kafka.Properties { // secrets are shown as stars
			if again.Kafka.Properties[name] == "********" {
				again.Kafka.Properties[name] = value
			}
		}
		if diff := cmp.Diff(l.Config, again.Config); diff != "" {
			t.Fatal(diff, shown.String())
		}
	})
}
