package flowtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rooms is the import table: what each room may import of ours. Arrows point down only. A room that is not here does
// not belong to the design yet; a nil list means nothing, wild means any room.
var rooms = map[string][]string{
	"source":           nil,
	"event":            nil,
	"webhook":          nil,
	"state":            nil,
	"config":           {"source", "config/endpoints"},
	"config/endpoints": {"source"},
	"calendar":         {"event"},
	"filter":           {"event", "calendar", "source"},
	"template":         {"event", "source"},
	"body":             {"event", "source", "template"},
	"campaign":         {"event", "source", "calendar", "filter", "body"},
	"trigger":          {"trigger/shelf", "campaign", "event"},
	"trigger/shelf":    nil,
	"kafka":            {"config"},
	"processor":        {"event", "campaign", "trigger", "state", "webhook", "kafka", "config"},
	"sink/core":        {"webhook"},
	"sink/guard":       nil,
	"sink/egress":      {"sink/core", "sink/guard", "webhook", "config/endpoints"},
	"sink/standing":    nil,
	"sink/completion":  nil,
	"sink/wire":        {"kafka", "webhook"},
	"sink/meter":       {"sink/core", "sink/egress", "sink/standing", "webhook"},
	"sink":             {"sink/core", "sink/egress", "sink/standing", "sink/completion", "sink/wire", "sink/meter", "webhook", "campaign", "kafka", "config", "config/endpoints"},
	"replay":           {"event", "campaign", "trigger", "state", "webhook", "processor", "kafka", "config", "source"},
	"replay/verify":    {"campaign", "processor", "webhook", "kafka"},
	"console":          {"webhook", "campaign", "kafka", "config"},
	"demo":             {"event", "webhook"},
	"inspect":          {"webhook", "kafka", "config", "trigger"},
	"doctor":           {"campaign", "kafka", "config", "config/endpoints", "sink/egress"},
	"cmd/vigil":        {wild},
	"flowtest":         {wild},
	"flowtest/model":   {"event", "campaign", "trigger", "calendar", "source"},
	"flowtest/kafka":   nil,
	"flowtest/crash":   {wild},
	"flowtest/kills":   {wild},
	"flowtest/soak":    {wild},
	"flowtest/stream":  {wild},
	"flowtest/live":    {"campaign", "kafka", "replay", "trigger", "webhook"},
	"flowtest/chaos":   {wild},
	"flowtest/trouble": {wild},
	"bench":            {wild},
	"bench/isolation":  {"sink", "sink/egress", "webhook", "config/endpoints"},

	"examples/receivers": nil,
	"bench/limits":       {"kafka", "webhook"},
}

const wild = "*"

// manyImports are the rooms that may import more than maxOwnImports of ours: they put others together.
var manyImports = []string{"campaign", "sink", "processor", "replay", "doctor", "cmd/vigil", "flowtest", "flowtest/crash", "flowtest/stream", "flowtest/live", "flowtest/trouble", "bench"}

const maxOwnImports = 4

// parties says which rooms may import which module. Tests may import any of them; a module that is not here is a new
// dependency and needs a decision record. Longest prefix wins.
var parties = map[string][]string{
	"github.com/dgraph-io/badger/v4":           {"state"},
	"github.com/twmb/franz-go":                 {"kafka", "processor", "sink", "sink/standing", "sink/wire", "replay", "replay/verify", "doctor", "inspect", "console", "cmd/vigil", "flowtest/kafka", "bench", "bench/isolation"},
	"github.com/twmb/franz-go/pkg/kfake":       {"cmd/vigil", "bench/isolation"},
	"github.com/twmb/franz-go/plugin":          {"kafka", "cmd/vigil"},
	"github.com/spf13/cobra":                   {"cmd/vigil"},
	"github.com/spf13/pflag":                   {"cmd/vigil"},
	"github.com/mattn/go-isatty":               {"cmd/vigil"},
	"github.com/osteele/liquid":                {"template"},
	"github.com/robfig/cron/v3":                {"campaign"},
	"github.com/valyala/fastjson":              {"bench"},
	"github.com/goccy/go-yaml":                 {"source", "campaign", "config"},
	"github.com/santhosh-tekuri/jsonschema/v6": {"source", "campaign", "config", "config/endpoints", "cmd/vigil"},
	"github.com/rs/zerolog":                    {"kafka", "processor", "sink", "sink/standing", "sink/completion", "sink/wire", "replay", "console", "cmd/vigil", "bench", "bench/isolation"},
	"github.com/prometheus/client_golang":      {"kafka", "processor", "sink", "sink/meter", "console", "cmd/vigil", "bench", "bench/isolation"},
	"github.com/cespare/xxhash/v2":             {"trigger", "trigger/shelf", "state", "processor"},
	"github.com/klauspost/compress":            {"state", "processor", "kafka"},
	"code.dny.dev/ssrf":                        {"sink/egress"},
	"golang.org/x/oauth2":                      {"sink/egress"},
	"golang.org/x/time":                        {"sink", "sink/core", "cmd/vigil"},
	"golang.org/x/sync":                        {"kafka", "processor", "sink", "replay", "replay/verify", "cmd/vigil", "bench", "bench/isolation"},
	"golang.org/x/sys":                         {"state", "cmd/vigil"},
	"go.opentelemetry.io":                      {"processor", "sink", "cmd/vigil"},
	"github.com/google/go-cmp":                 nil,
	"pgregory.net/rapid":                       nil,
	"github.com/rogpeppe/go-internal":          nil,
	"github.com/standard-webhooks":             nil,
}

