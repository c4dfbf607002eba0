package model

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Shrink drops campaigns, lines and optional fields from a history as long as it still differs.
func Shrink(h *History, differs func(*History) bool) *History {
	for again := true; again; {
		again = false
		for size := max(1, len(h.Lines)/2); size > 0; size /= 2 {
			if smaller := h.without(size, differs); smaller != h {
				h, again = smaller, true
			}
		}
		for i := 0; i < len(h.Campaigns); i++ {
			if smaller, ok := shrinkCampaign(h, i, differs); ok {
				h, again = smaller, true
			}
		}
	}
	return h
}

// without drops runs of size lines as long as the difference remains.
func (h *History) without(size int, differs func(*History) bool) *History {
	for from := 0; from+size <= len(h.Lines); {
		smaller := *h
		smaller.Lines = slices.Delete(slices.Clone(h.Lines), from, from+size)
		if differs(&smaller) {
			h = &smaller
			continue
		}
		from += size
	}
	return h
}

// required are fields of triggers that hardly any can do without.
var required = []string{"type", "did", "did_not", "on", "property", "evaluate", "within"}

// shrinkCampaign drops a campaign, or one of its fields.
func shrinkCampaign(h *History, i int, differs func(*History) bool) (*History, bool) {
	smaller := *h
	smaller.Campaigns = slices.Delete(slices.Clone(h.Campaigns), i, i+1)
	if differs(&smaller) {
		return &smaller, true
	}
	for _, name := range slices.Sorted(maps.Keys(h.Campaigns[i])) {
		fields := maps.Clone(h.Campaigns[i])
		delete(fields, name)
		smaller.Campaigns = slices.Clone(h.Campaigns)
		smaller.Campaigns[i] = fields
		if differs(&smaller) {
			return &smaller, true
		}
	}
	trigger := h.Campaigns[i]["trigger"].(object)
	for _, name := range slices.Sorted(maps.Keys(trigger)) {
		if slices.Contains(required, name) {
			continue
		}
		fields := maps.Clone(h.Campaigns[i])
		less := maps.Clone(trigger)
		delete(less, name)
		fields["trigger"] = less
		smaller.Campaigns = slices.Clone(h.Campaigns)
		smaller.Campaigns[i] = fields
		if differs(&smaller) {
			return &smaller, true
		}
	}
	return nil, false
}

// Dump writes a history as a case that `vigil simulate` can run: campaigns, events.ndjson, until.txt, expected.ndjson
// (what the model says) and args.txt (its further flags).
func Dump(h *History, dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "campaigns"), 0o755); err != nil {
		return err
	}
	c, err := h.Compile()
	if err != nil {
		return err
	}
	events, err := ReadLines(c.File)
	if err != nil {
		return err
	}
	files := map[string]string{
		"events.ndjson": c.File,
		"args.txt": fmt.Sprintf("--allowed-lateness %dms --max-event-age %dms --max-fire-delay %dms\n",
			h.Lateness, h.Age, h.MaxDelay),
		"expected.ndjson": Text(Run(c.Campaigns, c.Options, events, c.Until)),
	}
	if h.Until != "" {
		files["until.txt"] = h.Until + "\n"
	}
	for i, fields := range h.Campaigns {
		text, err := json.MarshalIndent(fields, "", "  ")
		if err != nil {
			return err
		}
		files[filepath.Join("campaigns", c.Campaigns[i].ID+".yaml")] = string(text) + "\n"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Text is decisions as `vigil simulate` prints them.
func Text(decisions []Decision) string {
	var b strings.Builder
	for _, d := range decisions {
		line, _ := json.Marshal(d) // strings and numbers cannot fail
		b.Write(append(line, '\n'))
	}
	return b.String()
}
