package flowtest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/campaign"
	"vigil/replay"
	"vigil/trigger"
)

// TestRuleBook replays one case for each sentence of the rule book. What is expected was derived from the text by hand,
// never taken from the program; note.txt says which section.
func TestRuleBook(t *testing.T) {
	cases, err := filepath.Glob("testdata/rules/*")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, dir := range cases {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			campaigns, problems := campaign.Load(filepath.Join(dir, "campaigns"))
			if campaign.Failed(problems) {
				t.Fatal(problems)
			}
			s := ruleSimulation(t, dir)
			s.Catalog = campaign.NewCatalog(campaigns)
			var out bytes.Buffer
			if _, err := replay.Simulate(t.Context(), s, bytes.NewReader(read(t, filepath.Join(dir, "events.ndjson"))), &out); err != nil {
				t.Fatal(err)
			}
			want := string(read(t, filepath.Join(dir, "expected.ndjson")))
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(out.String(), "\n")); diff != "" {
				t.Errorf("%s-want +got\n%s", read(t, filepath.Join(dir, "note.txt")), diff)
			}
		})
	}
}

// ruleSimulation is the simulation that until.txt and flags.txt ask for; both may be missing.
func ruleSimulation(t *testing.T, dir string) replay.Simulation {
	t.Helper()
	spans := map[string]int64{"allowed-lateness": 2000, "max-event-age": 2 * 3600_000, "max-fire-delay": 24 * 3600_000}
	for line := range strings.Lines(optional(t, filepath.Join(dir, "flags.txt"))) {
		name, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		if text == "0" {
			text = "0s"
		}
		ms, err := campaign.ParseDuration(text)
		if _, known := spans[name]; !known || err != nil {
			t.Fatalf("flags.txt: %q: %v", line, err)
		}
		spans[name] = ms
	}
	s := replay.Simulation{Options: trigger.Options{
		AllowedLateness: spans["allowed-lateness"], MaxEventAge: spans["max-event-age"], MaxFireDelay: spans["max-fire-delay"],
	}}
	switch until := strings.TrimSpace(optional(t, filepath.Join(dir, "until.txt"))); until {
	case "":
	case "drain":
		s.Drain = true
	default:
		end, err := time.Parse(time.RFC3339, until)
		if err != nil {
			t.Fatal(err)
		}
		ms := end.UnixMilli()
		s.Until = &ms
	}
	return s
}

// optional is the text of a file, empty where there is none.
func optional(t *testing.T, path string) string {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return string(read(t, path))
}

// TestRuleFiles reads campaign files, one for each thing that the rule book allows or forbids to write (1.1, 2.5, 3, 4).
func TestRuleFiles(t *testing.T) {
	for file, wrong := range map[string]bool{"testdata/lint/accept.yaml": false, "testdata/lint/refuse.yaml": true} {
		for i, src := range strings.Split(string(read(t, file)), "\n---\n") {
			_, problems := campaign.Parse(file, []byte(src))
			if campaign.Failed(problems) != wrong {
				t.Errorf("%s, file %d: %v\n%s", file, i+1, problems, src)
			}
		}
	}
}
