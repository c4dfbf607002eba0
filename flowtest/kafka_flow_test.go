package flowtest

import (
	"fmt"
	"slices"
	"testing"
)

// TestFlowOnKafka: what two processors and a sink make of a crowd on a real Kafka is what the simulation says of the
// same records, and all of it arrives signed.
func TestFlowOnKafka(t *testing.T) {
	p := newPlay(t, "flow")
	p.start()
	p.finish()
	for _, c := range append(p.processors, p.sink) {
		c.Stop(t)
	}
}

// TestFlowSurvivesKills: the same while a processor is killed twice in mid-run, and the sink once.
func TestFlowSurvivesKills(t *testing.T) {
	p := newPlay(t, "kills")
	p.start()
	p.killProcessor(0)
	p.killProcessor(0)
	p.Await("some webhooks are received", patience, func() (bool, string) {
		ids, _ := p.receiver.Received()
		return ids > 5*leastFires, fmt.Sprintf("%d ids", ids)
	})
	p.sink.Kill(t)
	p.sink = p.Sink("sink-1")
	p.finish()
}

// killProcessor kills processor i once it has judged some of the partitions that it holds, and starts it again. It must
// have had work left.
func (p *play) killProcessor(i int) {
	p.T.Helper()
	victim := p.processors[i]
	var held []int32
	var from float64
	p.Await(fmt.Sprintf("%s is in the middle of its work", victim.Name), patience, func() (bool, string) {
		holds := p.holds(victim)
		done := p.progress(holds...)
		if !slices.Equal(holds, held) {
			held, from = holds, done
		}
		return len(held) > 0 && done > from, fmt.Sprintf("it holds %v, %.1f %% of that judged, %.1f %% before", held, 100*done, 100*from)
	})
	victim.Kill(p.T)
	judged := p.progress(held...)
	p.T.Logf("%s killed with %.0f %% of partitions %v judged, %.0f %% of all", victim.Name, 100*judged, held, 100*p.progress())
	if judged == 1 {
		p.T.Fatalf("%s was killed when all of its partitions were judged: too late to show anything", victim.Name)
	}
	p.processors[i] = p.Processor(victim.Name)
}
