package main

import (
	stdlog "log"
	"strings"
	"testing"

	"vigil/config"
)

// TestStandardLogIsQuiet: what net/http logs by itself reaches our log at the level debug only, as one line.
func TestStandardLogIsQuiet(t *testing.T) {
	was, flags := stdlog.Writer(), stdlog.Flags()
	t.Cleanup(func() { stdlog.SetOutput(was); stdlog.SetFlags(flags) }) // other tests come after this one
	for level, lines := range map[string]int{"info": 0, "debug": 1} {
		var out strings.Builder
		if _, err := newLog(config.Log{Level: level, Format: "json"}, &out); err != nil {
			t.Fatal(err)
		}
		stdlog.Printf("Unsolicited response received on idle HTTP channel starting with %q", "a\nb")
		if n := strings.Count(out.String(), "\n"); n != lines {
			t.Errorf("%s: %d lines: %s", level, n, out.String())
		}
	}
}
