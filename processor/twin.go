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
	askGroup  = 5 * time.Second    // for the group's answer
	ghostLife = 3 * sessionTimeout // behind it a member that nobody is has lost its place
)

// errTaken is for an instance that is another process's.
var errTaken = errors.New("the group has given it to another process")

// membership is that of the last session. It has no member where that session was not told of one.
type membership struct {
	member     string
	generation int32
}

// left keeps the membership of a session that ends, before its client is closed.
func (s *session) left() {
	s.membership.member, s.membership.generation = s.kafka.Client().GroupMetadata()
}

// stillOurs errs where the group has given the instance to another process since the last session: this process was frozen
// or cut off, was taken for dead, and was replaced. Whatever ended that session, the next one must not join before the group
// was asked: it would take the instance back, and the two would fence each other for ever. Who has the instance may also be
// nobody: a request to join of our own, or of the process before, which a broker answered late or while a client was closed.
// Such a member passes, another process does not.
func (p *Processor) stillOurs(ctx context.Context) error {
	for began := time.Now(); p.membership.member != ""; {
		err := p.askInstance(ctx)
		switch {
		case !errors.Is(err, kerr.FencedInstanceID):
			return err
		case time.Since(began) > ghostLife:
			return fmt.Errorf("%w: %w", errTaken, err)
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
