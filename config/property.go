package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"vigil/source"
)

const propertiesPath = "kafka.properties"

// Properties are Kafka settings by name. Load leaves only first names (sasl.mechanism, not sasl.mechanisms) with
// values in their usual case. However it is printed, secrets are masked.
type Properties map[string]string

// masked is a copy with stars for secrets.
func (p Properties) masked() map[string]string {
	shown := make(map[string]string, len(p))
	for name, value := range p {
		if secretProperty(name) {
			value = stars
		}
		shown[name] = value
	}
	return shown
}

// Format prints p with secrets masked, whatever the verb.
func (p Properties) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "%v", p.masked()) }

// MarshalJSON writes p with secrets masked.
func (p Properties) MarshalJSON() ([]byte, error) { return json.Marshal(p.masked()) }

// property is a Kafka setting under its usual name, of librdkafka or of the Java client. What the values do is up to
// the room kafka; here is only which there are.
type property struct {
	name        string
	aliases     []string // other names for it
	values      []string // that it may have; nil: any
	least, most int64    // of a number; 0, 0: it is a text
	secret      bool
	text        string // for the documentation
}

const hour = 60 * 60 * 1000 // in milliseconds

// properties are all that are understood.
var properties = []property{
	{name: "security.protocol", values: []string{"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"}, text: "Encryption and login; default `PLAINTEXT`."},
	{name: "sasl.mechanism", aliases: []string{"sasl.mechanisms"}, values: []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}, text: "How to log in."},
	{name: "sasl.username", text: "Who logs in."},
	{name: "sasl.password", secret: true, text: "With which password; best as `${file:/run/secrets/...}`."},
	{name: jaasProperty, secret: true, text: "User name and password as the Java client has them."},
	{name: "ssl.ca.location", text: "PEM file of the authorities to trust; default those of the system."},
	{name: "ssl.certificate.location", text: "PEM file of the client's certificate."},
	{name: "ssl.key.location", text: "PEM file of the client's key, not encrypted."},
	{name: "ssl.endpoint.identification.algorithm", values: []string{"https", "none"}, text: "`none` accepts any certificate: for tests only."},
	{name: "client.id", text: "What brokers call this client; default `vigil-` and the instance."},
	{name: "session.timeout.ms", least: 100, most: hour, text: "How long a silent member keeps its partitions."},
	{name: "heartbeat.interval.ms", least: 100, most: hour, text: "How often a member says that it is alive; less than the session timeout."},
	{name: "transaction.timeout.ms", least: 1000, most: hour, text: "How long a dead processor can hold back readers."},
	{name: "request.timeout.ms", aliases: []string{"socket.timeout.ms"}, least: 100, most: hour / 4, text: "How long an answer may take, beyond what the request itself allows."},
	{name: "fetch.max.bytes", least: 1024, most: 1 << 30, text: "Of one answer, in bytes."},
	{name: "max.partition.fetch.bytes", aliases: []string{"fetch.message.max.bytes"}, least: 1024, most: 1 << 30, text: "Of one partition in one answer, in bytes."},
	{name: "fetch.min.bytes", least: 1, most: 1 << 30, text: "What the broker waits for, in bytes."},
	{name: "fetch.wait.max.ms", aliases: []string{"fetch.max.wait.ms"}, least: 10, most: hour, text: "How long it waits for them."},
	{name: "linger.ms", aliases: []string{"queue.buffering.max.ms"}, least: 0, most: 60_000, text: "How long a batch waits for more records."},
	{name: "compression.type", aliases: []string{"compression.codec"}, values: []string{"none", "gzip", "snappy", "lz4", "zstd"}, text: "Of what is written."},
}

// moved are properties that have a key of their own.
var moved = map[string]string{
	"bootstrap.servers": "kafka.brokers", "metadata.broker.list": "kafka.brokers", "group.id": "group",
	"group.instance.id": "instance", "auto.offset.reset": "input.start",
}

