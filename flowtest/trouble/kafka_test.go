package trouble

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	kafkatest "vigil/flowtest/kafka"
	"vigil/kafka"
)

// On a real Kafka of three nodes one is killed in mid-run and comes back: leaders and coordinators move, connections hang.
// The processor is not started again, and what it fires is what an uninterrupted run fires, each once.
func TestBrokersDieOnKafka(t *testing.T) {
	if os.Getenv("VIGIL_TROUBLE_KAFKA") == "" {
		t.Skip("three nodes of Kafka take a minute: make trouble-kafka")
	}
	cluster := kafkatest.Start(t, 3)
	s := &stage{t: t}
	s.prepare(2)
	s.opts = []kgo.Opt{kgo.SeedBrokers(strings.Split(cluster.Bootstrap, ",")...), kgo.MetadataMinAge(50 * time.Millisecond)}
	client := s.connect()
	adm := kadm.NewClient(client)
	s.must(kafka.EnsureInputs(t.Context(), adm, []string{input}, 2))
	s.must(kafka.Ensure(t.Context(), adm, kafka.Specs(s.topics, 2)))
	client.Close()
	p := s.start()
	s.sendRound()
	s.settled()
	cluster.Kill(t, 0)
	s.sendRound()
	s.settled()
	cluster.Restart(t)
	s.sendRound()
	s.settled()
	p.stop()
	s.agrees()
}
