package chaos

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	diskBytes  = 128 << 20       // of the disk that gets full: room for the state of all partitions
	beforeFull = 5 * time.Second // that the member runs on it before
	afterFull  = 3 * time.Second // and after
)

// rob deletes the data_dir of a member that runs. What it makes anew meanwhile stays.
func (m *member) rob() {
	for range 3 {
		if err := os.RemoveAll(m.folder); err == nil {
			return
		}
	}
}

// fill lets the member run on a disk of its own, which is filled to the last byte for a while and then has room again.
// It ends with the member killed and on its old disk; false where no disk can be mounted, with the member as it was.
func (m *member) fill(ctx context.Context, hold time.Duration) bool {
	disk := m.Path(m.name + "-disk")
	if err := mount(disk); err != nil {
		m.skip(full, err.Error())
		return false
	}
	defer func() { m.must(unmount(disk)) }()
	m.kill()
	before := m.folder
	m.folder = filepath.Join(disk, "state")
	m.start()
	pause(ctx, beforeFull)
	ballast := filepath.Join(disk, "ballast")
	m.must(writeUntilFull(ballast))
	m.ride(ctx, hold)
	m.must(os.Remove(ballast))
	m.ride(ctx, afterFull)
	m.kill()
	m.folder = before
	return true
}

// ride lets time pass, and starts the member again where it ends by itself.
func (m *member) ride(ctx context.Context, d time.Duration) {
	riding, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	m.wait(riding, 2*d)
}

// mount makes a small disk at a place. It must be unmounted.
func mount(place string) error {
	if err := os.MkdirAll(place, 0o755); err != nil {
		return err
	}
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprint("size=", diskBytes), "none", place).CombinedOutput()
	if err != nil {
		return fmt.Errorf("a small disk cannot be mounted: %s", strings.TrimSpace(string(out)))
	}
	return nil
}

func unmount(place string) error {
	out, err := exec.Command("umount", "-l", place).CombinedOutput()
	if err != nil {
		return fmt.Errorf("umount %s: %w: %s", place, err, out)
	}
	return nil
}

// writeUntilFull writes a file until the disk has no room left.
func writeUntilFull(name string) error {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, zeros{})
	if !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("fill the disk: %w", err)
	}
	if err := f.Close(); err != nil && !errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return nil
}

// zeros is endless.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