// retired are well-known properties that vigil does not take, and why.
var retired = map[string]string{
	"acks":                        "leave it out: vigil always waits for all replicas",
	"enable.idempotence":          "leave it out: it is always on",
	"isolation.level":             "leave it out: what vigil wrote is always read committed",
	"enable.auto.commit":          "leave it out: offsets are committed with the work",
	"transactional.id":            "leave it out: each processor makes its own",
	"max.poll.interval.ms":        "leave it out: there is no limit between polls; see session.timeout.ms",
	"partitioner":                 "leave it out: a user's records keep their partition",
	"partitioner.class":           "leave it out: a user's records keep their partition",
	"key.serializer":              "leave it out: records are bytes",
	"value.serializer":            "leave it out: records are bytes",
	"key.deserializer":            "leave it out: records are bytes",
	"value.deserializer":          "leave it out: records are bytes",
	"ssl.truststore.location":     "use ssl.ca.location with a PEM file",
	"ssl.truststore.password":     "use ssl.ca.location with a PEM file",
	"ssl.keystore.location":       "use ssl.certificate.location and ssl.key.location with PEM files",
	"ssl.keystore.password":       "use ssl.certificate.location and ssl.key.location with PEM files",
	"ssl.key.password":            "use ssl.key.location with a key that is not encrypted",
	"sasl.kerberos.service.name":  "Kerberos is not spoken: use PLAIN or SCRAM",
	"sasl.oauthbearer.config":     "OAuth is not spoken: use PLAIN or SCRAM",
	"sasl.login.callback.handler": "OAuth is not spoken: use PLAIN or SCRAM",
}

// KnownProperties are the first names of all Kafka properties that are understood. What Load leaves in
// Kafka.Properties has one of these names, except sasl.jaas.config, which has become user name and password.
func KnownProperties() []string {
	names := make([]string, 0, len(properties))
	for _, p := range properties {
		names = append(names, p.name)
	}
	return names
}

// findProperty finds a property by any of its names.
func findProperty(name string) (property, bool) {
	for _, p := range properties {
		if p.name == name || slices.Contains(p.aliases, name) {
			return p, true
		}
	}
	return property{}, false
}

func knownProperty(name string) bool {
	_, ok := findProperty(name)
	return ok || moved[name] != ""
}

// propertyNames are all names that are read.
func propertyNames() []string {
	names := slices.Collect(maps.Keys(moved))
	for _, p := range properties {
		names = append(append(names, p.name), p.aliases...)
	}
	slices.Sort(names)
	return names
}

// secretProperty tells whether the value of a property must not be shown; of an unknown one by its name.
func secretProperty(name string) bool {
	if p, ok := findProperty(name); ok {
		return p.secret
	}
	lower := strings.ToLower(name)
	return strings.Contains(lower, "password") || strings.Contains(lower, "secret") || strings.Contains(lower, "key") ||
		strings.Contains(lower, "jaas") || strings.Contains(lower, "token")
}

// fileProperties takes the members of kafka.properties in the file.
func (l *loader) fileProperties(r *source.Reader, n *source.Node) {
	if !is(r, n, source.Object, propertiesPath) {
		return
	}
	first := map[string]string{}
	for _, f := range n.Fields {
		p, _ := findProperty(f.Name)
		if old, twice := first[p.name]; twice && p.name != "" {
			r.Fail(&source.Node{Line: f.Line, Col: f.Col}, "duplicate_field", "%s.%s: is the same as %s, which is set too", propertiesPath, f.Name, old)
			continue
		}
		first[p.name] = f.Name
		// A text that looks like a number is not taken for one: 0123 would be 83.
		number := (p.most > 0 || p.name == "") && f.Value.Kind == source.Number
		if number || is(r, f.Value, source.String, propertiesPath+"."+f.Name) {
			l.property(f.Name, l.expand(r, f.Value), l.place(&source.Node{Line: f.Line, Col: f.Col}))
		}
	}
}

