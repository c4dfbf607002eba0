package flowtest

import (
	"go/ast"
	"go/token"
	"slices"
	"strconv"
	"strings"
)

// pure are the rooms that are functions of what they are given: no clock, no goroutine, no context, and no chance that is
// not handed to them.
var pure = []string{"event", "source", "calendar", "filter", "template", "body", "campaign", "trigger", "trigger/shelf", "sink/core"}

// clockCalls are the parts of package time that read or wait for the machine's clock.
var clockCalls = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// calls yields every use of package.name in the file, for a package imported by its path.
func calls(f goFile, path string, yield func(sel *ast.SelectorExpr)) {
	local := localName(f.ast, path)
	if local == "" {
		return
	}
	ast.Inspect(f.ast, func(node ast.Node) bool {
		sel, ok := node.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && id.Name == local {
			yield(sel)
		}
		return true
	})
}

// localName is the name under which the file knows an import; empty where it does not import it.
func localName(file *ast.File, path string) string {
	for _, spec := range file.Imports {
		if p, _ := strconv.Unquote(spec.Path.Value); p != path {
			continue
		}
		if spec.Name != nil {
			return spec.Name.Name
		}
		return path[strings.LastIndex(path, "/")+1:]
	}
	return ""
}

// sleeps finds waits by the clock in tests: a bubble of testing/synctest, a channel or a poll takes their place.
func sleeps(f goFile) []found {
	var all []found
	if !f.test() {
		return nil
	}
	calls(f, "time", func(sel *ast.SelectorExpr) {
		if sel.Sel.Name == "Sleep" {
			all = append(all, f.at(sel, "a test sleeps"))
		}
	})
	return all
}

func impurities(f goFile) []found {
	if f.test() || !slices.Contains(pure, f.dir()) {
		return nil
	}
	var all []found
	calls(f, "time", func(sel *ast.SelectorExpr) {
		if slices.Contains(clockCalls, sel.Sel.Name) {
			all = append(all, f.at(sel, "time.%s in a pure room: take the clock as an argument", sel.Sel.Name))
		}
	})
	for _, path := range []string{"context", "math/rand", "math/rand/v2", "crypto/rand"} {
		if localName(f.ast, path) != "" {
			all = append(all, f.at(f.ast.Name, "%s in a pure room", path))
		}
	}
	ast.Inspect(f.ast, func(node ast.Node) bool {
		if g, ok := node.(*ast.GoStmt); ok {
			all = append(all, f.at(g, "a goroutine in a pure room"))
		}
		return true
	})
	return all
}

// prints finds output that goes to the process's own streams behind everybody's back.
func prints(f goFile) []found {
	var all []found
	own := map[string]bool{}
	for _, id := range declared(f.ast) {
		own[id.Name] = true
	}
	calls(f, "fmt", func(sel *ast.SelectorExpr) {
		if strings.HasPrefix(sel.Sel.Name, "Print") {
			all = append(all, f.at(sel, "fmt.%s: write to a writer, or log", sel.Sel.Name))
		}
	})
	eachBuiltinCall(f, func(call *ast.CallExpr, name string) {
		if (name == "print" || name == "println") && !own[name] {
			all = append(all, f.at(call, "%s: write to a writer, or log", name))
		}
	})
	return all
}

func inits(f goFile) []found {
	var all []found
	for _, decl := range f.ast.Decls {
		if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			all = append(all, f.at(fn, "an init function"))
		}
	}
	return all
}

// stubs finds what was left for later: a panic that says so.
func stubs(f goFile) []found {
	var all []found
	eachBuiltinCall(f, func(call *ast.CallExpr, name string) {
		if name != "panic" || len(call.Args) != 1 {
			return
		}
		lit, ok := call.Args[0].(*ast.BasicLit)
		if ok && lit.Kind == token.STRING && strings.Contains(lit.Value, "not built") {
			all = append(all, f.at(call, "not built yet"))
		}
	})
	return all
}

// exits finds os.Exit outside of the main.go of a program, where it would skip somebody's cleanup.
func exits(f goFile) []found {
	var all []found
	if f.test() || f.path == "cmd/vigil/main.go" || f.path == "bench/main.go" || f.path == "bench/limits/main.go" {
		return nil
	}
	calls(f, "os", func(sel *ast.SelectorExpr) {
		if sel.Sel.Name == "Exit" {
			all = append(all, f.at(sel, "os.Exit outside cmd/vigil/main.go"))
		}
	})
	return all
}

func eachBuiltinCall(f goFile, yield func(call *ast.CallExpr, name string)) {
	ast.Inspect(f.ast, func(node ast.Node) bool {
		if call, ok := node.(*ast.CallExpr); ok {
			if id, ok := call.Fun.(*ast.Ident); ok {
				yield(call, id.Name)
			}
		}
		return true
	})
}
