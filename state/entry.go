package state

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Damaged files may end the process: Badger checks some things with log.Fatal, and a mapped file that is cut short is a
// SIGBUS. So a store notes that it is being opened, until its owner trusts what is in it. One whose opening has ended the
// process again and again is of no use.
const (
	entryFile  = "opening"
	maxEntries = 2
)

// ErrLocked says that another process, or another store of this one, has the folder open.
var ErrLocked = errors.New("the folder is in use")

// enter notes that the store is being opened; leave takes that back where it errs. It errs where opening has ended the
// process too often, and with ErrLocked, without a look at anything, where somebody has the folder open.
func (b *Badger) enter() (leave func(), err error) {
	release, err := lockFolder(b.dir)
	if err != nil {
		return nil, fmt.Errorf("open the state in %s: %w", b.dir, err)
	}
	defer release()
	path := filepath.Join(b.dir, entryFile)
	before, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		return nil, fmt.Errorf("open the state in %s: %w", b.dir, err)
	}
	if len(before) >= maxEntries {
		return nil, fmt.Errorf("open the state in %s: the process ended while it was opened, %d times", b.dir, len(before))
	}
	if err := os.WriteFile(path, append(before, '.'), 0o644); err != nil {
		return nil, fmt.Errorf("open the state in %s: %w", b.dir, err)
	}
	return func() { _ = os.Truncate(path, int64(len(before))) }, nil // at worst it is rebuilt once too often
}

// Trust says that what the store holds was read and is sound.
func (b *Badger) Trust() error {
	if err := os.Remove(filepath.Join(b.dir, entryFile)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("trust the state in %s: %w", b.dir, err)
	}
	return nil
}

// isLocked tells whether err is Badger's, of a folder that is in use.
func isLocked(err error) bool { return strings.Contains(err.Error(), "Cannot acquire directory lock") }
