package flowtest

import (
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRules shows each rule what it must find and what it must leave alone.
func TestRules(t *testing.T) {
	long := strings.Repeat("\n", 71)
	for _, row := range []struct {
		rule func(goFile) []found
		path string
		code string
		want string // line: text, one a finding; empty for none
	}{
		{fileSize, "a/a.go", "package a" + strings.Repeat("\n", 401), "401: file of 401 lines, at most 400"},
		{fileSize, "a/a_test.go", "package a" + strings.Repeat("\n", 401), ""},
		{funcSize, "a/a.go", "package a\nfunc f() {" + long + "}", "2: function f of 72 lines, at most 70"},
		{funcSize, "a/a_test.go", "package a\nfunc f() { _ = []int{" + long + "} }", ""},
		{paramCount, "a/a.go", "package a\nfunc f(ctx context.Context, a, b, c, d int) {}", ""},
		{paramCount, "a/a.go", "package a\nfunc f(a, b, c, d, e int) {}", "2: 5 parameters, at most 4: use a struct"},
		{paramCount, "a/a_test.go", "package a\nfunc f(t *testing.T, a, b, c, d int) {}", ""},
		{nesting, "a/a.go", "package a\nfunc f() { for { if x { switch {\ncase y:\nif z { } } } } }", "4: nesting deeper than 3"},
		{nesting, "a/a.go", "package a\nfunc f() { for { if x { } else if y { } else if z { for { } } } }", ""},
		{nesting, "a/a.go", "package a\nfunc f() { for { for { func() { for { for {} } }() } } }", ""},
		{interfaceWidth, "a/a.go", "package a\ntype T interface{ A(); B(); C(); D() }", "2: interface T of 4 methods, at most 3"},
		{interfaceWidth, "state/a.go", "package a\ntype Store interface{ A(); B(); C(); D() }", ""},
		{bannedNames, "a/a.go", "package a\nfunc f(userInfo int) { base64 := 1 }", "2: userInfo: \"info\" says nothing"},
		{bannedNames, "a/a.go", "package a\nfunc ProcessAll() { var processor, informed, DataDir int }", "2: ProcessAll: \"process\" says nothing"},
		{bannedNames, "a/util_test.go", "package a", "1: file named util"},
		{missingDocs, "a/a.go", "package a\nfunc F() {}", "2: F is exported and has no comment"},
		{missingDocs, "a/a.go", "package a\n\n// Does it.\nfunc F() {}", "4: the comment on F does not begin with its name"},
		{missingDocs, "a/a.go", "package a\n\n// The values.\nconst (\nA = 1\nB = 2\n)\n// A T is one.\ntype T int\nfunc (t u) F() {}", ""},
		{sleeps, "a/a_test.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }", "3: a test sleeps"},
		{sleeps, "a/a.go", "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }", ""},
		{impurities, "trigger/a.go", "package a\nimport t \"time\"\nfunc f() { t.Now() }", "3: time.Now in a pure room: take the clock as an argument"},
		{impurities, "sink/core/a.go", "package a\nfunc f() { go f() }", "2: a goroutine in a pure room"},
		{impurities, "sink/sink.go", "package a\nfunc f() { go f() }", ""},
		{prints, "a/a.go", "package a\nimport \"fmt\"\nfunc f() { fmt.Fprintln(w); fmt.Println() }", "3: fmt.Println: write to a writer, or log"},
		{inits, "a/a.go", "package a\nfunc init() {}", "2: an init function"},
		{stubs, "a/a.go", "package a\nfunc f() { panic(\"not built yet\") }", "2: not built yet"},
		{exits, "a/a.go", "package a\nimport \"os\"\nfunc f() { os.Exit(1) }", "3: os.Exit outside cmd/vigil/main.go"},
	} {
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, row.path, row.code, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("%s: %v", row.code, err)
		}
		var got []string
		for _, f := range row.rule(goFile{row.path, set, parsed}) {
			got = append(got, strings.TrimPrefix(f.String(), row.path+":"))
		}
		if diff := cmp.Diff(row.want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%s: %s\n%s", row.path, strings.TrimSpace(row.code), diff)
		}
	}
}

func TestWords(t *testing.T) {
	for name, want := range map[string]string{
		"userID": "user id", "HTTPServer2": "http server2", "a": "a", "max_file": "max file", "DataDir": "data dir",
		"base64": "base64", "FireID": "fire id", "_": "", "x509Cert": "x509 cert", "JSON": "json",
	} {
		if got := strings.Join(words(name), " "); got != want && name != "_" {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
