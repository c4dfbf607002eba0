package sink

import (
	"testing"
	"time"

	"vigil/sink/core"
)

// TestTickIsNotPutOff: a dispatcher that is busy when the lanes are to be looked over does so next. Put off each time, what
// waits for a slow endpoint would never be parked under load.
func TestTickIsNotPutOff(t *testing.T) {
	now := time.Now()
	d := &dispatcher{lanes: core.NewLanes[*parcel](1), next: now.Add(tick)}
	d.lanes.Enter(d.lanes.Lane("shop", core.Limits{}, now), core.Entry[*parcel]{Parcel: &parcel{}, Since: now})
	if got := d.sleep(now); got != tick {
		t.Errorf("sleeps %v, want %v", got, tick)
	}
	if got := d.sleep(now.Add(tick + time.Millisecond)); got != 0 {
		t.Errorf("sleeps %v more when the time has come", got)
	}
}
