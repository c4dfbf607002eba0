package config

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vigil/config/endpoints"
)

// Validate joins every rule that c breaks, each as "key: rule, got value". Secrets are not repeated.
func (c Config) Validate() error {
	v := validation{c: &c}
	v.all()
	return errors.Join(v.errs...)
}

// validation collects what is wrong.
type validation struct {
	c       *Config
	origins map[string]string // nil: unknown
	errs    []error
}

// validate puts the origin before each error.
func (l *loader) validate() {
	v := validation{c: &l.Config, origins: l.Origins}
	v.all()
	l.errs = append(l.errs, v.errs...)
}

func (v *validation) failf(path, format string, args ...any) {
	place := ""
	if o := v.origins[path]; o != "" && o != byDefault {
		place = o + ": "
	}
	v.errs = append(v.errs, fmt.Errorf("%s%s: %s", place, path, fmt.Sprintf(format, args...)))
}

func (v *validation) all() {
	c := v.c
	v.brokers(c.Kafka.Brokers)
	v.properties(c.Kafka.Properties)
	v.inputs()
	if strings.Trim(c.TopicPrefix, prefixLetters) != "" || !fits(c.TopicPrefix) || strings.Trim(c.TopicPrefix, ".") != c.TopicPrefix {
		v.failf("topic_prefix", "must be 1 to 200 of a-z 0-9 . - and neither begin nor end with a dot, got %q", c.TopicPrefix)
	}
	if !fits(c.Group) || strings.ContainsFunc(c.Group, func(r rune) bool { return r <= ' ' || r > '~' }) {
		v.failf("group", "must be 1 to 200 printable characters without spaces, got %q", c.Group)
	}
	if c.Instance != "" && !isName(c.Instance) {
		v.failf("instance", "must be 1 to 200 of a-z A-Z 0-9 . _ -, got %q", c.Instance)
	}
	v.sink()
	if c.Admin.Listen != "" && !hostPort(c.Admin.Listen, 0) {
		v.failf("admin.listen", "must be HOST:PORT, or empty for none, got %q", c.Admin.Listen)
	}
	for _, k := range keys(c) {
		v.tagged(k)
	}
}

func (v *validation) sink() {
	c := v.c.Sink
	for _, ref := range c.DefaultSecrets {
		v.reference("sink.default_secrets", ref)
	}
	if c.ProxyAuth != "" {
		v.reference("sink.proxy_auth", c.ProxyAuth)
	}
	if _, err := endpoints.Ports(c.AllowPorts); err != nil {
		v.failf("sink.allow_ports", "%v", err)
	}
	if _, err := endpoints.Ranges(c.Deny); err != nil {
		v.failf("sink.deny", "%v", err)
	}
	u, err := url.Parse(c.Proxy)
	if c.Proxy != "" && (err != nil || u.Hostname() == "" || u.User != nil || u.Path != "" || u.Scheme != "http" && u.Scheme != "https") {
		v.failf("sink.proxy", "must be http://HOST:PORT or https://HOST:PORT; a password goes into sink.proxy_auth") // not repeated: it may hold one
	}
}

// reference checks that a text is a reference to a secret; the text may be a secret itself and is not repeated.
func (v *validation) reference(path, ref string) {
	if !endpoints.IsReference(ref) {
		v.failf(path, "must be env:NAME or file:PATH; a secret never stands here itself")
	}
}

// tagged checks what the tags of a field say.
func (v *validation) tagged(k key) {
	mayBeEmpty := k.path == "instance" || strings.Contains(k.allowed, "empty")
	switch k.value.Interface().(type) {
	case int, time.Duration:
		if least, most := k.bounds(); k.value.Int() < least || k.value.Int() > most {
			v.failf(k.path, "must be %s, got %s", k.allowed, k.text())
		}
	case string:
		text := k.value.String()
		switch {
		case k.oneOf != nil && !slices.Contains(k.oneOf, text):
			v.failf(k.path, "must be one of %s, got %q%s", strings.Join(k.oneOf, ", "), text, didYouMean(text, k.oneOf))
		case text == "" && !mayBeEmpty && k.path != "topic_prefix" && k.path != "group" && k.path != "input.start":
			v.failf(k.path, "must not be empty")
		case text != "" && strings.HasPrefix(k.allowed, "a path") && slices.Contains(strings.Split(text, "."), ""):
			v.failf(k.path, "must be names with dots between them, got %q", text)
		}
	}
}

func (v *validation) brokers(brokers []string) {
	switch {
	case len(brokers) == 0:
		v.failf("kafka.brokers", "must name a broker, or be %s", Embedded)
	case len(brokers) > 1 && slices.Contains(brokers, Embedded):
		v.failf("kafka.brokers", "must be %s alone, or a list of HOST:PORT", Embedded)
	case brokers[0] == Embedded:
	default:
		for _, b := range brokers {
			if !hostPort(b, 1) {
				v.failf("kafka.brokers", "must be %s, or a list of HOST:PORT, got %q%s", Embedded, b, didYouMean(b, []string{Embedded}))
			}
		}
	}
}

