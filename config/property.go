package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

const propertiesPath = "kafka.properties"

// property is a Kafka setting under its usual name, of librdkafka or of the Java client. What the values do is up to
// the room kafka; here is only which there are.
type property struct {
	name   string
	alias  string   // another name for it
	values []string // that it may have; nil: any
	number bool     // of milliseconds or bytes, 1 or more
	secret bool
	text   string // for the documentation
}

// properties are all that are understood.
var properties = []property{
	{name: "security.protocol", values: []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, text: "encryption and login"},
	{name: "sasl.mechanism", alias: "sasl.mechanisms", values: []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}, text: "how to log in"},
	{name: "sasl.username", text: "who logs in"},
	{name: "sasl.password", secret: true, text: "with which password; better as `${file:/run/secrets/...}`"},
	{name: "ssl.ca.location", alias: "ssl.truststore.location", text: "PEM file of the authorities to trust; default: those of the system"},
	{name: "ssl.ca.pem", alias: "ssl.truststore.certificates", text: "the same as text"},
	{name: "ssl.certificate.location", alias: "ssl.keystore.location", text: "PEM file of the client's certificate; its key too, where ssl.key.location is not set"},
	{name: "ssl.certificate.pem", alias: "ssl.keystore.certificate.chain", text: "the same as text"},
	{name: "ssl.key.location", text: "PEM file of the client's key, not encrypted"},
	{name: "ssl.key.pem", alias: "ssl.keystore.key", secret: true, text: "the same as text"},
	{name: "ssl.endpoint.identification.algorithm", values: []string{"https", "none", ""}, text: "`none` accepts a certificate of any name"},
	{name: "enable.ssl.certificate.verification", values: []string{"true", "false"}, text: "`false` accepts any certificate: for tests only"},
	{name: "client.id", text: "default: `vigil-` and the instance"},
	{name: "client.rack", text: "reads from replicas in the same rack"},
	{name: "session.timeout.ms", number: true, text: "how long a silent member keeps its partitions; default 10000"},
	{name: "heartbeat.interval.ms", number: true, text: "default 3000"},
	{name: "max.poll.interval.ms", alias: "rebalance.timeout.ms", number: true, text: "how long a rebalance waits for a member; default 60000"},
	{name: "transaction.timeout.ms", number: true, text: "how long a dead processor can hold back readers; default 15000"},
	{name: "request.timeout.ms", alias: "socket.timeout.ms", number: true, text: "of one request, beyond what the request itself allows"},
	{name: "connections.max.idle.ms", number: true, text: "closes connections not used for so long"},
	{name: "metadata.max.age.ms", alias: "topic.metadata.refresh.interval.ms", number: true, text: "how often topics and leaders are looked up"},
	{name: "fetch.max.bytes", number: true, text: "of one answer"},
	{name: "max.partition.fetch.bytes", alias: "fetch.message.max.bytes", number: true, text: "of one partition in one answer"},
	{name: "fetch.min.bytes", number: true, text: "that the broker waits for"},
	{name: "fetch.max.wait.ms", alias: "fetch.wait.max.ms", number: true, text: "how long it waits for them"},
	{name: "linger.ms", alias: "queue.buffering.max.ms", number: true, text: "how long a batch waits for more records"},
	{name: "compression.type", alias: "compression.codec", values: []string{"none", "gzip", "snappy", "lz4", "zstd"}, text: "of what is written; default snappy"},
	{name: "acks", alias: "request.required.acks", values: []string{"all", "-1"}, text: "only `all`: less would lose fires"},
	{name: "enable.idempotence", values: []string{"true"}, text: "only `true`"},
	{name: "isolation.level", values: []string{"read_committed"}, text: "only `read_committed`"},
	{name: "enable.auto.commit", values: []string{"false"}, text: "only `false`"},
}

// moved are properties that have a key of their own.
var moved = map[string]string{
	"bootstrap.servers": "kafka.brokers", "metadata.broker.list": "kafka.brokers", "group.id": "group",
	"group.instance.id": "instance", "auto.offset.reset": "input.start",
}

// resets are the values of auto.offset.reset.
var resets = map[string]string{"smallest": "earliest", "beginning": "earliest", "largest": "latest", "end": "latest"}

// findProperty finds a property by either of its names.
func findProperty(name string) (property, bool) {
	for _, p := range properties {
		if p.name == name || p.alias != "" && p.alias == name {
			return p, true
		}
	}
	return property{}, false
}

func propertyNames() []string {
	names := slices.Collect(maps.Keys(moved))
	for _, p := range properties {
		names = append(names, p.name)
		if p.alias != "" {
			names = append(names, p.alias)
		}
	}
	slices.Sort(names)
	return names
}

// moveProperties gives the properties that have a key of their own to that key, where nothing else set it.
func (l *loader) moveProperties() {
	for _, name := range slices.Sorted(maps.Keys(moved)) {
		value, set := l.Kafka.Properties[name]
		if !set {
			continue
		}
		path, origin := moved[name], l.Origins[propertiesPath+"."+name]
		delete(l.Kafka.Properties, name)
		delete(l.Origins, propertiesPath+"."+name)
		if word, known := resets[value]; known {
			value = word
		}
		if l.Origins[path] == "default" {
			l.assign(path, value, origin)
		}
	}
}

// validateProperties gives every property its first name and checks the value. A secret is never repeated.
func (v *validation) validateProperties(set map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		path := propertiesPath + "." + name
		p, ok := findProperty(name)
		if !ok {
			v.failf(path, "is no Kafka property that is understood%s", didYouMean(name, propertyNames()))
			continue
		}
		value := set[name]
		switch _, twice := set[p.name]; {
		case twice && name == p.alias:
			v.failf(path, "is the same as %s, which is set too", p.name)
		case p.values != nil && !slices.Contains(p.values, Property(set, p.name)):
			v.failf(path, "must be one of %s, got %q", strings.Join(p.values, ", "), value)
		case p.number:
			if n, err := strconv.Atoi(value); err != nil || n < 0 {
				v.failf(path, "must be a whole number, got %q", value)
			}
		}
	}
	v.validateLogin(set)
}

func (v *validation) validateLogin(set map[string]string) {
	protocol, mechanism := strings.ToUpper(Property(set, "security.protocol")), Property(set, "sasl.mechanism")
	sasl := strings.HasPrefix(protocol, "SASL")
	switch {
	case sasl && mechanism == "":
		v.failf(propertiesPath+".sasl.mechanism", "is needed with security.protocol %s", protocol)
	case sasl && Property(set, "sasl.username") == "":
		v.failf(propertiesPath+".sasl.username", "is needed with security.protocol %s", protocol)
	case !sasl && mechanism != "":
		v.failf(propertiesPath+".security.protocol", "must be SASL_SSL or SASL_PLAINTEXT where sasl.mechanism is set")
	}
}

// Property is the value of a Kafka property under its first name or its other one, words in the case of the table;
// empty where it is not set.
func Property(set map[string]string, name string) string {
	p, ok := findProperty(name)
	if !ok {
		panic(fmt.Sprintf("config: no property %s", name))
	}
	value, ok := set[p.name]
	if !ok && p.alias != "" {
		value = set[p.alias]
	}
	for _, w := range p.values {
		if strings.EqualFold(w, value) {
			return w
		}
	}
	return value
}

// secretProperty tells whether the value of a property must not be shown; of an unknown one by its name.
func secretProperty(name string) bool {
	p, ok := findProperty(name)
	lower := strings.ToLower(name)
	return ok && p.secret || !ok && (strings.Contains(lower, "password") || strings.Contains(lower, "secret") || strings.Contains(lower, "key"))
}
