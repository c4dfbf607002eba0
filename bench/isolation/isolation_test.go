package isolation_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"vigil/bench/isolation"
)

// TestShortRun: every phase delivers all that its healthy endpoints are sent. How fast is for the full run to tell.
func TestShortRun(t *testing.T) {
	if testing.Short() {
		t.Skip("20 s of load")
	}
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
				t.Errorf("%s", line)
			}
		}
	}
	if rows != 7 {
		t.Errorf("%d phases in\n%s", rows, out.String())
	}
}
