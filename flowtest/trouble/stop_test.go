package trouble

import (
	"os"
	"strings"
	"testing"
	"time"

	"vigil/processor"
)

// A stop ends in time, also where the brokers are gone: what could not be committed is done again by the next process.
func TestStopWhileBrokersAreGone(t *testing.T) {
	inBubble(t, func(s *stage) {
		p := s.start()
		s.sendRound()
		s.settled()
		s.sendRound()
		s.network.set(true)
		<-time.After(10 * time.Millisecond)
		began := time.Now()
		p.cancel()
		err := <-p.done
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("it stopped after %v", took)
		}
		if err != nil && !strings.Contains(err.Error(), "commit") && !strings.Contains(err.Error(), "write a transaction") {
			t.Errorf("Run: %v", err)
		}
		s.network.set(false)
		p = s.start()
		s.sendRound()
		s.settled()
		p.stop()
	})
}

// A restore is told of: on a metric, and in what /readyz?verbose shows.
func TestRestoreIsTold(t *testing.T) {
	inBubble(t, func(s *stage) {
		p := s.start()
		for range 3 {
			s.sendRound()
			s.settled()
		}
		p.stop()
		s.must(os.RemoveAll(s.dir))
		p = s.start(func(cfg *processor.Config) { cfg.CheckpointInterval = time.Hour })
		s.sendRound()
		s.settled()
		if ok, detail := p.ready(); !ok || len(detail) != s.partitions() || detail[0] != "partition 0: running" {
			t.Errorf("ready: %v %q", ok, detail)
		}
		families, err := s.registry.Gather()
		s.must(err)
		var read, left float64 = 0, -1
		for _, f := range families {
			switch f.GetName() {
			case "vigil_restored_records_total":
				read = f.GetMetric()[0].GetCounter().GetValue()
			case "vigil_restore_lag_records":
				left = f.GetMetric()[0].GetGauge().GetValue()
			}
		}
		if read < 8 || left != 0 {
			t.Errorf("%v records read, %v to go", read, left)
		}
		p.stop()
	})
}
