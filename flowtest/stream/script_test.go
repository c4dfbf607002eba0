package stream

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what happens into the timelines")

// A timeline is a text file. A line that begins at the margin is a command, indented lines below belong to it; # begins
// a comment. The clock begins at Saturday 2000-01-01 00:00 UTC and moves by `advance` alone.
//
//	campaign                    a campaign file, indented; one with a known id replaces it
//	status ID STATUS            edits the status of a campaign
//	delete ID                   deletes a campaign
//	start|stop|restart [PART]   processor or sink; both without a name. A stop is a clean one
//	wipe disk                   removes the state of a processor that is stopped: what is left is the changelog
//	event USER TYPE [OPTION...] [PROPERTIES]
//	                            id=ID (default e1, e2, ...); ago=DURATION: its time is so long before now;
//	                            ahead=DURATION: the record's time is so long after now. PROPERTIES is a JSON object
//	record USER TEXT            a record as it stands
//	advance DURATION
//	fetches DURATION            how long a fetch waits, from the next start on
//	receiver answers STATUS...  one a request, the last for good; `hangs` never answers
//	want webhooks               requests since the last time: when, campaign, user/key, anchor, slot, at, attempt, answer
//	want attempts               records of vigil.attempts since the last time
//	want decisions              decisions of the processor since the last time, counted by campaign and reason
//	want shadow|dead|journal    all of vigil.shadow, of both dlq topics, or of vigil.journal
//	want nothing                no request since the last time

// command is one command of a timeline.
type command struct {
	line  int // 1-based
	verb  string
	rest  string
	block []string // without their indent
}

// timeline is a file of commands; lines between them are kept for a rewrite.
type timeline struct {
	file     string
	lines    []string
	commands []command
}

func readTimeline(t *testing.T, file string) *timeline {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	tl := &timeline{file: file, lines: strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")}
	for i, line := range tl.lines {
		switch {
		case line == "" || line[0] == '#':
		case line[0] == ' ':
			if len(tl.commands) == 0 {
				t.Fatalf("%s:%d: an indented line without a command", file, i+1)
			}
			last := &tl.commands[len(tl.commands)-1]
			last.block = append(last.block, strings.TrimPrefix(line, "  "))
		default:
			verb, rest, _ := strings.Cut(line, " ")
			tl.commands = append(tl.commands, command{line: i + 1, verb: verb, rest: strings.TrimSpace(rest)})
		}
	}
	return tl
}

// run runs the commands on a stage; what a want finds is compared, or with -update written.
func (tl *timeline) run(s *stage) {
	s.t.Helper()
	for i := range tl.commands {
		c := &tl.commands[i]
		do := verbs()[c.verb]
		if do == nil {
			s.t.Fatalf("%s:%d: no such command: %s", tl.file, c.line, c.verb)
		}
		got, err := do(s, c)
		if err != nil {
			s.t.Fatalf("%s:%d: %s: %v", tl.file, c.line, c.verb, err)
		}
		if c.verb != "want" || c.rest == "nothing" {
			continue
		}
		if *update {
			c.block = got
			continue
		}
		if diff := cmp.Diff(strings.Join(c.block, "\n"), strings.Join(got, "\n")); diff != "" {
			s.t.Errorf("%s:%d: want %s (-want +got)\n%s", tl.file, c.line, c.rest, diff)
		}
	}
}

// write puts the blocks of the wants in their places.
func (tl *timeline) write() error {
	var out strings.Builder
	next := 0
	skip := false
	for i, line := range tl.lines {
		if skip && strings.HasPrefix(line, " ") {
			continue
		}
		skip = false
		out.WriteString(line + "\n")
		if next == len(tl.commands) || tl.commands[next].line != i+1 {
			continue
		}
		if c := tl.commands[next]; c.verb == "want" {
			skip = true
			for _, l := range c.block {
				out.WriteString("  " + l + "\n")
			}
		}
		next++
	}
	return os.WriteFile(tl.file, []byte(out.String()), 0o644)
}

// TestTimelines runs every timeline in a bubble of its own.
func TestTimelines(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no timelines: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			tl := readTimeline(t, file)
			inBubble(t, 2, tl.run)
			if *update && !t.Failed() {
				if err := tl.write(); err != nil {
					t.Fatal(fmt.Errorf("write %s: %w", file, err))
				}
			}
		})
	}
}
