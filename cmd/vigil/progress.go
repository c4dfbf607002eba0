package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// progress counts what is read of an input and shows it on a terminal: rate, done, and for a file what is left.
type progress struct {
	io.Reader
	screen io.Writer // nil: says nothing
	total  int64     // bytes; 0: not known
	read   int64
	began  time.Time
	shown  time.Time
}

const progressEvery = 500 * time.Millisecond

// watched wraps an input; nothing is shown where screen is no terminal.
func watched(in io.Reader, screen io.Writer) *progress {
	p := &progress{Reader: in, began: time.Now()}
	p.shown = p.began
	if terminal(screen) {
		p.screen = screen
	}
	if f, ok := in.(*os.File); ok {
		if stat, err := f.Stat(); err == nil && stat.Mode().IsRegular() {
			p.total = stat.Size()
		}
	}
	return p
}

// Read counts.
func (p *progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.read += int64(n)
	if p.screen != nil && time.Since(p.shown) >= progressEvery {
		p.shown = time.Now()
		fmt.Fprintf(p.screen, "\r\x1b[K%s", p.line(time.Since(p.began)))
	}
	return n, err
}

// line is what the screen shows after some time.
func (p *progress) line(after time.Duration) string {
	const mega = 1 << 20
	rate := float64(p.read) / after.Seconds()
	text := fmt.Sprintf("%.1f MB read, %.1f MB/s", float64(p.read)/mega, rate/mega)
	if p.total > 0 && rate > 0 {
		left := time.Duration(float64(p.total-p.read) / rate * float64(time.Second))
		text = fmt.Sprintf("%.0f %%, %s, %s left", 100*float64(p.read)/float64(p.total), text, left.Round(time.Second))
	}
	return text
}

// tally shows how much of a known amount is done, on a terminal: rate, done, what is left.
type tally struct {
	screen io.Writer // nil: says nothing
	what   string
	began  time.Time
	shown  time.Time
}

// tallied is a tally of what; nothing is shown where screen is no terminal.
func tallied(screen io.Writer, what string) *tally {
	t := &tally{what: what, began: time.Now()}
	t.shown = t.began
	if terminal(screen) {
		t.screen = screen
	}
	return t
}

// at is called with how much is done.
func (t *tally) at(done, total int64) {
	if t.screen == nil || time.Since(t.shown) < progressEvery {
		return
	}
	t.shown = time.Now()
	fmt.Fprintf(t.screen, "\r\x1b[K%s", t.line(done, total, time.Since(t.began)))
}

// line is what the screen shows after some time.
func (t *tally) line(done, total int64, after time.Duration) string {
	rate := float64(done) / after.Seconds()
	left := time.Duration(float64(total-done) / rate * float64(time.Second))
	return fmt.Sprintf("%.0f %%, %d %s done, %.0f/s, %s left", 100*float64(done)/float64(total), done, t.what, rate, left.Round(time.Second))
}

// clear takes the line off the screen.
func (t *tally) clear() {
	if t.screen != nil && t.shown != t.began {
		fmt.Fprint(t.screen, "\r\x1b[K")
	}
}

// clear takes the line off the screen.
func (p *progress) clear() {
	if p.screen != nil && p.shown != p.began {
		fmt.Fprint(p.screen, "\r\x1b[K")
	}
}
