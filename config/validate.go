package config

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Validate joins every rule that c breaks, each as "key: rule, got value".
func (c *Config) Validate() error {
	v := validation{c: c}
	v.all()
	return errors.Join(v.errs...)
}

// validation collects what is wrong.
type validation struct {
	c       *Config
	origins map[string]string // nil: unknown
	errs    []error
}

func (v *validation) failf(path, format string, args ...any) {
	place := ""
	if o := v.origins[path]; o != "" && o != "default" {
		place = o + ": "
	}
	v.errs = append(v.errs, fmt.Errorf("%s%s: %s", place, path, fmt.Sprintf(format, args...)))
}

func (v *validation) all() {
	c := v.c
	v.brokers(c.Kafka.Brokers)
	v.validateProperties(c.Kafka.Properties)
	v.input(&c.Input)
	v.topicName("topic_prefix", c.TopicPrefix)
	v.word("group", c.Group)
	if c.Instance != "" {
		v.word("instance", c.Instance)
	}
	for _, s := range []struct{ path, value string }{{"data_dir", c.DataDir}, {"campaigns", c.Campaigns}, {"endpoints", c.Endpoints}} {
		if s.value == "" {
			v.failf(s.path, "must not be empty")
		}
	}
	v.processor(&c.Processor)
	v.between("sink.max_in_flight", c.Sink.MaxInFlight, 1, 100_000)
	for _, ref := range c.Sink.DefaultSecrets {
		if kind, rest, _ := strings.Cut(ref, ":"); rest == "" || kind != "env" && kind != "file" {
			v.failf("sink.default_secrets", "must be env:NAME or file:PATH; a secret never stands here itself")
		}
	}
	if c.Admin.Listen != "" && !hostPort(c.Admin.Listen) {
		v.failf("admin.listen", "must be HOST:PORT, or empty for none, got %q", c.Admin.Listen)
	}
	for _, k := range keys(c) {
		if k.oneOf != nil && !slices.Contains(k.oneOf, k.text()) {
			v.failf(k.path, "must be one of %s, got %q%s", strings.Join(k.oneOf, ", "), k.text(), didYouMean(k.text(), k.oneOf))
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
			if !hostPort(b) {
				v.failf("kafka.brokers", "must be HOST:PORT, or %s, got %q", Embedded, b)
			}
		}
	}
}

func (v *validation) input(in *Input) {
	if len(in.Topics) == 0 {
		v.failf("input.topics", "must name a topic")
	}
	seen := map[string]bool{}
	for _, t := range in.Topics {
		v.inputTopic("input.topics", t)
		if seen[t] {
			v.failf("input.topics", "names %s twice", t)
		}
		seen[t] = true
	}
	if p := in.ProfilesTopic; p != "" {
		v.inputTopic("input.profiles_topic", p)
		if seen[p] {
			v.failf("input.profiles_topic", "must not be one of input.topics, got %s", p)
		}
	}
	for _, f := range []struct{ name, path string }{
		{"type", in.Fields.Type}, {"id", in.Fields.ID}, {"time", in.Fields.Time}, {"properties", in.Fields.Properties},
	} {
		if f.path == "" {
			v.failf("input.fields."+f.name, "must not be empty")
		}
	}
	if _, _, err := in.StartTime(); err != nil {
		v.failf("input.start", "%v", err)
	}
}

// StartTime reads Start: where a new group begins. latest and earliest tell which; both are false for a time.
func (in *Input) StartTime() (at time.Time, earliest bool, err error) {
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

func (v *validation) inputTopic(path, name string) {
	v.topicName(path, name)
	if strings.HasPrefix(name, v.c.TopicPrefix+".") || strings.HasPrefix(name, "dlq."+v.c.TopicPrefix+".") {
		v.failf(path, "must not be one of the topics under topic_prefix, got %s", name)
	}
}

func (v *validation) topicName(path, name string) {
	legal := strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") == ""
	if name == "" || len(name) > 200 || !legal || name == "." || name == ".." {
		v.failf(path, "must be 1 to 200 of a-z A-Z 0-9 . _ -, got %q", name)
	}
}

func (v *validation) word(path, text string) {
	if text == "" || len(text) > 200 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		v.failf(path, "must be 1 to 200 printable characters without spaces, got %q", text)
	}
}

func (v *validation) processor(p *Processor) {
	const day = 24 * time.Hour
	for _, d := range []struct {
		name              string
		value, least, top time.Duration
	}{
		{"allowed_lateness", p.AllowedLateness, 0, day},
		{"max_event_age", p.MaxEventAge, 0, 400 * day},
		{"max_fire_delay", p.MaxFireDelay, 0, 400 * day},
		{"commit_interval", p.CommitInterval, 10 * time.Millisecond, 10 * time.Second},
		{"checkpoint_interval", p.CheckpointInterval, 100 * time.Millisecond, time.Hour},
		{"clock_grace", p.ClockGrace, 0, time.Hour},
	} {
		if d.value < d.least || d.value > d.top || d.value%time.Millisecond != 0 {
			v.failf("processor."+d.name, "must be %s to %s in whole milliseconds, got %s", formatDuration(d.least), formatDuration(d.top), formatDuration(d.value))
		}
	}
	v.between("processor.workers", p.Workers, 0, 1024)
}

func (v *validation) between(path string, value, least, most int) {
	if value < least || value > most {
		v.failf(path, "must be %d to %d, got %d", least, most, value)
	}
}

func hostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	n, bad := strconv.Atoi(port)
	return err == nil && bad == nil && n >= 0 && n < 1<<16 && !strings.ContainsAny(host, " /@")
}
