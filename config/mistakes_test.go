package config_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vigil/config"
)

// The errors are whole: every mistake, in order, a line each.
func TestMistakes(t *testing.T) {
	for _, row := range []struct {
		name, file string
		env        []string
		flags      map[string]string
		want       string
	}{
		{"unknown keys", "procesor: {workers: 1}\nprocessor: {wokers: 2}\ncommit_interval: 1s\ninput: {fields: {usr: a}}\nzzz: 1", nil, nil, `
vigil.yaml:1:1: procesor: unknown key; did you mean processor?
vigil.yaml:2:13: processor.wokers: unknown key; did you mean processor.workers?
vigil.yaml:3:1: commit_interval: unknown key; did you mean processor.commit_interval?
vigil.yaml:4:18: input.fields.usr: unknown key; did you mean input.fields.user?
vigil.yaml:5:1: zzz: unknown key`},
		{"kinds", "group: 5\nprocessor: {workers: many, commit_interval: 100}\nkafka: [a]\nlog: {level: [info]}\ninput: {topics: [1]}", nil, nil, `
vigil.yaml:1:8: group: must be a text, not a number (put it in quotes)
vigil.yaml:2:22: processor.workers: must be a number, not a text
vigil.yaml:2:45: processor.commit_interval: must be a duration such as 100ms or 100s, not a number
vigil.yaml:3:8: kafka: must be an object, not a list
vigil.yaml:4:14: log.level: must be a text, not a list
vigil.yaml:5:18: input.topics: must be a text, not a number (put it in quotes)
vigil.yaml:5:17: input.topics: must name a topic`},
		{"ranges, with an unknown key", "processor: {workers: -1, commit_interval: 0s, wokers: 1}\nlog: {level: inf}\nsink: {max_in_flight: 0}", nil, nil, `
vigil.yaml:1:47: processor.wokers: unknown key; did you mean processor.workers?
vigil.yaml:1:43: processor.commit_interval: must be 10ms..10s, got 0s
vigil.yaml:1:22: processor.workers: must be 0..1024, got -1
vigil.yaml:3:23: sink.max_in_flight: must be 1..100000, got 0
vigil.yaml:2:14: log.level: must be one of trace, debug, info, warn, error, got "inf"; did you mean info?`},
		{"empty texts", "input: {format: \"\", start: \"\", fields: {id: \"\"}}\ndata_dir: \"\"\ntopic_prefix: \"\"\ngroup: \"\"", nil, nil, `
vigil.yaml:1:28: input.start: must be latest, earliest or an RFC 3339 time, got ""
vigil.yaml:3:15: topic_prefix: must be 1 to 200 of a-z 0-9 . - and neither begin nor end with a dot, got ""
vigil.yaml:4:8: group: must be 1 to 200 printable characters without spaces, got ""
vigil.yaml:1:17: input.format: must be one of json, cloudevents, got ""
vigil.yaml:1:45: input.fields.id: must not be empty
vigil.yaml:2:11: data_dir: must not be empty`},
		{"paths", "input: {fields: {user: a..b, type: .t, properties: a.b}}", nil, nil, `
vigil.yaml:1:24: input.fields.user: must be names with dots between them, got "a..b"
vigil.yaml:1:36: input.fields.type: must be names with dots between them, got ".t"`},
		{"variables", "", []string{
			"VIGIL_KAFKA_BROKER=x", "VIGIL_PROCESSOR_WORKERS=x", "VIGIL_LOG_LEVEL=loud", "VIGIL_GROUP=a", "VIGIL_GROUP_FILE=b",
			"VIGIL_DATA_DIR_FILE=/nowhere", "VIGIL_KAFKA_PORT=9092", "KAFKA_TLS_ENABLED=perhaps",
			"VIGIL_SERVICE_HOST=10.0.0.1", "VIGIL_ADMIN_PORT=tcp://10.0.0.1:9321", "VIGIL_PORT_9321_TCP_ADDR=10.0.0.1", "VIGIL_SECRET_CRM=x",
		}, nil, `
VIGIL_DATA_DIR_FILE: open /nowhere: no such file or directory
VIGIL_GROUP_FILE: VIGIL_GROUP is set too; only one of them may be
VIGIL_PROCESSOR_WORKERS: processor.workers: must be a whole number, got "x"
VIGIL_KAFKA_BROKER: unknown variable; did you mean VIGIL_KAFKA_BROKERS?
VIGIL_KAFKA_PORT: unknown variable
KAFKA_TLS_ENABLED: must be true or false, got "perhaps"
VIGIL_LOG_LEVEL: log.level: must be one of trace, debug, info, warn, error, got "loud"`},
		{"flags", "", nil, map[string]string{"sink.max_inflight": "3", "sasl.mechanizm": "PLAIN", "acks": "1", "workers": "2"}, `
-X acks: leave it out: vigil always waits for all replicas
-X sasl.mechanizm: unknown key; did you mean sasl.mechanism?
-X sink.max_inflight: unknown key; did you mean sink.max_in_flight?
-X workers: unknown key; did you mean processor.workers?`},
		{"properties", "kafka: {brokers: [a:1], properties: {sasl.mechanizm: PLAIN, acks: 1, linger.ms: 99999, session.timeout.ms: soon,\n" +
			"  compression.type: zip, client.id: 0123, fetch.max.wait.ms: 10, fetch.wait.max.ms: 20}}", nil, nil, `
vigil.yaml:2:37: kafka.properties.client.id: must be a text, not a number (put it in quotes)
vigil.yaml:2:66: kafka.properties.fetch.wait.max.ms: is the same as fetch.max.wait.ms, which is set too
vigil.yaml:1:61: kafka.properties.acks: leave it out: vigil always waits for all replicas
vigil.yaml:2:3: kafka.properties.compression.type: must be one of none, gzip, snappy, lz4, zstd, got "zip"; did you mean gzip?
vigil.yaml:1:70: kafka.properties.linger.ms: must be 0..60000, got "99999"
vigil.yaml:1:38: kafka.properties.sasl.mechanizm: unknown Kafka property; did you mean sasl.mechanism?
vigil.yaml:1:88: kafka.properties.session.timeout.ms: must be 100..3600000, got "soon"`},
		{"security", "kafka: {brokers: [a:1], properties: {security.protocol: SASL_PLAINTEXT, sasl.mechanism: PLAIN, ssl.key.location: k}}", nil, nil, `
kafka.properties.sasl.username: is needed with security.protocol SASL_PLAINTEXT
kafka.properties.sasl.password: is needed with security.protocol SASL_PLAINTEXT
vigil.yaml:1:96: kafka.properties.ssl.key.location: needs security.protocol SSL or SASL_SSL (or KAFKA_TLS_ENABLED=true)
kafka.properties.ssl.certificate.location: and ssl.key.location go together`},
		{"a login nobody uses", "kafka: {brokers: [a:1]}", []string{"VIGIL_KAFKA_PROPERTIES_SASL_PASSWORD=hunter2"}, nil, `
VIGIL_KAFKA_PROPERTIES_SASL_PASSWORD: kafka.properties.sasl.password: needs security.protocol SASL_SSL or SASL_PLAINTEXT (or KAFKA_TLS_ENABLED=true)`},
		{"encryption of the embedded broker", "kafka: {properties: {security.protocol: ssl}}", nil, nil, `
vigil.yaml:1:22: kafka.properties.security.protocol: must be PLAINTEXT with the embedded broker, got "SSL"`},
		{"heartbeats", "kafka: {properties: {session.timeout.ms: 6000, heartbeat.interval.ms: 6000}}", nil, nil, `
vigil.yaml:1:48: kafka.properties.heartbeat.interval.ms: must be less than session.timeout.ms, got 6000`},
		{"references", "group: ${env:NOPE}\ninstance: ${env\ndata_dir: ${vault:x}\ncampaigns: \"${file:/nowhere}\"", nil, nil, `
vigil.yaml:1:8: ${env:NOPE}: the variable is not set
vigil.yaml:2:11: a reference has no end: ${env:NAME}, ${file:PATH}; $${ stands for the characters themselves
vigil.yaml:3:11: ${vault:x}: only ${env:NAME} and ${file:PATH} are known
vigil.yaml:4:12: ${file:/nowhere}: open /nowhere: no such file or directory`},
		{"brokers", "kafka: {brokers: [embedded, b:1]}", nil, nil, `
vigil.yaml:1:18: kafka.brokers: must be embedded alone, or a list of HOST:PORT`},
		{"broker", "kafka: {brokers: embeded}", nil, nil, `
vigil.yaml:1:18: kafka.brokers: must be embedded, or a list of HOST:PORT, got "embeded"; did you mean embedded?`},
		{"topics", "input: {topics: [vigil.state, a, a, \"b c\"], profiles_topic: a}", nil, nil, `
vigil.yaml:1:17: input.topics: must not be a topic that vigil writes, got vigil.state
vigil.yaml:1:17: input.topics: names a twice
vigil.yaml:1:17: input.topics: must be topics of 1 to 200 of a-z A-Z 0-9 . _ -, got "b c"
vigil.yaml:1:61: input.profiles_topic: must not be one of input.topics, got a`},
		{"names", "topic_prefix: my_team\ngroup: a b\ninstance: a/b\nadmin: {listen: nine}", nil, nil, `
vigil.yaml:1:15: topic_prefix: must be 1 to 200 of a-z 0-9 . - and neither begin nor end with a dot, got "my_team"
vigil.yaml:2:8: group: must be 1 to 200 printable characters without spaces, got "a b"
vigil.yaml:3:11: instance: must be 1 to 200 of a-z A-Z 0-9 . _ -, got "a/b"
vigil.yaml:4:17: admin.listen: must be HOST:PORT, or empty for none, got "nine"`},
		{"egress", "sink: {allow_ports: [9000, 0], deny: [10.0.0.0/8, \"fe80::1%lo\"], proxy: \"http://u:hunter2@p:1\", proxy_auth: hunter2, responses: all}", nil, nil, `
vigil.yaml:1:109: sink.proxy_auth: must be env:NAME or file:PATH; a secret never stands here itself
vigil.yaml:1:21: sink.allow_ports: must be ports from 1 to 65535, got "0"
vigil.yaml:1:38: sink.deny: must be addresses or ranges such as 10.42.0.0/16, got "fe80::1%lo"
vigil.yaml:1:73: sink.proxy: must be http://HOST:PORT or https://HOST:PORT; a password goes into sink.proxy_auth
vigil.yaml:1:129: sink.responses: must be one of discard, keep, got "all"`},
		{"secret", "sink: {default_secrets: [hunter2]}", nil, nil, `
vigil.yaml:1:25: sink.default_secrets: must be env:NAME or file:PATH; a secret never stands here itself`},
		{"no object", "- a", nil, nil, `
vigil.yaml:1:1: the configuration must be an object, not a list`},
		{"no YAML", "a: b: c", nil, nil, `
vigil.yaml:1:4: mapping value is not allowed in this context`},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := load(t, row.file, row.env, row.flags)
			if err == nil {
				t.Fatal("no error")
			}
			if diff := cmp.Diff(strings.Split(row.want, "\n")[1:], strings.Split(err.Error(), "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Validate judges what was not loaded, too, and names keys without places.
func TestValidate(t *testing.T) {
	c := config.Default()
	c.Processor.CommitInterval, c.Kafka.Brokers, c.Kafka.Properties = 0, nil, config.Properties{"sasl.pasword": "hunter2"}
	const want = `kafka.brokers: must name a broker, or be embedded
kafka.properties.sasl.pasword: unknown Kafka property; did you mean sasl.password?
processor.commit_interval: must be 10ms..10s, got 0s`
	if diff := cmp.Diff(want, c.Validate().Error()); diff != "" {
		t.Error(diff)
	}
}
