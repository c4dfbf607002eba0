package chaos

import (
	"slices"
	"strings"
	"testing"

	"vigil/flowtest/live"
)

// TestFindings: each kind of damage to a run without fault is found, and a run without fault has no finding.
func TestFindings(t *testing.T) {
	fires := func() []live.Fire {
		return []live.Fire{
			{ID: "a", Campaign: "c", User: "u", At: 1, Body: []byte("1")}, {ID: "b", Campaign: "c", User: "u", At: 2, Body: []byte("2")},
		}
	}
	for _, row := range []struct {
		name   string
		damage func(v *verdict, got []live.Fire) []live.Fire
		want   string
	}{
		{"none", func(_ *verdict, got []live.Fire) []live.Fire { return got }, ""},
		{"lost", func(_ *verdict, got []live.Fire) []live.Fire { return got[1:] }, "1 fires lost"},
		{"twice", func(_ *verdict, got []live.Fire) []live.Fire { return append(got, got[0]) }, "1 decided twice"},
		{"surplus", func(_ *verdict, got []live.Fire) []live.Fire { return append(got, live.Fire{ID: "c"}) }, "1 fires that must not be"},
		{"time", func(_ *verdict, got []live.Fire) []live.Fire { got[0].At++; return got }, "1 fires that are wrong"},
		{"lateness", func(_ *verdict, got []live.Fire) []live.Fire { got[0].LateBy++; return got }, "1 fires that are wrong"},
		{"body", func(_ *verdict, got []live.Fire) []live.Fire { got[1].Body = []byte("1"); return got }, "1 fires that are wrong"},
		{"order", func(_ *verdict, got []live.Fire) []live.Fire { slices.Reverse(got); return got }, "1 partitions in another order"},
		{"clock", func(v *verdict, got []live.Fire) []live.Fire { v.early = 1; return got }, "1 moves of a clock past unread records"},
		{"verify", func(v *verdict, got []live.Fire) []live.Fire { v.verifyCode, v.verified = 1, "x"; return got }, "vigil verify ended with 1: x"},
		{"timers", func(v *verdict, got []live.Fire) []live.Fire { v.forgotten = 1; return got }, "1 partitions with timers overdue"},
	} {
		v := &verdict{}
		v.compare(fires(), row.damage(v, fires()))
		if got := strings.Join(v.findings(), "; "); got != row.want {
			t.Errorf("%s: found %q, want %q", row.name, got, row.want)
		}
	}
}
