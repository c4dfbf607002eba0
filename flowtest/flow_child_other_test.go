//go:build !linux

package flowtest

import "syscall"

// dieWithParent is for Linux; elsewhere a child outlives tests that were killed.
func dieWithParent() *syscall.SysProcAttr { return nil }
