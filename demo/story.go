package demo

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	quietEvery    = 3 * time.Second // between two lines about a webhook that did not come
	maxRemembered = 100_000         // webhooks
)

// Story tells on a terminal what comes, and remembers it for the summary. Its methods may be called by many goroutines.
type Story struct {
	out    io.Writer
	colour bool
	began  time.Time

	mu        sync.Mutex // guards all below, and out
	came      map[fired]time.Time
	seen      map[string]bool // webhook ids
	repeated  int
	unsigned  int
	delays    [2][]time.Duration // from the event, or from the deadline, that made a webhook due to its arrival
	campaigns map[string]int
	lastQuiet time.Time
}

// fired is what a webhook is about.
type fired struct{ campaign, user, key string }

// NewStory tells to out, in colours or not.
func NewStory(out io.Writer, colour bool) *Story {
	now := time.Now()
	return &Story{
		out: out, colour: colour, began: now, lastQuiet: now,
		came: map[fired]time.Time{}, seen: map[string]bool{}, campaigns: map[string]int{},
	}
}

const (
	green = "32"
	red   = "31"
	dim   = "2"
	bold  = "1"
)

func (s *Story) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// Say prints a line as it is.
func (s *Story) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, format+"\n", args...)
}

// Came tells of a webhook.
func (s *Story) Came(w Webhook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clock := w.Came.Format("15:04:05.0")
	if w.Signed != nil {
		s.unsigned++
		fmt.Fprintf(s.out, "%s  %s %v\n", clock, s.paint(red, "✗ refused, not signed by us:"), w.Signed)
		return
	}
	again := ""
	if s.seen[w.ID] {
		s.repeated++
		again = s.paint(dim, " (the same webhook-id again: ignored)")
	} else {
		s.forget()
		s.seen[w.ID] = true
		s.campaigns[w.Body.Campaign]++
		due := 0
		if w.timed() {
			due = 1
		}
		s.delays[due] = append(s.delays[due], max(0, w.Came.Sub(w.Body.At)))
		s.came[fired{w.Body.Campaign, w.Body.User, w.Body.Key}] = w.Came
	}
	fmt.Fprintf(s.out, "%s  %s %s  %s%s\n", clock, s.paint(green, "✓"), s.paint(bold, pad(w.Body.Campaign)), w.Why(), again)
}

// forget bounds what a receiver that runs for days remembers.
func (s *Story) forget() {
	if len(s.seen) >= maxRemembered {
		clear(s.seen)
		clear(s.came)
		s.delays = [2][]time.Duration{}
	}
}

// Quiet tells, once in a while, of a shopper for whom no webhook came.
func (s *Story) Quiet(w *Watcher, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	told := w.Quiet(now, func(campaign, user, key string) bool {
		_, ok := s.came[fired{campaign, user, key}]
		return ok
	})
	if len(told) == 0 || now.Sub(s.lastQuiet) < quietEvery {
		return
	}
	s.lastQuiet = now
	fmt.Fprintf(s.out, "%s  %s\n", now.Format("15:04:05.0"), s.paint(dim, "· "+pad("no webhook")+"  "+told[0]))
}

func pad(campaign string) string { return fmt.Sprintf("%-19s", campaign) }

// Count is a number with a name.
type Count struct {
	Name string
	N    int
}

// Counts is what the engine and the sink say of the run.
type Counts struct {
	Events, Delivered int
	Fires, Skips      []Count // by campaign; by reason
	Note              string  // on the latency
}

// Summary closes the story.
func (s *Story) Summary(c Counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fires, skips := total(c.Fires), total(c.Skips)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(s.out, "  %-11s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(s.out, "\n%s\n", s.paint(bold, fmt.Sprintf("After %s", time.Since(s.began).Round(time.Second))))
	row("events", "%d", c.Events)
	row("decisions", "%d = %d fires + %d skips", fires+skips, fires, skips)
	row("fires", "%s", list(c.Fires))
	row("skips", "%s", list(c.Skips))
	row("delivered", "%d of %d, signature ok %d, refused %d, repeated %d", c.Delivered, fires, len(s.seen), s.unsigned, s.repeated)
	row("latency", "p50 %s after the event, %s after a deadline%s", middle(s.delays[0]), middle(s.delays[1]), c.Note)
}

// middle is the median.
func middle(delays []time.Duration) string {
	if len(delays) == 0 {
		return "-"
	}
	slices.Sort(delays)
	return fmt.Sprintf("%d ms", delays[len(delays)/2].Milliseconds())
}

// Got is the number of distinct signed webhooks of a campaign.
func (s *Story) Got(campaign string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.campaigns[campaign]
}

func total(counts []Count) int {
	sum := 0
	for _, c := range counts {
		sum += c.N
	}
	return sum
}

// list is the counts in a line, the greatest first.
func list(counts []Count) string {
	if len(counts) == 0 {
		return "none"
	}
	slices.SortFunc(counts, func(a, b Count) int {
		if a.N != b.N {
			return b.N - a.N
		}
		return strings.Compare(a.Name, b.Name)
	})
	parts := make([]string, len(counts))
	for i, c := range counts {
		parts[i] = fmt.Sprintf("%s %d", c.Name, c.N)
	}
	return strings.Join(parts, ", ")
}
