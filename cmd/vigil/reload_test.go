package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"vigil/campaign"
	"vigil/config"
	"vigil/config/endpoints"
)

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestCampaignSet: a folder is taken whole or not at all, and a campaign whose file goes is deleted.
func TestCampaignSet(t *testing.T) {
	dir := t.TempDir()
	source := func(id, status string) string {
		return "id: " + id + "\nstatus: " + status + "\ntrigger: {type: single_action, did: x}\nwebhook: {endpoint: shop}\n"
	}
	var adopted []int
	set := &campaignSet{dir: dir, log: zerolog.Nop(), adopt: func(all []*campaign.Campaign) error {
		adopted = append(adopted, len(all))
		return nil
	}}
	states := func() string { return strings.Join([]string{set.of("a"), set.of("b"), set.of("c")}, " ") }

	write(t, dir, "a.yaml", source("a", "active"))
	write(t, dir, "b.yaml", source("b", "paused"))
	if err := set.again(); err != nil || states() != "active paused " {
		t.Fatalf("%v, %q", err, states())
	}
	write(t, dir, "a.yaml", source("a", "stopped"))
	write(t, dir, "c.yaml", "id: c\n")
	if err := set.again(); exitCode(err) != exitInvalid || states() != "active paused " {
		t.Fatalf("a broken file changed something: %v, %q", err, states())
	}
	if err := os.Remove(filepath.Join(dir, "c.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := set.again(); err != nil || states() != "stopped deleted " {
		t.Fatalf("%v, %q", err, states())
	}
	if diff := cmp.Diff([]int{2, 1}, adopted); diff != "" {
		t.Error(diff)
	}
}

// TestLackingEndpoints: whichever of campaigns and endpoints is read first, or again, a campaign whose endpoint the sink does not
// have is told of.
func TestLackingEndpoints(t *testing.T) {
	dir := t.TempDir()
	var log bytes.Buffer
	set := &campaignSet{dir: dir, log: zerolog.New(&log)}
	told := func() bool {
		defer log.Reset()
		return strings.Contains(log.String(), `"campaign":"a","endpoint":"shop"`)
	}
	write(t, dir, "a.yaml", "{id: a, trigger: {type: single_action, did: x}, webhook: {endpoint: shop}}")
	if err := set.again(); err != nil || told() {
		t.Fatalf("without a sink nothing is lacking: %v", err)
	}
	for _, row := range []struct {
		name string
		want bool
	}{{"other", true}, {"shop", false}} {
		list := []endpoints.Endpoint{{Name: row.name}}
		if set.send(list); told() != row.want {
			t.Errorf("endpoint %s read: told %v", row.name, !row.want)
		}
		if err := set.again(); err != nil || told() != row.want {
			t.Errorf("endpoint %s, campaigns read: told %v, %v", row.name, !row.want, err)
		}
	}
}

// TestEndpointsFolderGone: a sink may begin without endpoints; one that has some keeps them when their folder goes away.
func TestEndpointsFolderGone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "endpoints")
	if list, err := loadEndpoints(dir); list != nil || err != nil {
		t.Errorf("at the start: %v, %v", list, err)
	}
	if _, err := reloadEndpoints(dir); err == nil {
		t.Error("a folder that is not there was read again")
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	write(t, dir, "shop.yaml", "{name: shop, url: 'https://hooks.example.com'}")
	if list, err := reloadEndpoints(dir); len(list) != 1 || err != nil {
		t.Errorf("read again: %v, %v", list, err)
	}
}

func TestFingerprint(t *testing.T) {
	dir := t.TempDir()
	empty := fingerprint(dir)
	write(t, dir, "a.yaml", "1")
	one := fingerprint(dir)
	if one == empty || one != fingerprint(dir) || fingerprint(filepath.Join(dir, "none")) != "" {
		t.Error("a folder is told from another by its files")
	}
	if err := os.Chtimes(filepath.Join(dir, "a.yaml"), time.Time{}, time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if fingerprint(dir) == one {
		t.Error("a file that was written again is not seen")
	}
}

func TestProgressLine(t *testing.T) {
	p := &progress{read: 10 << 20, total: 40 << 20}
	if got, want := p.line(2*time.Second), "25 %, 10.0 MB read, 5.0 MB/s, 6s left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	p.total = 0
	if got, want := p.line(time.Second), "10.0 MB read, 10.0 MB/s"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestSpan(t *testing.T) {
	for text, want := range map[string]string{"0": "0s", "90s": "1m30s", "1d12h": "1d12h", "1s500ms": "1s500ms", "2w": "14d"} {
		var s span
		if err := s.Set(text); err != nil || s.String() != want {
			t.Errorf("%s: %s, %v", text, s.String(), err)
		}
	}
}

// TestBanner is at most 8 lines, whatever runs.
func TestBanner(t *testing.T) {
	s := &daemon{cfg: config.Default()}
	if n := len(s.banner(&campaignSet{})) + len([]string{"vigil", "admin"}); n > 8 {
		t.Errorf("a banner of %d lines", n)
	}
}