// closed lists the parts of the standard library that a room must do without, whatever it needs them for.
var closed = map[string][]string{
	"event":     {"context", "math/rand", "math/rand/v2", "net/http", "os"},
	"source":    {"context", "math/rand", "math/rand/v2", "net/http"},
	"calendar":  {"context", "math/rand", "math/rand/v2", "net/http", "os"},
	"filter":    {"context", "math/rand", "math/rand/v2", "net/http", "os"},
	"sink/core": {"context", "math/rand", "net/http", "os"},
	"template":  {"context", "math/rand", "math/rand/v2", "net/http", "os"},
	"body":      {"context", "math/rand", "math/rand/v2", "net/http", "os"},
	"campaign":  {"context", "math/rand", "math/rand/v2", "net/http"},
	"trigger":   {"context", "math/rand", "math/rand/v2", "net/http", "os", "sync"},
	"processor": {"net/http"},
	wild:        {"log", "log/slog", "expvar"},
}

// listed is what `go list` says of a package.
type listed struct {
	ImportPath   string
	Imports      []string
	TestImports  []string
	XTestImports []string
}

func (p listed) room() string { return room(p.ImportPath) }

// room is the room of an import path of ours.
func room(path string) string { return strings.TrimPrefix(path, module+"/") }

func ours(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

const module = "vigil"

func TestImports(t *testing.T) {
	for _, p := range list(t) {
		for _, problem := range importProblems(p) {
			t.Errorf("%s: %s", p.room(), problem)
		}
	}
}

// Every room has its place in the table of docs/architecture.md, and that table names no other.
func TestArchitectureNamesEveryRoom(t *testing.T) {
	page, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string // rooms of the table; one in brackets stands inside the one before
	for line := range strings.Lines(string(page)) {
		name, inside, _ := strings.Cut(strings.Split(line+"||", "|")[1], "(")
		if !strings.HasPrefix(line, "| `") {
			continue
		}
		for i, part := range strings.Split(name, "`") {
			if i%2 == 1 {
				told = append(told, part)
			}
		}
		for i, part := range strings.Split(inside, "`") {
			if i%2 == 1 {
				told = append(told, strings.Split(name, "`")[1]+"/"+part)
			}
		}
	}
	var found []string
	for _, p := range list(t) {
		if !strings.HasPrefix(p.room(), "flowtest/") {
			found = append(found, p.room())
		}
	}
	told = slices.DeleteFunc(told, func(name string) bool { return strings.HasPrefix(name, "flowtest/") || strings.Contains(name, " ") })
	slices.Sort(told)
	slices.Sort(found)
	if diff := cmp.Diff(found, told); diff != "" {
		t.Errorf("rooms without a place in the table (-), names there that are no rooms (+):\n%s", diff)
	}
}

// list asks the go tool once for all our packages.
func list(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Imports,TestImports,XTestImports", "./...")
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var packages []listed
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p listed
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

func importProblems(p listed) []string {
	allowed, known := rooms[p.room()]
	if !known {
		return []string{"has no row in the import table of flowtest/imports_test.go"}
	}
	var found []string
	own := 0
	for _, path := range p.Imports {
		if ours(path) {
			own++
		}
		if why := importProblem(p.room(), path, allowed); why != "" {
			found = append(found, "imports "+path+": "+why)
		}
	}
	if own > maxOwnImports && !slices.Contains(manyImports, p.room()) {
		found = append(found, "imports more than four rooms")
	}
	for _, path := range slices.Concat(p.TestImports, p.XTestImports) {
		if why := testImportProblem(p.room(), path, allowed); why != "" {
			found = append(found, "a test imports "+path+": "+why)
		}
	}
	return found
}

// importProblem says why code that ships must not import path; empty where it may.
func importProblem(from, path string, allowed []string) string {
	switch {
	case ours(path) && strings.HasPrefix(room(path), "flowtest"):
		if strings.HasPrefix(from, "flowtest/") {
			return ""
		}
		return "test support is for tests"
	case ours(path):
		return roomProblem(path, allowed)
	case !strings.Contains(strings.Split(path, "/")[0], "."):
		return standardProblem(from, path)
	}
	allowed, known := party(path)
	switch {
	case !known:
		return "the module has no row in the import table; a new dependency needs a decision record"
	case strings.HasPrefix(from, "flowtest"), strings.HasPrefix(from, "bench"), slices.Contains(allowed, from):
		return ""
	case allowed == nil:
		return "for tests only"
	}
	return "only in " + strings.Join(allowed, ", ")
}

// testImportProblem is the same for tests: test support is free to them, modules need a row all the same.
func testImportProblem(from, path string, allowed []string) string {
	switch {
	case ours(path) && (room(path) == from || strings.HasPrefix(room(path), "flowtest/")):
		return ""
	case ours(path):
		return roomProblem(path, allowed)
	case !strings.Contains(strings.Split(path, "/")[0], "."):
		return ""
	}
	if _, known := party(path); !known {
		return "the module has no row in the import table; a new dependency needs a decision record"
	}
	return ""
}

func roomProblem(path string, allowed []string) string {
	if slices.Contains(allowed, wild) || slices.Contains(allowed, room(path)) {
		return ""
	}
	if len(allowed) == 0 {
		return "this room imports nothing of ours"
	}
	return "this room imports only " + strings.Join(allowed, ", ")
}

func standardProblem(from, path string) string {
	// cmd/vigil leads what net/http writes to the log of the standard library into ours.
	if slices.Contains(closed[wild], path) && (from != "cmd/vigil" || path != "log") {
		return "logs go through zerolog, metrics through prometheus"
	}
	if path == "testing" && !strings.HasPrefix(from, "flowtest") && from != "bench" {
		return "test support is for tests"
	}
	if slices.Contains(closed[from], path) {
		return "this room does without"
	}
	return ""
}

// party finds the row with the longest prefix of path.
func party(path string) (allowed []string, known bool) {
	longest := ""
	for prefix := range parties {
		if (path == prefix || strings.HasPrefix(path, prefix+"/")) && len(prefix) > len(longest) {
			longest = prefix
		}
	}
	allowed, known = parties[longest]
	return allowed, known
}

func TestImportTable(t *testing.T) {
	for _, row := range []struct{ from, path, want string }{
		{"trigger", "vigil/campaign", ""},
		{"trigger", "vigil/kafka", "this room imports only trigger/shelf, campaign, event"},
		{"event", "vigil/webhook", "this room imports nothing of ours"},
		{"trigger", "context", "this room does without"},
		{"sink", "log", "logs go through zerolog, metrics through prometheus"},
		{"cmd/vigil", "log/slog", "logs go through zerolog, metrics through prometheus"},
		{"cmd/vigil", "log", ""},
		{"sink", "log/slog", "logs go through zerolog, metrics through prometheus"},
		{"processor", "vigil/flowtest/kafka", "test support is for tests"},
		{"flowtest/live", "vigil/flowtest/kafka", ""},
		{"processor", "github.com/twmb/franz-go/pkg/kgo", ""},
		{"processor", "github.com/twmb/franz-go/pkg/kfake", "only in cmd/vigil, bench/isolation"},
		{"bench", "github.com/twmb/franz-go/pkg/kfake", ""},
		{"sink", "github.com/google/go-cmp/cmp", "for tests only"},
		{"sink", "github.com/stretchr/testify/assert", "the module has no row in the import table; a new dependency needs a decision record"},
		{"cmd/vigil", "vigil/sink", ""},
	} {
		if got := importProblem(row.from, row.path, rooms[row.from]); got != row.want {
			t.Errorf("%s imports %s: %q, want %q", row.from, row.path, got, row.want)
		}
	}
}
