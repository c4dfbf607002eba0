package model

import (
	"testing"
)

// TestGenerate holds the generator to its purpose: every history compiles, and together they reach every reason.
func TestGenerate(t *testing.T) {
	reasons := map[string]int{}
	for seed := range uint64(2000) {
		h := Generate(seed)
		c, err := h.Compile()
		if err != nil {
			t.Fatal(err)
		}
		events, err := ReadLines(c.File)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		for _, d := range Run(c.Campaigns, c.Options, events, c.Until) {
			reasons[d.Reason]++
		}
	}
	for _, reason := range []string{
		"", "duplicate", "key_missing", "too_old", "who_at_trigger", "who_at_fire", "superseded", "date_missing", "date_invalid",
		"date_out_of_range", "already_done", "not_first", "too_many_pending", "cancelled", "restarted", "rescheduled", "late_cancel",
		"past_due", "duplicate_fire", "erased", "paused", "draining", "stopped", "ended", "not_started", "control", "gap", "cap",
		"quiet", "deferred",
	} {
		if reasons[reason] == 0 {
			t.Errorf("no history has a decision %q", reason)
		}
	}
	t.Log(reasons)
}
