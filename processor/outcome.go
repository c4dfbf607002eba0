package processor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// errDone is for a transaction that was taken for aborted and may not be.
var errDone = errors.New("the group stands behind a transaction that was taken for aborted: it was committed, or another process has gone on")

// askAgain is how long to wait for offsets of a transaction that is being ended.
const askAgain = 50 * time.Millisecond

// undone makes sure that the transaction which the client takes for aborted is: it takes an end for an abort to which a
// broker answered UNKNOWN_SERVER_ERROR, and that broker may have committed. Undone in memory, it would be decided twice.
// Offsets alone do not tell: a transaction of timers moves none, but each writes to the changelog.
func (s *session) undone(ctx context.Context) error {
	for {
		at, err := s.adm.FetchOffsets(kadm.RequireStable(ctx), s.cfg.Group)
		if err == nil {
			err = s.stand(at)
		}
		if !errors.Is(err, kerr.UnstableOffsetCommit) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ask how a transaction ended: %w", err)
		case <-time.After(askAgain):
		}
	}
}

// stand errs where the group is not where the partitions of the transaction were before it.
func (s *session) stand(at kadm.OffsetResponses) error {
	for _, part := range s.partitions {
		if !part.moved {
			continue
		}
		for i, topic := range s.inputs {
			o, ok := at.Lookup(topic, part.id)
			if !ok {
				continue // nothing was ever committed
			}
			if o.Err != nil {
				return fmt.Errorf("ask how a transaction ended: %w", o.Err)
			}
			marks := readLandmarks(o.Metadata)
			if o.At > part.committed[i] || marks != nil && marks.At > part.offset {
				return errDone
			}
		}
	}
	return nil
}
