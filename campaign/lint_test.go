package campaign_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vigil/campaign"
	"vigil/source"
)

var update = flag.Bool("update", false, "rewrite the expected problems")

// TestLint compares what is said of each broken file with the .want beside it, excerpts and hints included.
func TestLint(t *testing.T) {
	for _, file := range inputs(t, "testdata/lint") {
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, problems := campaign.Parse(filepath.Base(file), src)
		var b strings.Builder
		if err := source.Write(&b, "text", problems); err != nil {
			t.Fatal(err)
		}
		want := strings.TrimSuffix(file, filepath.Ext(file)) + ".want"
		if *update {
			if err := os.WriteFile(want, []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		expected, err := os.ReadFile(want)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(expected), b.String()); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

// inputs lists the YAML and JSON files of a folder.
func inputs(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, e := range entries {
		if ext := filepath.Ext(e.Name()); ext == ".yaml" || ext == ".json" {
			files = append(files, filepath.Join(dir, e.Name()))
		}
	}
	return files
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	for name, content := range map[string]string{
		"a.yaml":        "id: a\ntrigger: {type: single_action, did: x}\nwebhook: {endpoint: e}\n",
		"sub/b.yml":     "id: b\ntrigger: {type: single_action, did: x}\nwebhook: {endpoint: e}\n",
		"sub/c.json":    `{"id":"a","trigger":{"type":"single_action","did":"x"},"webhook":{"endpoint":"e"}}`,
		"d.yaml":        "id: D\ntrigger: {type: single_action, did: x}\nwebhook: {endpoint: e}\n",
		"a_test.yaml":   "tests: []\n",
		"notes.txt":     "no campaign\n",
		".hidden/e.yml": "id: [\n",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(dir, filepath.Join(dir, ".hidden", "again")); err != nil {
		t.Fatal(err)
	}
	campaigns, problems := campaign.Load(dir)
	var got []string
	for _, c := range campaigns {
		got = append(got, c.ID)
	}
	for _, p := range problems {
		got = append(got, strings.ReplaceAll(p.String(), dir, "DIR"))
	}
	want := []string{
		"a", "b",
		`DIR/d.yaml:1:5: error: bad_id: id must be 1 to 64 of a-z 0-9 - _ . , got "D"`,
		`DIR/sub/c.json:1:1: error: duplicate_id: id "a" of DIR/sub/c.json is already that of DIR/a.yaml`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	linked, _ := campaign.Load(filepath.Join(dir, ".hidden", "again"))
	if len(linked) != 2 {
		t.Errorf("a link to the folder gives %d campaigns", len(linked))
	}
	if _, problems := campaign.Load(filepath.Join(dir, "nowhere")); !campaign.Failed(problems) {
		t.Error("a folder that is not there is no error")
	}
}
