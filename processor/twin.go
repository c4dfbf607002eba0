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
	askGroup  = 5 * time.Second                // for the group's answer
	maxFenced = 3                              // sessions in a row that are fenced before they held anything
	ghostLife = sessionTimeout + 5*time.Second // behind it a member that nobody is has lost its place
)

// errUnheld marks a session that was fenced before it held a partition. What took its instance may be no other process
// but a request to join that was on its way when its sender, the process before, was killed, or one of its own that a
// broker answers late: a few new tries are due.
var errUnheld = errors.New("before it held a partition")

// membership is that of the last session, once one has held partitions. It has no member where that session was not told.
type membership struct {
	member     string
	generation int32
	held       bool // that session held a partition
}

// left is called with what ended a session, before its client is closed. It keeps the membership, and marks what errUnheld
// is about.
func (s *session) left(err error) error {
	if s.held || s.membership.member != "" {
		s.membership.member, s.membership.generation = s.kafka.Client().GroupMetadata()
		s.membership.held = s.held
	}
	if errors.Is(err, kerr.FencedInstanceID) && !s.held {
		return fmt.Errorf("%w: %w", errUnheld, err)
	}
	return err
}

// stillOurs errs where the group has given the instance to another process since the last session: this process was frozen
// or cut off, was taken for dead, and was replaced. Whatever ended that session, the next one must not join before the group
// was asked: it would take the instance back, and the two would fence each other for ever. Where that session held nothing, the
// instance may be nobody's: a request to join of its own came late, and the group waits for one who never heard of it. That
// passes, another process does not.
func (p *Processor) stillOurs(ctx context.Context) error {
	for began := time.Now(); p.membership.member != ""; {
		err := p.askInstance(ctx)
		if !errors.Is(err, kerr.FencedInstanceID) || p.membership.held || time.Since(began) > ghostLife {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(heartbeats):
		}
	}
	return nil
}

// askInstance asks the group whether the instance is another's.
func (p *Processor) askInstance(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askGroup)
	defer cancel()
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.Generation, req.MemberID, req.InstanceID = p.cfg.Group, p.membership.generation, p.membership.member, &p.cfg.Instance
	resp, err := req.RequestWith(ctx, p.client)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	for _, ours := range []error{kerr.UnknownMemberID, kerr.IllegalGeneration, kerr.RebalanceInProgress} { // or nobody's
		if errors.Is(err, ours) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("ask group %s whose instance %s is: %w", p.cfg.Group, p.cfg.Instance, err)
	}
	return nil
}
