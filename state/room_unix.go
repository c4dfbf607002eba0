//go:build linux || darwin

package state

import "syscall"

// room is what may still be written to the disk that holds a folder, in bytes; false where that cannot be told.
func room(dir string) (bytes uint64, ok bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return uint64(s.Bavail) * uint64(s.Bsize), true
}
