// Package flowtest tests vigil as a whole: the rooms together, the house style, the files around the code. Nothing
// imports it.
package flowtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"
)

// The caps of the house style (CONTRIBUTING.md). They are caps, not aims.
const (
	maxFileLines = 400
	maxFuncLines = 70
	maxParams    = 4 // after the context; in tests after the testing.TB too
	maxNesting   = 3
	maxMethods   = 3
	maxRoomLines = 1500
	maxRoomFiles = 12
	maxTreeDepth = 2
)

// bigRooms have no cap as a whole: the processor is the engine room, cmd/vigil has a small file for each command.
// The decision core is one room because all of it reads and writes the user record (docs/decisions/0003).
// event holds a parser of its own since it is what every event passes (docs/decisions/0004).
var bigRooms = []string{"processor", "cmd/vigil", "trigger", "event"}

// longFuncs are the functions that may be longer than maxFuncLines, as dir.Func or dir.Type.Method, each with its
// reason. Table literals in tests do not count as lines and need no entry.
var longFuncs = map[string]string{}

// manyParams are the functions, named as in longFuncs, that may take more than maxParams, with the reason.
var manyParams = map[string]string{
	"flowtest/model.fireID":  "as trigger.FireID",
	"flowtest/model.instant": "as calendar.Instant",
	"flowtest/model.resolve": "as calendar.Instant",
	"trigger.FireID":         "the six parts of the hash, in the order of semantics 2.9",
	"campaign.Instant":       "a local time in a zone is these five parts",
	"calendar.Instant":       "a local time in a zone is these five parts",
}

// wideInterfaces are the interfaces that may have more than maxMethods, with the reason.
var wideInterfaces = map[string]string{
	"state.Store": "Get, Scan, Write, Merge and Close: Badger and memory",
}

// goFile is one parsed Go file.
type goFile struct {
	path string // slashes, from the root of the repository
	set  *token.FileSet
	ast  *ast.File
}

func (f goFile) test() bool  { return strings.HasSuffix(f.path, "_test.go") }
func (f goFile) dir() string { return filepath.ToSlash(filepath.Dir(f.path)) }
func (f goFile) lines() int  { return f.set.File(f.ast.Pos()).LineCount() }

func (f goFile) line(n ast.Node) int { return f.set.Position(n.Pos()).Line }

// found is one breach of a rule.
type found struct {
	path string
	line int
	text string
}

func (f found) String() string { return fmt.Sprintf("%s:%d: %s", f.path, f.line, f.text) }

// at makes a finding at a node.
func (f goFile) at(n ast.Node, format string, args ...any) found {
	return found{f.path, f.line(n), fmt.Sprintf(format, args...)}
}

// fileRules judge one file at a time; each has a test of its own below and a name that a failure shows.
var fileRules = []struct {
	name string
	rule func(goFile) []found
}{
	{"file size", fileSize},
	{"function size", funcSize},
	{"parameters", paramCount},
	{"nesting", nesting},
	{"interfaces", interfaceWidth},
	{"names", bannedNames},
	{"docs", missingDocs},
	{"sleep", sleeps},
	{"purity", impurities},
	{"output", prints},
	{"init", inits},
	{"stubs", stubs},
	{"exit", exits},
}

func TestStyle(t *testing.T) {
	files := parseTree(t)
	for _, r := range fileRules {
		t.Run(r.name, func(t *testing.T) {
			for _, f := range files {
				report(t, r.rule(f))
			}
		})
	}
	t.Run("room size", func(t *testing.T) { report(t, roomSize(files)) })
	t.Run("package docs", func(t *testing.T) { report(t, packageDocs(files)) })
	t.Run("tree depth", func(t *testing.T) { report(t, treeDepth(files)) })
}

func report(t *testing.T, all []found) {
	t.Helper()
	for _, f := range all {
		t.Error(f)
	}
}

// parseTree parses every Go file of the repository, testdata and hidden folders apart.
func parseTree(t *testing.T) []goFile {
	t.Helper()
	var files []goFile
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "testdata" || name == "vigil-data" || strings.HasPrefix(name, ".") && name != "..") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("..", path)
		files = append(files, goFile{filepath.ToSlash(rel), set, parsed})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func fileSize(f goFile) []found {
	if n := f.lines(); !f.test() && n > maxFileLines {
		return []found{{f.path, n, fmt.Sprintf("file of %d lines, at most %d", n, maxFileLines)}}
	}
	return nil
}

// roomSize adds up what ships of each room; test support does not ship.
func roomSize(files []goFile) []found {
	lines, count := map[string]int{}, map[string]int{}
	for _, f := range files {
		if !f.test() && !strings.HasPrefix(f.dir(), "flowtest/") && !slices.Contains(bigRooms, f.dir()) {
			lines[f.dir()] += f.lines()
			count[f.dir()]++
		}
	}
	var all []found
	for dir, n := range lines {
		if n > maxRoomLines {
			all = append(all, found{dir, 0, fmt.Sprintf("room of %d lines, at most %d", n, maxRoomLines)})
		}
		if count[dir] > maxRoomFiles {
			all = append(all, found{dir, 0, fmt.Sprintf("room of %d files, at most %d", count[dir], maxRoomFiles)})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].String() < all[j].String() })
	return all
}

// packageDocs wants one package comment a room, in a file that ships where there is one.
func packageDocs(files []goFile) []found {
	ships, documented := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		ships[f.dir()] = ships[f.dir()] || !f.test()
	}
	for _, f := range files {
		if f.ast.Doc == nil || f.test() && ships[f.dir()] {
			continue
		}
		start := "Package " + f.ast.Name.Name + " "
		if f.ast.Name.Name == "main" {
			start = "Command "
		}
		documented[f.dir()] = documented[f.dir()] || strings.HasPrefix(f.ast.Doc.Text(), start)
	}
	var all []found
	for dir := range ships {
		if !documented[dir] {
			all = append(all, found{dir, 0, "no package comment that begins with `Package NAME`, or `Command NAME` for a program"})
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].path < all[j].path })
	return all
}

func treeDepth(files []goFile) []found {
	var all []found
	for _, f := range files {
		if strings.Count(f.path, "/") > maxTreeDepth {
			all = append(all, found{f.path, 1, fmt.Sprintf("more than %d folders below the root", maxTreeDepth)})
		}
	}
	return all
}
