package trouble

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"vigil/processor"
)

// A member that is cut off from the brokers with timers armed is evicted, and another settles them. When the network is
// back the first one still has them due: what it decides is refused, and nothing fires twice.
func TestMemberCutOff(t *testing.T) {
	inBubble(t, func(s *stage) {
		far := link{network: s.network.network}
		zombie := s.start(func(cfg *processor.Config) { cfg.Kafka = append(slices.Clone(cfg.Kafka), kgo.Dialer(far.dial)) })
		s.sendRound()
		s.settled()
		s.sendRound()
		<-time.After(200 * time.Millisecond) // the round is read, its timers are armed
		far.set(true)
		other := s.start(func(cfg *processor.Config) { cfg.Instance, cfg.DataDir = "b", filepath.Join(s.dir, "b") })
		s.sendRound()
		s.settled()
		far.set(false)
		s.sendRound()
		s.settled()
		<-time.After(time.Minute)
		s.sendRound()
		s.settled()
		zombie.stop()
		other.stop()
		s.settled()
	})
}
