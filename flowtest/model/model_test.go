package model

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/campaign"
)

// TestCases holds the model against the worked examples of the rule book, copied to testdata.
func TestCases(t *testing.T) {
	dirs, err := filepath.Glob("testdata/cases/[0-9]*")
	if err != nil || len(dirs) != 30 {
		t.Fatalf("found %d cases, want 30: %v", len(dirs), err)
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			t.Parallel()
			campaigns, problems := campaign.Load(filepath.Join(dir, "campaigns"))
			if campaign.Failed(problems) {
				t.Fatal(problems)
			}
			events, err := ReadLines(read(t, filepath.Join(dir, "events.ndjson")))
			if err != nil {
				t.Fatal(err)
			}
			opt := Options{
				AllowedLateness: 2000, MaxEventAge: 2 * 60 * 60 * 1000, MaxFireDelay: 24 * 60 * 60 * 1000,
				Crons: crons(t, dir, campaigns),
			}
			got := Text(Run(campaigns, opt, events, until(t, dir)))
			if diff := cmp.Diff(read(t, filepath.Join(dir, "expected.ndjson")), got); diff != "" {
				t.Errorf("-expected +model\n%s", diff)
			}
		})
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func until(t *testing.T, dir string) Until {
	text, err := os.ReadFile(filepath.Join(dir, "until.txt"))
	if err != nil {
		return Until{}
	}
	if string(text) == "drain\n" || string(text) == "drain" {
		return Until{Drain: true}
	}
	to, err := time.Parse(time.RFC3339Nano, string(regexp.MustCompile(`\S+`).Find(text)))
	if err != nil {
		t.Fatal(err)
	}
	return Until{To: to.UnixMilli()}
}

// crons reads the schedules from the text, for a compiled campaign hides them.
func crons(t *testing.T, dir string, campaigns []*campaign.Campaign) map[string]Cron {
	found := map[string]Cron{}
	for _, c := range campaigns {
		text := read(t, filepath.Join(dir, "campaigns", c.ID+".yaml"))
		if m := regexp.MustCompile(`cron: ([^\n]+)`).FindStringSubmatch(text); m != nil {
			found[c.ID] = Cron{Expr: m[1], Zone: c.Zone}
		}
	}
	return found
}
