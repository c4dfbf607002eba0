package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"vigil/campaign"
	"vigil/kafka"
)

// settings are those of topics as they are, by topic and name.
type settings map[string]map[string]string

func (s settings) number(topic, name string) (int64, bool) {
	n, err := strconv.ParseInt(s[topic][name], 10, 64)
	return n, err == nil
}

func (c *Checkup) inputs() []string {
	all := slices.Clone(c.Config.Input.Topics)
	if p := c.Config.Input.ProfilesTopic; p != "" {
		all = append(all, p)
	}
	return all
}

// checkTopics looks at existence, partitions, sizes, retention and cleanup.
func (c *Checkup) checkTopics(ctx context.Context) {
	count, err := kafka.InputPartitions(ctx, c.adm, c.inputs())
	switch {
	case errors.Is(err, kafka.ErrMissing):
		c.note("topics", Fail, err.Error(), "vigil topics create --partitions N, with N for good: state belongs to its partition")
		return
	case err != nil && count == 0 && strings.Contains(err.Error(), "partitions"):
		c.note("topics", Fail, err.Error(), "create one of them anew with the other's count, or leave one out of input.topics")
		return
	case err != nil:
		c.asked("topics", err)
		return
	}
	specs := kafka.Specs(c.topics, count)
	differences, err := kafka.Check(ctx, c.adm, specs)
	if err != nil {
		c.asked("topics", err)
		return
	}
	missing := map[string]bool{}
	var absent []string
	before := len(c.findings)
	for _, d := range differences {
		switch d.Code {
		case kafka.CodeMissing:
			missing[d.Topic] = true
			absent = append(absent, d.Topic)
		case kafka.CodePartitions:
			missing[d.Topic] = true
			c.note("topics", Fail, d.Text, "use another topic_prefix and group, or restore the old count of the inputs")
		}
	}
	if len(absent) > 0 {
		c.note("topics", Warn, fmt.Sprintf("%s missing: %s; they are made at the start, where the brokers allow it",
			are(len(absent), "topic"), strings.Join(absent, ", ")), "vigil topics create")
	}
	have, err := c.describe(ctx, specs)
	if err != nil {
		c.asked("topics", err)
		return
	}
	for _, s := range specs {
		if !missing[s.Name] {
			c.checkSpec(s, have)
		}
	}
	if len(c.findings) == before {
		c.ok("topics", "%s of %s, as they should be", counted(len(specs)+len(c.inputs()), "topic"), counted(int(count), "partition"))
	}
	c.checkInputs(have)
}

// describe reads the settings of all topics that are there.
func (c *Checkup) describe(ctx context.Context, specs []kafka.Spec) (settings, error) {
	names := c.inputs()
	for _, s := range specs {
		names = append(names, s.Name)
	}
	all, err := c.adm.DescribeTopicConfigs(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("describe topic settings: %w", err)
	}
	have := settings{}
	for _, topic := range all {
		have[topic.Name] = map[string]string{}
		for _, one := range topic.Configs {
			have[topic.Name][one.Key] = one.MaybeValue()
		}
	}
	return have, nil
}

// checkSpec compares the settings of one of vigil's own topics. More than asked for is fine.
func (c *Checkup) checkSpec(s kafka.Spec, have settings) {
	if is, want := have[s.Name]["cleanup.policy"], s.Settings["cleanup.policy"]; is != "" && is != want {
		text := "old records of topic " + s.Name + " go with time: what it says of users who were not seen since is lost"
		if want == "delete" {
			text = "topic " + s.Name + " keeps one record a key: others of a user are lost"
		}
		c.note("topics", Fail, text, c.alter(s.Name, "cleanup.policy="+want))
	}
	want, _ := strconv.ParseInt(s.Settings["max.message.bytes"], 10, 64)
	if is, ok := have.number(s.Name, "max.message.bytes"); ok && is < want {
		level, text := Warn, fmt.Sprintf("topic %s takes records of %d bytes, vigil may write %d: what is larger becomes a dead letter", s.Name, is, want)
		if s.Name == c.topics.State {
			level, text = Fail, fmt.Sprintf("topic %s takes records of %d bytes, a user may have %d: a larger one stops its partition", s.Name, is, want)
		}
		c.note("topics", level, text, c.alter(s.Name, fmt.Sprintf("max.message.bytes=%d", want)))
	}
	want, stated := keeps(s.Settings["retention.ms"])
	if is, ok := have.number(s.Name, "retention.ms"); ok && stated && is >= 0 && is < want {
		c.note("retention", Warn, fmt.Sprintf("topic %s keeps %s, vigil's default is %s", s.Name, spell(millis(is)), s.Settings["retention.ms"]),
			c.alter(s.Name, "retention.ms="+s.Settings["retention.ms"]))
	}
}

// keeps reads a retention; -1 is for good.
func keeps(text string) (ms int64, stated bool) {
	ms, err := strconv.ParseInt(text, 10, 64)
	if ms < 0 {
		ms = 1<<63 - 1
	}
	return ms, err == nil
}

func millis(ms int64) time.Duration { return time.Duration(ms) * time.Millisecond }

// checkInputs holds the retention of the inputs against what campaigns look back at.
func (c *Checkup) checkInputs(have settings) {
	if p := c.Config.Input.ProfilesTopic; p != "" && have[p] != nil && !strings.Contains(have[p]["cleanup.policy"], "compact") {
		c.note("retention", Warn, "topic "+p+" is not compacted: old profiles go with time", c.alter(p, "cleanup.policy=compact"))
	}
	for _, topic := range c.Config.Input.Topics {
		if strings.Contains(have[topic]["cleanup.policy"], "compact") {
			c.note("retention", Fail, "topic "+topic+" is compacted: of several events of a user all but the last are lost", c.alter(topic, "cleanup.policy=delete"))
		}
		if kept, ok := have.number(topic, "retention.ms"); ok && kept >= 0 {
			c.checkRetention(topic, kept)
		}
	}
}

func (c *Checkup) checkRetention(topic string, kept int64) {
	short := false
	for _, one := range c.campaigns {
		if one.History > kept {
			short = true
			c.note("retention", Warn, fmt.Sprintf("campaign %s asks for %s of history, topic %s keeps %s", one.ID, spell(millis(one.History)), topic, spell(millis(kept))),
				c.alter(topic, fmt.Sprintf("retention.ms=%d", one.History)))
		}
	}
	id, longest := longestWindow(c.campaigns)
	if longest > kept {
		short = true
		c.note("retention", Warn, fmt.Sprintf("campaign %s looks back %s, topic %s keeps %s: back-tests, backfills and verify cannot see a whole window",
			id, spell(millis(longest)), topic, spell(millis(kept))), c.alter(topic, fmt.Sprintf("retention.ms=%d", longest)))
	}
	switch {
	case short:
	case longest == 0:
		c.ok("retention", "topic %s keeps %s, and no campaign looks back", topic, spell(millis(kept)))
	default:
		c.ok("retention", "topic %s keeps %s, the longest window of a campaign is %s", topic, spell(millis(kept)), spell(millis(longest)))
	}
}

// longestWindow is the campaign that looks back furthest, and how far in ms.
func longestWindow(all []*campaign.Campaign) (id string, longest int64) {
	for _, c := range all {
		t := &c.Trigger
		if w := max(t.Within, t.Lookback, t.Gap, t.Delay); w > longest {
			id, longest = c.ID, w
		}
	}
	return id, longest
}
