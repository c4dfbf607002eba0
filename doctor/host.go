package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

const (
	giga           = 1 << 30
	leastFree      = giga / 4
	wantFree       = 2 * giga
	filesPerStore  = 64  // descriptors that the state of a partition may need
	filesBesides   = 256 // those of everything else
	filesPerFlight = 2   // of an attempt: its connection, and one that is on its way out
)

// host looks at the machine it runs on.
func (c *Checkup) host() {
	dir := existing(c.Config.DataDir)
	if why := unwritable(dir); why != nil {
		c.note("disk", Fail, fmt.Sprintf("data_dir %s cannot be written: %v", c.Config.DataDir, why), "chown or chmod "+dir+" for the user that vigil runs as, or set data_dir")
	} else {
		c.free(dir)
	}
	c.locks()
	c.descriptors()
}

// existing is the nearest folder above dir that is there.
func existing(dir string) string {
	dir, err := filepath.Abs(dir)
	for err == nil && filepath.Dir(dir) != dir {
		if _, missing := os.Stat(dir); !errors.Is(missing, fs.ErrNotExist) {
			break
		}
		dir = filepath.Dir(dir)
	}
	return dir
}

func (c *Checkup) free(dir string) {
	left, known := freeBytes(dir)
	text := fmt.Sprintf("%.1f GB free for data_dir %s", float64(left)/giga, c.Config.DataDir)
	switch {
	case !known:
		c.ok("disk", "data_dir %s can be written; how much is free is not known", c.Config.DataDir)
	case left < leastFree:
		c.note("disk", Fail, text, "free some, or set data_dir to a folder on another disk; the state is rebuilt there")
	case left < wantFree:
		c.note("disk", Warn, text, "free some, or set data_dir to a folder on another disk; the state is rebuilt there")
	default:
		c.ok("disk", "%s", text)
	}
}

// locks tells which process has the state open.
func (c *Checkup) locks() {
	stores, err := filepath.Glob(filepath.Join(c.Config.DataDir, "state", "*"))
	if err != nil || len(stores) == 0 {
		c.ok("lock", "no state in data_dir yet")
		return
	}
	owners := map[string]int{}
	for _, dir := range stores {
		if !locked(dir) {
			continue
		}
		pid, _ := os.ReadFile(filepath.Join(dir, "LOCK"))
		owners[strings.TrimSpace(string(pid))]++
	}
	switch len(owners) {
	case 0:
		c.ok("lock", "the state of %s is open to nobody", counted(len(stores), "partition"))
	case 1:
		for pid, n := range owners {
			c.ok("lock", "process %s has the state of %s open: it runs here", pid, counted(n, "partition"))
		}
	default:
		c.note("lock", Warn, fmt.Sprintf("%d processes share data_dir %s: a partition that moves between them waits for its lock", len(owners), c.Config.DataDir),
			"give each its own data_dir")
	}
}

func (c *Checkup) descriptors() {
	limit, known := openFiles()
	if !known {
		c.ok("descriptors", "the limit of open files is not known on this system")
		return
	}
	stores, _ := filepath.Glob(filepath.Join(c.Config.DataDir, "state", "*"))
	need := uint64(filesBesides + filesPerFlight*c.Config.Sink.MaxInFlight + filesPerStore*max(len(stores), 1))
	text := fmt.Sprintf("%d open files are allowed, about %d may be needed", limit, need)
	if limit < need {
		c.note("descriptors", Warn, text, "ulimit -n 65536, or LimitNOFILE=65536 in the systemd unit")
		return
	}
	c.ok("descriptors", "%s", text)
}
