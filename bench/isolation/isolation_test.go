package isolation_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"vigil/bench/isolation"
)

// TestShortRun: every phase delivers what its healthy endpoints are sent. How fast is for the full run to tell; where a busy
// machine was too slow for one run, another tells whether it was the machine.
func TestShortRun(t *testing.T) {
	if testing.Short() {
		t.Skip("20 s of load")
	}
	var late []string
	for range 3 {
		if late = shortRun(t); len(late) == 0 {
			return
		}
		t.Logf("late:\n%s", strings.Join(late, "\n"))
	}
	t.Errorf("in each of three runs some phases delivered less than half:\n%s", strings.Join(late, "\n"))
}

// shortRun is one run; late are the phases in which less than half came in time.
func shortRun(t *testing.T) (late []string) {
	t.Helper()
	var out bytes.Buffer
	if err := isolation.Run(t.Context(), true, &out); err != nil {
		t.Fatal(err)
	}
	rows := 0
	for _, line := range strings.Split(out.String(), "\n") {
		var sent, got float64
		if n, _ := fmt.Sscan(line[min(len(line), 22):], &sent, &got); n == 2 {
			rows++
			if got < sent/2 {
				late = append(late, line)
			}
		}
	}
	if rows != 7 {
		t.Errorf("%d phases in\n%s", rows, out.String())
	}
	return late
}
