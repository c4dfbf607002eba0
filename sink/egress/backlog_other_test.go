//go:build !linux

package egress

import "testing"

// backlogRows needs a kernel that drops a SYN when the queue is full.
func backlogRows() []row {
	return []row{{name: "full SYN backlog", run: func(t *testing.T) { t.Skip("the queue of a listener is known to fill up on Linux only") }}}
}
