//go:build !linux

package egress

import "testing"

// backlogRows needs a kernel that drops a SYN when the queue is full, and limits that are those of Linux.
func backlogRows() []row {
	return []row{{name: "no descriptors left", run: func(t *testing.T) { t.Skip("the limit is set by a call of Linux") }}, {name: "full SYN backlog", run: func(t *testing.T) { t.Skip("the queue of a listener is known to fill up on Linux only") }}}
}
