package replay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"vigil/campaign"
	"vigil/event"
	"vigil/trigger"
)

// MaxLineBytes is the most that one event in a file may have.
const MaxLineBytes = 4 << 20

const checkEvery = 1024 // lines between two looks at the context

// Simulation says how Simulate judges a file (semantics 5).
type Simulation struct {
	Catalog   *campaign.Catalog
	Options   trigger.Options
	FiresOnly bool
	Drain     bool   // after the last line the clock goes to each pending deadline in turn
	Until     *int64 // after the last line the clock goes here, ms since the epoch; nil: it stays
}

// Tally counts what a simulation saw.
type Tally struct {
	Lines, Fires, Skips int
}

// LineError is a line that holds no event; lines count from 1.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap is what is wrong with the line.
func (e *LineError) Unwrap() error { return e.Err }

// Simulate reads one JSON event a line from in, the records of one partition, and writes the decisions to out, one JSON
// object a line in the order decided (semantics 5). It holds one line at a time in memory. It ends at the first line
// that does not parse with a *LineError; what was decided before is written.
func Simulate(ctx context.Context, s Simulation, in io.Reader, out io.Writer) (Tally, error) {
	run := &simulation{Simulation: s, out: bufio.NewWriterSize(out, 1<<16)}
	run.engine = trigger.New(s.Catalog, s.Options, run.write)
	err := run.all(ctx, in)
	if flushed := run.out.Flush(); err == nil && flushed != nil {
		err = fmt.Errorf("write decisions: %w", flushed)
	}
	return run.tally, err
}

// simulation is one run of Simulate.
type simulation struct {
	Simulation
	engine *trigger.Engine
	lines  event.LineDecoder
	out    *bufio.Writer
	row    []byte
	tally  Tally
	failed error // of out, once
}

func (s *simulation) all(ctx context.Context, in io.Reader) error {
	r := &lineReader{r: bufio.NewReaderSize(in, 1<<18)}
	for ; ; s.tally.Lines++ {
		if s.tally.Lines%checkEvery == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, err := r.next()
		if errors.Is(err, io.EOF) {
			return s.finish(ctx)
		}
		if errors.Is(err, errTooLong) {
			return &LineError{s.tally.Lines + 1, err}
		}
		if err != nil {
			return err
		}
		if err := s.apply(line); err != nil {
			return err
		}
	}
}

func (s *simulation) apply(line []byte) error {
	ev, err := s.lines.Decode(line, int64(s.tally.Lines))
	if err != nil {
		return &LineError{s.tally.Lines + 1, err}
	}
	if ev == nil { // a blank line
		return nil
	}
	if err := s.engine.Apply(ev); err != nil {
		return fmt.Errorf("apply line %d: %w", s.tally.Lines+1, err)
	}
	s.settleChanges()
	return s.failed
}

// settleChanges keeps the undo log of the engine short: a simulation never goes back.
func (s *simulation) settleChanges() {
	if s.tally.Lines%checkEvery == 0 {
		s.engine.Changes(func(string, []byte) {})
		s.engine.Commit()
	}
}

// finish moves the clock to the end that was asked for.
func (s *simulation) finish(ctx context.Context) error {
	if s.Until != nil {
		if err := s.engine.Advance(*s.Until); err != nil {
			return fmt.Errorf("advance to the end: %w", err)
		}
	}
	for s.Drain && ctx.Err() == nil && s.failed == nil {
		deadline, ok := s.engine.NextDeadline()
		due := deadline + s.Options.AllowedLateness + 1
		if !ok || due <= s.engine.Clock() { // a timer that is due and still pending is held by a pause
			break
		}
		if err := s.engine.Advance(due); err != nil {
			return fmt.Errorf("drain: %w", err)
		}
	}
	if s.failed == nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return s.failed
}

// write hands one decision to out.
func (s *simulation) write(d *trigger.Decision) {
	if d.Fire {
		s.tally.Fires++
	} else {
		s.tally.Skips++
	}
	if s.FiresOnly && !d.Fire || s.failed != nil {
		return
	}
	s.row = AppendDecision(s.row[:0], d)
	if _, err := s.out.Write(append(s.row, '\n')); err != nil {
		s.failed = fmt.Errorf("write decisions: %w", err)
	}
}

var errTooLong = fmt.Errorf("longer than %d bytes", MaxLineBytes)

// lineReader cuts a stream into lines of bounded length without holding more than one.
type lineReader struct {
	r    *bufio.Reader
	long []byte // the line so far, where it is longer than the buffer
}

// next is the next line without its end; io.EOF after the last. It is valid until the call after.
func (l *lineReader) next() ([]byte, error) {
	l.long = l.long[:0]
	for {
		part, err := l.r.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			l.long = append(l.long, part...)
			if len(l.long) > MaxLineBytes {
				return nil, errTooLong
			}
			continue
		case err != nil && !errors.Is(err, io.EOF):
			return nil, fmt.Errorf("read events: %w", err)
		case err != nil && len(part) == 0 && len(l.long) == 0:
			return nil, io.EOF
		}
		if len(l.long) == 0 {
			return part, nil
		}
		l.long = append(l.long, part...)
		return l.long, nil
	}
}
