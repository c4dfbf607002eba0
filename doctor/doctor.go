// Package doctor looks at everything that vigil needs and says what is wrong with it and what to do: brokers, topics,
// groups, clocks, this machine, campaigns, endpoints. It stands beside the flow and changes nothing.
package doctor

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/campaign"
	"vigil/config"
	"vigil/config/endpoints"
	"vigil/kafka"
	"vigil/sink/egress"
)

// Level says how bad a finding is.
type Level string

// The levels: what is ok, what will hurt some day or some users, and what does not work.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is the answer to one question.
type Finding struct {
	Check string `json:"check"` // brokers, auth, topics, retention, timestamps, lag, clock, disk, lock, descriptors, campaigns, endpoints
	Level Level  `json:"level"`
	Text  string `json:"text"`
	Fix   string `json:"fix,omitempty"` // what to do; empty for ok
}

// Checkup is what is to be looked at. Client is a client of the brokers, which need not answer.
type Checkup struct {
	Config config.Config
	Client *kgo.Client
	Policy egress.Policy
	Now    time.Time

	live      *kgo.Client // of the brokers that answer
	adm       *kadm.Client
	topics    kafka.Topics
	campaigns []*campaign.Campaign
	endpoints []endpoints.Endpoint
	findings  []Finding
}

// askWithin bounds each question to the brokers.
const askWithin = 5 * time.Second

// Run asks everything and returns the findings in a fixed order. Where no broker answers, what only brokers know is
// left out.
func (c *Checkup) Run(ctx context.Context) []Finding {
	c.live, c.adm, c.topics, c.findings = c.Client, kadm.NewClient(c.Client), kafka.Names(c.Config.TopicPrefix), nil
	defer func() {
		if c.live != c.Client {
			c.live.Close()
		}
	}()
	c.loadCampaigns()
	c.loadEndpoints()
	if c.brokers(ctx) {
		for _, ask := range []func(context.Context){c.checkTopics, c.checkTimestamps, c.checkGroups} {
			within, cancel := context.WithTimeout(ctx, askWithin)
			ask(within)
			cancel()
		}
	}
	c.host()
	c.checkEndpoints(ctx)
	return c.findings
}

// Failed tells whether anything does not work.
func Failed(findings []Finding) bool {
	for _, f := range findings {
		if f.Level == Fail {
			return true
		}
	}
	return false
}

func (c *Checkup) ok(check, format string, args ...any) {
	c.findings = append(c.findings, Finding{check, OK, fmt.Sprintf(format, args...), ""})
}

// note adds a finding that wants something done; a fix that begins with a command can be pasted.
func (c *Checkup) note(check string, level Level, text, fix string) {
	c.findings = append(c.findings, Finding{check, level, text, fix})
}

// asked adds the error of a question that the brokers did not answer.
func (c *Checkup) asked(check string, err error) {
	c.note(check, Fail, err.Error(), "allow the account to describe topics, their configs and groups, or look at the brokers' logs")
}

// alter is the command that sets something of a topic.
func (c *Checkup) alter(topic, setting string) string {
	return fmt.Sprintf("kafka-configs.sh --bootstrap-server %s --alter --entity-type topics --entity-name %s --add-config %s",
		strings.Join(c.Config.Kafka.Brokers, ","), topic, setting)
}

// spell writes a duration in days where it is whole ones.
func spell(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= day && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	return d.Round(time.Millisecond).String()
}

// counted is a number of things.
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func are(n int, what string) string {
	if n == 1 {
		return "1 " + what + " is"
	}
	return fmt.Sprintf("%d %ss are", n, what)
}
