package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

const (
	topicsWithin = 10 * time.Second       // for every broker to know the topics
	insistAgain  = 500 * time.Millisecond // between two calls of Insist

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

// Insist calls ask until a broker has answered, be it with an error: one that no broker gave, such as of a connection that
// broke off, is logged, and ask called again.
func Insist(ctx context.Context, log zerolog.Logger, ask func() error) error {
	for {
		err := ask()
		if err == nil || errors.As(err, new(*kerr.Error)) || ctx.Err() != nil {
			return err
		}
		log.Warn().Err(err).Msg("no broker answers, trying again")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(insistAgain):
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
