//go:build linux || darwin

package doctor

import (
	"errors"
	"os"
	"syscall"
)

const writable = 2 // W_OK

func unwritable(dir string) error { return syscall.Access(dir, writable) }

// freeBytes is what a user without privileges may still write.
func freeBytes(dir string) (uint64, bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true
}

// openFiles is the limit of this process, which the Go runtime has raised as far as it may.
func openFiles() (uint64, bool) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return uint64(limit.Cur), err == nil
}

// locked tells whether a process has the store in dir open: it holds a lock on the folder. Asking takes a shared lock for
// a moment; a processor that opens the store just then tries again.
func locked(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }() // which gives the lock back
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
