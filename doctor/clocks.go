package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	maxSkew  = 2 * time.Minute // of record times, semantics 2.1
	maxDrift = 2 * time.Second // between the machines that vigil runs on
	fullLag  = 10_000          // records behind
)

// checkTimestamps compares the newest record times with the clock of this machine: of the inputs, which producers
// set, and of what vigil itself writes on other machines.
func (c *Checkup) checkTimestamps(ctx context.Context) {
	own := []string{c.topics.Attempts, c.topics.Journal, c.topics.State}
	listed, err := c.adm.ListMaxTimestampOffsets(ctx, append(slices.Clone(own), c.inputs()...)...)
	if err != nil {
		c.note("timestamps", Warn, "the newest timestamps cannot be asked for: "+err.Error(), "ask again on brokers of Kafka 3.0 or newer")
		return
	}
	ahead := func(topic string) time.Duration {
		newest := int64(0)
		for _, o := range listed[topic] {
			if o.Err == nil {
				newest = max(newest, o.Timestamp)
			}
		}
		return time.UnixMilli(newest).Sub(c.Now)
	}
	good := true
	for _, topic := range c.inputs() {
		if by := ahead(topic); by > maxSkew {
			good = false
			c.note("timestamps", Warn, fmt.Sprintf("the newest record of topic %s is %s ahead of this machine's clock: a producer's clock is wrong, or this one", topic, by.Round(time.Second)),
				"mend the clock; "+c.alter(topic, "message.timestamp.type=LogAppendTime")+" takes the brokers' time instead")
		}
	}
	if good {
		c.ok("timestamps", "no record of an input is ahead of this machine's clock by more than %s", maxSkew)
	}
	for _, topic := range own {
		if by := ahead(topic); by > maxDrift {
			c.note("clock", Warn, fmt.Sprintf("the newest record of topic %s is %s ahead of this machine's clock", topic, by.Round(time.Millisecond)),
				"keep the clocks of all machines in step: chronyc tracking, or timedatectl")
			return
		}
	}
	c.ok("clock", "nothing that vigil wrote is ahead of this machine's clock")
}

// checkGroups looks at how far behind processor and sink are. What waits on the topics of retries and parked
// deliveries waits on purpose.
func (c *Checkup) checkGroups(ctx context.Context) {
	for _, part := range []struct {
		name   string
		topics []string
	}{
		{"processor", c.inputs()},
		{"sink", []string{c.topics.Webhooks}},
	} {
		group := c.Config.Group + "." + part.name
		all, err := c.adm.Lag(ctx, group)
		if err == nil {
			found := all[group]
			err = found.Error()
		}
		if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // such a group has no members yet
			c.asked("lag", fmt.Errorf("describe group %s: %w", group, err))
			continue
		}
		found := all[group]
		lag := int64(0)
		for topic, sums := range found.Lag.TotalByTopic() {
			if slices.Contains(part.topics, topic) {
				lag += sums.Lag
			}
		}
		switch {
		case len(found.Members) == 0:
			c.note("lag", Warn, fmt.Sprintf("group %s has no members, and is %d records behind", group, lag), "vigil "+part.name+" (or vigil run)")
		case lag > fullLag:
			c.note("lag", Warn, fmt.Sprintf("group %s with %s is %d records behind", group, counted(len(found.Members), "member"), lag),
				"give it time, look at its log, or start another vigil "+part.name)
		default:
			c.ok("lag", "group %s with %s is %d records behind", group, counted(len(found.Members), "member"), lag)
		}
	}
}
