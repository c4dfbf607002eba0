//go:build !linux && !darwin

package doctor

import "os"

func unwritable(dir string) error {
	_, err := os.Stat(dir)
	return err
}

func freeBytes(string) (uint64, bool) { return 0, false }

func openFiles() (uint64, bool) { return 0, false }

func locked(string) bool { return false }
