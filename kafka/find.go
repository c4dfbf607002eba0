package kafka

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	topicsWithin = 10 * time.Second // for every broker to know the topics

	// TopicsAgain is how often FindTopics asks; the client's kgo.MetadataMinAge should be no more.
	TopicsAgain = 250 * time.Millisecond
)

// FindTopics wants all topics to be there, and tells which one is not. A broker that has just started, or a topic that
// was just made, is given 10 s.
func FindTopics(ctx context.Context, adm *kadm.Client, names ...string) (kadm.TopicDetails, error) {
	for began := time.Now(); ; {
		found, err := adm.ListTopics(ctx, names...)
		if err != nil {
			return nil, fmt.Errorf("find topics: %w", err)
		}
		missing := missingTopic(found)
		if missing == nil {
			return found, nil
		}
		if !kerr.IsRetriable(missing.Err) || time.Since(began) > topicsWithin {
			return nil, fmt.Errorf("topic %s: %w; create it with `vigil topics create`", missing.Topic, missing.Err)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(TopicsAgain):
		}
	}
}

func missingTopic(found kadm.TopicDetails) *kadm.TopicDetail {
	for _, d := range found.Sorted() {
		if d.Err != nil {
			return &d
		}
	}
	return nil
}