func (v *validation) inputs() {
	in := v.c.Input
	if len(in.Topics) == 0 {
		v.failf("input.topics", "must name a topic")
	}
	for i, topic := range in.Topics {
		v.inputTopic("input.topics", topic)
		if slices.Contains(in.Topics[:i], topic) {
			v.failf("input.topics", "names %s twice", topic)
		}
	}
	if p := in.ProfilesTopic; p != "" {
		v.inputTopic("input.profiles_topic", p)
		if slices.Contains(in.Topics, p) {
			v.failf("input.profiles_topic", "must not be one of input.topics, got %s", p)
		}
	}
	if _, _, err := in.StartTime(); err != nil {
		v.failf("input.start", "%v", err)
	}
}

// StartTime reads Start: where a new group begins. It is at a time, or at the earliest record, or, where both are
// zero, at the end.
func (in Input) StartTime() (at time.Time, earliest bool, err error) {
	switch in.Start {
	case "latest":
		return time.Time{}, false, nil
	case "earliest":
		return time.Time{}, true, nil
	}
	at, err = time.Parse(time.RFC3339, in.Start)
	if err != nil {
		return time.Time{}, false, fmt.Errorf("must be latest, earliest or an RFC 3339 time, got %q", in.Start)
	}
	return at, false, nil
}

// written are the topics that vigil writes, after the prefix (interface 3); reading one would feed it its own output.
var written = []string{"webhooks", "webhooks.retry-1", "webhooks.retry-2", "webhooks.parked", "shadow", "attempts", "state", "journal", "campaigns"}

func (v *validation) inputTopic(path, name string) {
	if !isName(name) || name == "." || name == ".." {
		v.failf(path, "must be topics of 1 to 200 of a-z A-Z 0-9 . _ -, got %q", name)
	}
	rest, own := strings.CutPrefix(name, v.c.TopicPrefix+".")
	if own && slices.Contains(written, rest) || strings.HasPrefix(name, "dlq."+v.c.TopicPrefix+".") {
		v.failf(path, "must not be a topic that vigil writes, got %s", name)
	}
}

// properties checks each property, then those that depend on each other.
func (v *validation) properties(set Properties) {
	for _, name := range slices.Sorted(maps.Keys(set)) {
		path := propertiesPath + "." + name
		p, known := findProperty(name)
		switch {
		case known:
			if why := p.problem(set[name]); why != "" {
				v.failf(path, "%s", why)
			}
		case retired[name] != "":
			v.failf(path, "%s", retired[name])
		default:
			v.failf(path, "unknown Kafka property%s", didYouMean(name, propertyNames()))
		}
	}
	v.security(set)
	session, beat := milliseconds(set["session.timeout.ms"]), milliseconds(set["heartbeat.interval.ms"])
	if session > 0 && beat >= session {
		v.failf(propertiesPath+".heartbeat.interval.ms", "must be less than session.timeout.ms, got %d", beat)
	}
}

func milliseconds(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil { // named already
		return 0
	}
	return n
}

// security checks that the protocol and what goes with it agree: a login or a certificate that nobody uses is a
// mistake, and a silent one would be an open door.
func (v *validation) security(set Properties) {
	protocol := strings.ToUpper(set["security.protocol"])
	for _, name := range []string{"sasl.mechanism", "sasl.username", "sasl.password"} {
		need := strings.HasPrefix(protocol, "SASL")
		if _, given := set[name]; need && !given {
			v.failf(propertiesPath+"."+name, "is needed with security.protocol %s", protocol)
		} else if given && !need {
			v.failf(propertiesPath+"."+name, "needs security.protocol SASL_SSL or SASL_PLAINTEXT (or KAFKA_TLS_ENABLED=true)")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(set)) {
		if strings.HasPrefix(name, "ssl.") && !strings.HasSuffix(protocol, "SSL") {
			v.failf(propertiesPath+"."+name, "needs security.protocol SSL or SASL_SSL (or KAFKA_TLS_ENABLED=true)")
		}
	}
	if (set["ssl.certificate.location"] == "") != (set["ssl.key.location"] == "") {
		v.failf(propertiesPath+".ssl.certificate.location", "and ssl.key.location go together")
	}
	if v.c.Kafka.IsEmbedded() && protocol != "" && protocol != "PLAINTEXT" {
		v.failf(propertiesPath+".security.protocol", "must be PLAINTEXT with the %s broker, got %q", Embedded, protocol)
	}
}

const (
	prefixLetters = "abcdefghijklmnopqrstuvwxyz0123456789.-"
	nameLetters   = prefixLetters + "ABCDEFGHIJKLMNOPQRSTUVWXYZ_"
)

func fits(text string) bool { return len(text) >= 1 && len(text) <= 200 }

// isName tells whether a text can be a topic or a member id.
func isName(text string) bool { return fits(text) && strings.Trim(text, nameLetters) == "" }

func hostPort(text string, least int) bool {
	host, port, err := net.SplitHostPort(text)
	n, bad := strconv.Atoi(port)
	return err == nil && bad == nil && n >= least && n < 1<<16 && !strings.ContainsAny(host, " /@") && (host != "" || least == 0)
}
