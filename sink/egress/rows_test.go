package egress

import (
	"sync/atomic"
	"testing"
)

// row is one line of the tables of delivery 8: its name, and a test that fails where the outcome is not as required.
type row struct {
	name string
	run  func(t *testing.T)
}

// runTable runs all rows, several at a time, and says how many there are and how many came out as required.
func runTable(t *testing.T, what string, rows []row) {
	var good, skipped atomic.Int32
	seen := map[string]bool{}
	t.Run("rows", func(t *testing.T) {
		for _, r := range rows {
			if seen[r.name] {
				t.Errorf("two rows are called %q", r.name)
			}
			seen[r.name] = true
			t.Run(r.name, func(t *testing.T) {
				t.Parallel()
				defer func() {
					switch {
					case t.Skipped():
						skipped.Add(1)
					case !t.Failed():
						good.Add(1)
					}
				}()
				r.run(t)
			})
		}
	})
	t.Logf("%s: %d rows, %d as required, %d skipped", what, len(rows), good.Load(), skipped.Load())
}
