package state_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"vigil/state"
)

// A store does no work by the clock: in a bubble a day passes at once, and nothing is left behind.
func TestInABubble(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		for i := range 3 {
			s, meta, err := state.OpenBadger(dir, state.Options{})
			must(t, err)
			if meta.Offset != int64(i) {
				t.Errorf("meta %+v", meta)
			}
			must(t, s.Write([]state.Row{{"ada", []byte("1")}}, state.Meta{Offset: int64(i) + 1}))
			<-time.After(24 * time.Hour)
			must(t, s.Close())
		}
	})
}

// Get and Scan may run beside Write: they see each row as it was or as it is.
func TestReadsBesideAWrite(t *testing.T) {
	for name, open := range stores(t) {
		t.Run(name, func(t *testing.T) {
			s, _ := open()
			must(t, s.Write([]state.Row{{"ada", []byte("1")}}, state.Meta{}))
			written := make(chan error)
			go func() {
				var err error
				for range 50 {
					err = errors.Join(err, s.Write([]state.Row{{"bob", []byte("2")}, {"ada", []byte("1")}}, state.Meta{}))
				}
				written <- err
			}()
			for range 50 {
				if v, err := s.Get("ada"); string(v) != "1" || err != nil {
					t.Errorf("ada: %q, %v", v, err)
				}
				if got := contents(t, s); got["ada"] != "1" {
					t.Errorf("rows: %v", got)
				}
			}
			must(t, <-written)
			must(t, s.Close())
		})
	}
}