// assignProperties takes the text of a variable or a flag for the whole map: name=value,name=value.
func (l *loader) assignProperties(text, origin string) {
	set := Properties{}
	if err := (key{value: reflect.ValueOf(&set).Elem()}).setText(text); err != nil {
		l.failf("%s: %s: %w", origin, propertiesPath, err)
		return
	}
	l.Origins[propertiesPath] = origin
	for _, name := range slices.Sorted(maps.Keys(set)) {
		l.property(name, set[name], origin)
	}
}

// property takes one property under its first name, its value in the case of the table. Unknown ones stay, for
// Validate to name.
func (l *loader) property(name, value, origin string) {
	p, known := findProperty(name)
	switch {
	case name == jaasProperty:
		user, password, err := parseJAAS(value)
		if err != nil {
			l.failf("%s: %s.%s: %w", origin, propertiesPath, name, err)
			return
		}
		l.property("sasl.username", user, origin)
		l.property("sasl.password", password, origin)
		return
	case known:
		name, value = p.name, p.usual(value)
	}
	l.Kafka.Properties[name] = value
	l.Origins[propertiesPath+"."+name] = origin
}

// usual is a value in the case of the table.
func (p property) usual(value string) string {
	if p.name == "ssl.endpoint.identification.algorithm" && value == "" { // how the Java client is told
		return "none"
	}
	for _, w := range p.values {
		if strings.EqualFold(w, value) {
			return w
		}
	}
	return value
}

// problem tells why a value cannot be; empty where it can. A secret is never repeated.
func (p property) problem(value string) string {
	switch {
	case p.values != nil && !slices.Contains(p.values, p.usual(value)):
		return fmt.Sprintf("must be one of %s, got %q%s", strings.Join(p.values, ", "), value, didYouMean(value, p.values))
	case p.most > 0:
		if n, err := strconv.ParseInt(value, 10, 64); err != nil || n < p.least || n > p.most {
			return fmt.Sprintf("must be %d..%d, got %q", p.least, p.most, value)
		}
	case value == "":
		return "must not be empty"
	}
	return ""
}

const jaasProperty = "sasl.jaas.config"

var (
	jaasModule = regexp.MustCompile(`^\s*[\w.]*\.(PlainLoginModule|ScramLoginModule)\s+required\s`)
	jaasEscape = regexp.MustCompile(`\\(.)`)
	jaasOption = regexp.MustCompile(`(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([^\s;"']+))`)
)

// parseJAAS reads user name and password of the Java client's form: MODULE required username="u" password="p";
func parseJAAS(text string) (user, password string, err error) {
	bad := errors.New(`must be PlainLoginModule or ScramLoginModule required username="..." password="...";`)
	if !jaasModule.MatchString(text) {
		return "", "", bad
	}
	for _, m := range jaasOption.FindAllStringSubmatch(text, -1) {
		value := jaasEscape.ReplaceAllString(m[2], "$1") + m[3] + m[4]
		switch m[1] {
		case "username":
			user = value
		case "password":
			password = value
		}
	}
	if user == "" || password == "" {
		return "", "", bad
	}
	return user, password, nil
}

// moveProperties gives the properties that have a key of their own to that key, unless what set the key goes before.
func (l *loader) moveProperties() {
	for _, name := range slices.Sorted(maps.Keys(moved)) {
		value, set := l.Kafka.Properties[name]
		if !set {
			continue
		}
		path, origin := moved[name], l.Origins[propertiesPath+"."+name]
		delete(l.Kafka.Properties, name)
		delete(l.Origins, propertiesPath+"."+name)
		switch value {
		case "smallest", "beginning":
			value = "earliest"
		case "largest", "end":
			value = "latest"
		}
		switch was := l.Origins[path]; {
		case rank(origin) > rank(was):
			l.assign(path, value, origin)
		case rank(origin) == rank(was):
			l.failf("%s: %s.%s: is the same as %s, which is set too (%s)", origin, propertiesPath, name, path, was)
		}
	}
}
