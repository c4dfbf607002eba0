package flowtest

import (
	"os"
	"testing"
	"time"

	"vigil/flowtest/live"
)

var site live.Site

func TestMain(m *testing.M) { os.Exit(site.Main(m)) }

const (
	inputPartitions = 4
	patience        = 5 * time.Minute // for what takes seconds on a machine that has nothing else to do
)

// stage is what these tests run on.
type stage struct{ *live.Stage }

// newStage makes a stage; config is more lines of its vigil.yaml.
func newStage(t *testing.T, name, config string) *stage {
	t.Helper()
	return &stage{site.Stage(t, live.Plan{Name: name, Partitions: inputPartitions, Config: config})}
}
