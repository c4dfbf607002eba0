package campaign

import (
	_ "embed"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"vigil/source"
)

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema of a campaign file, draft 2020-12.
func Schema() []byte { return slices.Clone(schema) }

// Failed tells whether any of the problems is an error.
func Failed(problems []Problem) bool { return source.Failed(problems) }

// Load reads every campaign of a folder and of those in it, in the order of their paths: *.yaml, *.yml and *.json, but
// no tests (*_test.*) and nothing whose name begins with a dot. The campaigns without errors are returned beside all
// problems; two of one id are an error that names both files.
func Load(dir string) ([]*Campaign, []Problem) { return Lint([]string{dir}) }

// Lint is Load for files and folders; a file that is named is read whatever its name.
func Lint(paths []string) ([]*Campaign, []Problem) {
	var files []string
	var problems []Problem
	for _, path := range paths {
		found, err := campaignFiles(path)
		if err != nil {
			problems = append(problems, unreadable(path, err))
		}
		files = append(files, found...)
	}
	slices.Sort(files)
	var campaigns []*Campaign
	origin := map[string]string{} // campaign id to the file that has it
	for _, file := range slices.Compact(files) {
		c, found := parseFile(file)
		problems = append(problems, found...)
		if c == nil {
			continue
		}
		if first, taken := origin[c.ID]; taken {
			problems = append(problems, duplicate(file, c.ID, first))
			continue
		}
		origin[c.ID] = file
		campaigns = append(campaigns, c)
	}
	return campaigns, problems
}

func parseFile(file string) (*Campaign, []Problem) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, []Problem{unreadable(file, err)}
	}
	return Parse(file, src)
}

func unreadable(path string, err error) Problem {
	return Problem{File: path, Line: 1, Col: 1, Severity: source.Error, Code: "unreadable", Message: err.Error()}
}

func duplicate(file, id, first string) Problem {
	return Problem{
		File: file, Line: 1, Col: 1, Severity: source.Error, Code: "duplicate_id",
		Message: fmt.Sprintf("id %q of %s is already that of %s", id, file, first),
	}
}

// campaignFiles lists the campaign files under a path in order; a symbolic link to a file counts as one.
func campaignFiles(path string) ([]string, error) {
	found, err := os.Stat(path)
	if err != nil || !found.IsDir() {
		return []string{filepath.Clean(path)}, nil // reading it says what is wrong
	}
	root := path + string(filepath.Separator) // so that a link to a folder is followed
	var files []string
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case p == root:
		case strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return filepath.SkipDir
			}
		case !d.IsDir() && isCampaignFile(d.Name()):
			files = append(files, p)
		}
		return nil
	})
	return files, err
}

func isCampaignFile(name string) bool {
	ext := filepath.Ext(name)
	return slices.Contains([]string{".yaml", ".yml", ".json"}, ext) && !strings.HasSuffix(strings.TrimSuffix(name, ext), "_test")
}
