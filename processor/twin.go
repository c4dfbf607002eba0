package processor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	askTwin   = 5 * time.Second // for the group's answer
	maxFenced = 3               // sessions in a row that are fenced before they held anything
)

// errUnheld marks a session that was fenced before it held a partition. What took its instance may be no other process
// but a request to join that was on its way when its sender, the process before, was killed, or one of its own that a
// broker answers late: a few new tries are due.
var errUnheld = errors.New("before it held a partition")

// twin is called with what ended a session. Where that says that a newer producer has this one's name, it may be that
// a transaction took too long, or that another process runs as the same instance, since this one was taken for dead. The
// group knows: where it has given the instance to another member, this one must not take it back, or the two would fence
// each other for ever.
func (s *session) twin(ctx context.Context, err error) error {
	if errors.Is(err, kerr.FencedInstanceID) && !s.held {
		return fmt.Errorf("%w: %w", errUnheld, err)
	}
	if !errors.Is(err, kerr.ProducerFenced) && !errors.Is(err, kerr.InvalidProducerEpoch) && !errors.Is(err, kerr.InvalidTxnState) {
		return err
	}
	member, generation := s.kafka.Client().GroupMetadata()
	if member == "" || generation < 0 {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTwin)
	defer cancel()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = s.cfg.Group, generation, member, &s.cfg.Instance
	resp, asked := req.RequestWith(ctx, s.kafka.Client())
	if asked != nil || !errors.Is(kerr.ErrorForCode(resp.ErrorCode), kerr.FencedInstanceID) {
		return err // what cannot be asked now is found out by the next session
	}
	return fmt.Errorf("%w: %w", kerr.FencedInstanceID, err)
}
