package state_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"vigil/state"
)

// rowsOf are n records of users that are spread evenly over the first users, each of size bytes that compress like a
// record does: half of it is the same everywhere.
func rowsOf(r *rand.Rand, n, users, size int) []state.Row {
	rows := make([]state.Row, 0, n)
	for i := range r.Perm(users)[:n] {
		value := make([]byte, size)
		for j := range size / 2 {
			value[j] = byte(r.Uint32())
		}
		rows = append(rows, state.Row{Key: fmt.Sprintf("user-%08d", i), Value: value})
	}
	r.Shuffle(n, func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	return rows
}

// cpu is what the process has used of the processors so far, all goroutines together: what matters on a shared machine.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkCheckpoint writes the dirty users of one partition of 125,000, which is one of eight with 1M in all; cpu-ns/row
// is the cost of a user in a checkpoint, compaction and Close included.
func BenchmarkCheckpoint(b *testing.B) {
	for _, dirty := range []int{1_000, 10_000, 100_000} {
		b.Run(fmt.Sprintf("rows=%d", dirty), func(b *testing.B) {
			s, _, err := state.OpenBadger(b.TempDir(), state.Options{})
			if err != nil {
				b.Fatal(err)
			}
			r := rand.New(rand.NewPCG(1, 2))
			batches := [][]state.Row{rowsOf(r, dirty, 125_000, 200), rowsOf(r, dirty, 125_000, 200), rowsOf(r, dirty, 125_000, 200)}
			b.ReportAllocs()
			i, began := 0, cpu(b)
			for b.Loop() {
				if err := s.Write(batches[i%len(batches)], state.Meta{Offset: int64(i)}); err != nil {
					b.Fatal(err)
				}
				i++
			}
			if err := s.Close(); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(cpu(b)-began)/float64(i*dirty), "cpu-ns/row")
		})
	}
}

// BenchmarkScan reads a partition of 125,000 users after a restart: what a restore from the disk costs before the tail.
func BenchmarkScan(b *testing.B) {
	dir := b.TempDir()
	s, _, err := state.OpenBadger(dir, state.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.Write(rowsOf(rand.New(rand.NewPCG(1, 2)), 125_000, 125_000, 200), state.Meta{}); err != nil {
		b.Fatal(err)
	}
	n, began := 0, cpu(b)
	for b.Loop() {
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		if s, _, err = state.OpenBadger(dir, state.Options{}); err != nil {
			b.Fatal(err)
		}
		if err := s.Scan(func(_, _ []byte) error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(cpu(b)-began)/float64(n), "cpu-ns/row")
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}
