package trouble

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
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

// A member is ready once it is in the group, also where there is no partition for it, and no longer while no broker can be
// reached: nothing is decided then.
func TestReadyMeansInTheGroup(t *testing.T) {
	inBubble(t, func(s *stage) {
		var members []*running
		readiness := func(want bool, words string) {
			t.Helper()
			for i, m := range members {
				if ok, detail := m.ready(); ok != want || !strings.Contains(strings.Join(detail, "\n"), words) {
					t.Errorf("member %d: ready %v, %q", i, ok, detail)
				}
			}
		}
		for i := range s.partitions() + 1 {
			members = append(members, s.start(func(cfg *processor.Config) {
				cfg.Instance = fmt.Sprint("m", i)
				cfg.DataDir = filepath.Join(s.dir, cfg.Instance)
			}))
		}
		<-time.After(time.Minute)
		readiness(true, "")
		mend := cut(s)
		<-time.After(2 * time.Minute)
		readiness(false, "again")
		mend()
		<-time.After(time.Minute)
		readiness(true, "")
		s.sendRound()
		s.settled()
		for _, m := range members {
			m.stop()
		}
	})
}
