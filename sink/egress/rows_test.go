package egress

import (
	"io"
	"log"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"vigil/sink/core"
	"vigil/webhook"
)

// TestMain silences the log of the standard library, where net/http tells what receivers send.
func TestMain(m *testing.M) {
	log.SetOutput(io.Discard)
	os.Exit(m.Run())
}

// row is one line of the tables of delivery 8: its name, and a test that fails where the outcome is not as required.
type row struct {
	name string
	run  func(t *testing.T)
	lone bool // it measures what others would disturb: it runs alone, before them
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
				if !r.lone {
					t.Parallel()
				}
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

// outcome is the class of an answer and its status or code.
func outcome(a core.Answer) string {
	class, detail := core.StatusClass(a.Status), strconv.Itoa(a.Status)
	if a.Failed {
		class, detail = a.Class, a.Code
	}
	return map[core.Class]string{core.Success: "success ", core.Retryable: "retryable ", core.Permanent: "permanent ", core.Ours: "ours "}[class] + detail
}

// require wants the outcome, and that nothing in the answer can break a line of a log or a record.
func require(t *testing.T, a core.Answer, want string) {
	t.Helper()
	if got := outcome(a); got != want {
		t.Errorf("%s, want %s (%s; %v)", got, want, a.Reason, a.Err)
	}
	if a.Failed == (a.Reason == "") {
		t.Errorf("reason %q", a.Reason)
	}
	odd := func(r rune) bool { return r < ' ' || r > '~' }
	if len(a.Reason) > webhook.MaxReasonBytes || strings.ContainsFunc(a.Reason, odd) {
		t.Errorf("reason of %d bytes: %q", len(a.Reason), a.Reason)
	}
	if len(a.Body) > webhook.MaxResponseBytes || !utf8.ValidString(a.Body) || strings.ContainsAny(a.Body, "\x00\x1b\x7f") {
		t.Errorf("%d bytes of body are kept: %.200q", len(a.Body), a.Body)
	}
}
