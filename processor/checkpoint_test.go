package processor_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// What the last commit before a silence changed is on the disk soon: a restart in it reads no changelog, and the next burst
// does not begin with writing it.
func TestCheckpointWhileNothingComes(t *testing.T) {
	s := newStage(t, onBuy)
	cfg := s.config("a")
	reg := prometheus.NewRegistry()
	cfg.Registerer = reg
	cfg.CheckpointInterval = 2 * time.Second // longer than one event takes
	s.start(cfg)
	s.send("ada", "buy", "e1", time.Now())
	s.fires(1)
	s.eventually("nothing was written while no record came", func() bool { return counted(t, reg, "vigil_checkpoint_rows_total") > 0 })
}
