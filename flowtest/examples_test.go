package flowtest

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vigil/campaign"
	"vigil/config/endpoints"
	"vigil/replay"
	"vigil/trigger"
)

// The folders with campaigns that ship as examples.
var exampleFolders = []string{"../examples/campaigns", "../demo/campaigns"}

// TestExampleCampaigns lints every campaign that we show: no errors, no warnings, every endpoint there.
func TestExampleCampaigns(t *testing.T) {
	known := map[string]bool{}
	for _, dir := range []string{"../examples/endpoints", "../deploy/compose/endpoints"} {
		list, problems, err := endpoints.Load(dir)
		if err != nil || len(problems) > 0 || len(list) == 0 {
			t.Errorf("%s: %d endpoints, problems %v, error %v", dir, len(list), problems, err)
		}
		for _, e := range list {
			known[e.Name] = true
		}
	}
	for _, dir := range exampleFolders {
		campaigns, problems := campaign.Load(dir)
		if len(campaigns) == 0 || len(problems) > 0 {
			t.Errorf("%s: %d campaigns, problems %v", dir, len(campaigns), problems)
		}
		for _, c := range campaigns {
			if c.Webhook.Endpoint != "" && !known[c.Webhook.Endpoint] {
				t.Errorf("%s: no example endpoint is named %q", c.ID, c.Webhook.Endpoint)
			}
		}
	}
}

// TestExamplesShowEveryTrigger wants each of the six trigger types of the rule book among the examples.
func TestExamplesShowEveryTrigger(t *testing.T) {
	missing := []string{
		"single_action", "actions", "inaction_within_time", "inaction", "date_time_property", "actions_with_user_properties",
	}
	campaigns, _ := campaign.Load("../examples/campaigns")
	for _, c := range campaigns {
		missing = slices.DeleteFunc(missing, func(name string) bool { return name == c.Trigger.Type })
	}
	if len(missing) > 0 {
		t.Errorf("no example of %v", missing)
	}
}

// TestExampleDecisions replays the events of each example to the end of its timers. The expected files were written by
// hand from the rule book.
func TestExampleDecisions(t *testing.T) {
	campaigns, _ := campaign.Load("../examples/campaigns")
	for _, c := range campaigns {
		t.Run(c.ID, func(t *testing.T) {
			want := string(read(t, "../examples/expected/"+c.ID+".ndjson"))
			got := simulate(t, c, read(t, "../examples/events/"+c.ID+".ndjson"))
			if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
	files, err := filepath.Glob("../examples/e*/*.ndjson")
	if err != nil || len(files) != 2*len(campaigns) {
		t.Errorf("%d campaigns, but %d files of events and decisions: %v", len(campaigns), len(files), err)
	}
}

// simulate is `vigil simulate --until drain` with its defaults.
func simulate(t *testing.T, c *campaign.Campaign, events []byte) string {
	t.Helper()
	s := replay.Simulation{
		Catalog: campaign.NewCatalog([]*campaign.Campaign{c}),
		Options: trigger.Options{
			AllowedLateness: 2 * time.Second.Milliseconds(),
			MaxEventAge:     2 * time.Hour.Milliseconds(),
			MaxFireDelay:    24 * time.Hour.Milliseconds(),
		},
		Drain: true,
	}
	var out bytes.Buffer
	if _, err := replay.Simulate(t.Context(), s, bytes.NewReader(events), &out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestDocumentedCampaigns lints every whole campaign in README.md and the pages of docs/: a yaml block that begins
// with an id.
func TestDocumentedCampaigns(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	if _, err := os.Stat("../README.md"); err == nil {
		pages = append(pages, "../README.md")
	}
	for _, page := range pages {
		for i, block := range blocks(string(read(t, page)), "yaml") {
			if !strings.HasPrefix(block, "id:") {
				continue
			}
			if _, problems := campaign.Parse(page, []byte(block)); len(problems) > 0 {
				t.Errorf("%s, yaml block %d: %v", page, i+1, problems)
			}
		}
	}
}

// TestCampaignPage wants docs/campaigns.md to show each example as it is, and the decisions that it leads to.
func TestCampaignPage(t *testing.T) {
	page := string(read(t, "../docs/campaigns.md"))
	files, err := filepath.Glob("../examples/campaigns/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples: %v", err)
	}
	for _, file := range files {
		_, shown, _ := strings.Cut("\n"+string(read(t, file)), "\nid:")
		if !strings.Contains(page, "```yaml\nid:"+shown+"```\n") {
			t.Errorf("docs/campaigns.md does not show %s as it is", file)
		}
		id := strings.TrimSuffix(filepath.Base(file), ".yaml")
		for line := range bytes.Lines(read(t, "../examples/expected/"+id+".ndjson")) {
			if row := decisionRow(t, line); !strings.Contains(page, row) {
				t.Errorf("docs/campaigns.md, %s: no row %s", id, row)
			}
		}
	}
}

// decisionRow is a decision as the tables of the page begin.
func decisionRow(t *testing.T, line []byte) string {
	t.Helper()
	var d struct {
		Decision, Reason, User, Key string
		At                          int64
	}
	if err := json.Unmarshal(line, &d); err != nil {
		t.Fatal(err)
	}
	if d.Reason != "" {
		d.Decision += " `" + d.Reason + "`"
	}
	at := time.UnixMilli(d.At).UTC().Format("2 Jan 15:04")
	return "| " + strings.Join([]string{at, d.User, d.Key, d.Decision}, " | ") + " |"
}

// blocks are the fenced blocks of a language in a page.
func blocks(page, language string) []string {
	var found []string
	parts := strings.Split(page, "\n```"+language+"\n")
	for _, part := range parts[1:] {
		block, _, _ := strings.Cut(part, "\n```")
		found = append(found, block+"\n")
	}
	return found
}
