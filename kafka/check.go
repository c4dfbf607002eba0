package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// Codes of findings.
const (
	CodeMissing    = "missing"
	CodePartitions = "partitions"
	CodeSetting    = "setting"
)

// Finding is a difference between a topic as it is and as it should be.
type Finding struct {
	Topic string `json:"topic"`
	Code  string `json:"code"`
	Text  string `json:"text"` // what differs, and what to do
}

// Check compares the topics of the cluster with specs.
func Check(ctx context.Context, adm *kadm.Client, specs []Spec) ([]Finding, error) {
	var names []string
	for _, s := range specs {
		names = append(names, s.Name)
	}
	details, err := adm.ListTopics(ctx, names...)
	if err != nil {
		return nil, fmt.Errorf("list topics: %w", err)
	}
	var found []Finding
	var there []string
	for _, s := range specs {
		d, ok := details[s.Name]
		switch n := int32(len(d.Partitions)); {
		case !ok || errors.Is(d.Err, kerr.UnknownTopicOrPartition):
			found = append(found, Finding{s.Name, CodeMissing, fmt.Sprintf("topic %s is missing: run `vigil topics create`", s.Name)})
		case d.Err != nil:
			return nil, fmt.Errorf("describe topic %s: %w", s.Name, d.Err)
		case n != s.Partitions:
			found = append(found, Finding{s.Name, CodePartitions, fmt.Sprintf("topic %s has %d partitions, the inputs ask for %d: "+
				"state belongs to its partition; use another topic_prefix and group, or restore the old count of the inputs", s.Name, n, s.Partitions)})
		default:
			there = append(there, s.Name)
		}
	}
	if len(there) == 0 {
		return found, nil
	}
	settings, err := adm.DescribeTopicConfigs(ctx, there...)
	if err != nil {
		return nil, fmt.Errorf("describe topic settings: %w", err)
	}
	for _, s := range specs {
		found = append(found, compare(s, settings)...)
	}
	return found, nil
}

func compare(s Spec, all kadm.ResourceConfigs) []Finding {
	i := slices.IndexFunc(all, func(r kadm.ResourceConfig) bool { return r.Name == s.Name })
	if i < 0 {
		return nil
	}
	var found []Finding
	for _, name := range []string{"cleanup.policy", "max.message.bytes", "retention.ms"} {
		want, ok := s.Settings[name]
		if !ok {
			continue
		}
		for _, c := range all[i].Configs {
			if c.Key == name && c.MaybeValue() != want {
				found = append(found, Finding{s.Name, CodeSetting, fmt.Sprintf("topic %s has %s=%s, vigil's default is %s", s.Name, name, c.MaybeValue(), want)})
			}
		}
	}
	return found
}
