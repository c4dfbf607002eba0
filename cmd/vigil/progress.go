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

// clear takes the line off the screen.
func (p *progress) clear() {
	if p.screen != nil && p.shown != p.began {
		fmt.Fprint(p.screen, "\r\x1b[K")
	}
}
