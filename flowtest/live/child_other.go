//go:build !linux

package live

import "syscall"

// dieWithParent is for Linux; elsewhere a child outlives tests that were killed.
func dieWithParent() *syscall.SysProcAttr { return nil }
