package processor

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/kafka"
	"vigil/trigger"
)

// errFatal marks what no new try mends: the process ends with it, so that its partitions are free for others.
var errFatal = errors.New("cannot go on")

// errNotTaken is what there is to say of records for which the brokers gave no final answer.
var errNotTaken = errors.New("the brokers did not take them")

// diagnose tells whether a new try is of no use, and gives err what the operator can do.
func diagnose(err error) (final bool, told error) {
	final, told = kafka.Diagnose(err,
		kafka.Remedy{Err: trigger.ErrNewer, Final: true, Do: "run the version that wrote it, or a newer one, here too; the partition moves to a process that can read it"},
		kafka.Remedy{Err: errNotTaken, Do: "check that the brokers run and can be reached, that as many replicas are in sync as min.insync.replicas asks for, and their logs"},
	)
	return final || errors.Is(err, errFatal), told
}

// fetchError is the first error of a poll that is more than its time running out.
func fetchError(fetches kgo.Fetches) error {
	for _, e := range fetches.Errors() {
		switch group := (*kgo.ErrGroupSession)(nil); {
		case isTimeout(e.Err):
		case errors.As(e.Err, &group):
			return fmt.Errorf("the consumer group: %w", e.Err)
		default:
			return fmt.Errorf("read %s/%d: %w", e.Topic, e.Partition, e.Err)
		}
	}
	return nil
}

func isTimeout(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}
