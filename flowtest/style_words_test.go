package flowtest

import (
	"go/ast"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
)

// banned are the words that say nothing. They are looked for as whole words of the names that we declare: of packages,
// files, types, functions, methods, fields, parameters, variables and constants.
var banned = map[string]bool{
	"util": true, "utils": true, "common": true, "helper": true, "helpers": true, "base": true, "types": true,
	"models": true, "manager": true, "service": true, "handler": true, "data": true, "info": true, "item": true,
	"process": true, "message": true, "job": true, "task": true,
}

// allowedNames are names with a banned word that say something here, alone or as dir.name, each with the reason.
var allowedNames = map[string]string{
	"DataDir":         "the configuration key data_dir",
	"dataDir":         "the configuration key data_dir",
	"campaign.Data":   "`data` of a campaign, a word of the rule book (semantics 4)",
	"campaign.data":   "`data` of a campaign, a word of the rule book (semantics 4)",
	"body.data":       "`data` of a campaign, a word of the rule book (semantics 4)",
	"body.readData":   "`data` of a campaign, a word of the rule book (semantics 4)",
	"body.appendData": "`data` of a campaign, a word of the rule book (semantics 4)",
	"source.Message":  "what a problem says: the word of SARIF and of GitHub's annotations",
	"Helper":          "a method of testing.TB",
	"GetMessage":      "a method of the errors of goccy/go-yaml",
}

func nameAllowed(f goFile, name string) bool {
	return allowedNames[name] != "" || allowedNames[f.dir()+"."+name] != ""
}

func bannedNames(f goFile) []found {
	var all []found
	file := strings.TrimSuffix(filepath.Base(f.path), ".go")
	if w := bannedWord(strings.TrimSuffix(file, "_test")); w != "" {
		all = append(all, found{f.path, 1, "file named " + w})
	}
	if w := bannedWord(f.ast.Name.Name); w != "" {
		all = append(all, f.at(f.ast.Name, "package named %s", w))
	}
	for _, id := range declared(f.ast) {
		if w := bannedWord(id.Name); w != "" && !nameAllowed(f, id.Name) {
			all = append(all, f.at(id, "%s: %q says nothing", id.Name, w))
		}
	}
	return all
}

// declared collects the identifiers that the file declares.
func declared(file *ast.File) []*ast.Ident {
	var ids []*ast.Ident
	ast.Inspect(file, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.FuncDecl:
			ids = append(ids, x.Name)
		case *ast.TypeSpec:
			ids = append(ids, x.Name)
		case *ast.Field:
			ids = append(ids, x.Names...)
		case *ast.ValueSpec:
			ids = append(ids, x.Names...)
		case *ast.AssignStmt:
			if x.Tok == token.DEFINE {
				ids = append(ids, idents(x.Lhs...)...)
			}
		case *ast.RangeStmt:
			if x.Tok == token.DEFINE {
				ids = append(ids, idents(x.Key, x.Value)...)
			}
		}
		return true
	})
	return ids
}

func idents(exprs ...ast.Expr) []*ast.Ident {
	var ids []*ast.Ident
	for _, e := range exprs {
		if id, ok := e.(*ast.Ident); ok {
			ids = append(ids, id)
		}
	}
	return ids
}

// bannedWord is the first banned word of a name; empty where there is none.
func bannedWord(name string) string {
	for _, w := range words(name) {
		if banned[w] {
			return w
		}
	}
	return ""
}

// words splits a name in camel case or snake case into its words, lower case: HTTPServer2 is http, server2.
func words(name string) []string {
	var out []string
	runes := []rune(name)
	start := 0
	cut := func(end int) {
		if end > start {
			out = append(out, strings.ToLower(string(runes[start:end])))
		}
	}
	for i := 1; i < len(runes); i++ {
		prev, r := runes[i-1], runes[i]
		next := i+1 < len(runes) && unicode.IsLower(runes[i+1])
		switch {
		case r == '_' || r == '-':
			cut(i)
			start = i + 1
		case unicode.IsUpper(r) && (!unicode.IsUpper(prev) || next) && prev != '_':
			cut(i)
			start = i
		}
	}
	cut(len(runes))
	return out
}

// selfTold are methods that interfaces of the standard library ask for: their name says it all.
var selfTold = []string{"Error", "String", "Unwrap", "Is", "Len", "Less", "Swap", "Push", "Pop"}

// missingDocs wants a sentence on every exported name that ships: types, functions, methods of exported types,
// constants and variables (a group may have one comment for all).
func missingDocs(f goFile) []found {
	if f.test() || f.ast.Name.Name == "main" {
		return nil
	}
	var all []found
	for _, decl := range f.ast.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			all = append(all, funcDoc(f, d)...)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				all = append(all, specDoc(f, d, spec)...)
			}
		}
	}
	return all
}

func funcDoc(f goFile, fn *ast.FuncDecl) []found {
	if !fn.Name.IsExported() || fn.Recv != nil && !ast.IsExported(receiver(fn)) {
		return nil
	}
	if fn.Recv != nil && fn.Doc == nil && slices.Contains(selfTold, fn.Name.Name) {
		return nil
	}
	return wantDoc(f, fn.Name, fn.Doc)
}

func specDoc(f goFile, d *ast.GenDecl, spec ast.Spec) []found {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		if s.Name.IsExported() {
			return wantDoc(f, s.Name, first(s.Doc, d.Doc))
		}
	case *ast.ValueSpec:
		for _, name := range s.Names {
			if name.IsExported() && first(s.Doc, d.Doc, s.Comment) == nil {
				return []found{f.at(name, "%s is exported and has no comment", name.Name)}
			}
		}
	}
	return nil
}

func first(groups ...*ast.CommentGroup) *ast.CommentGroup {
	for _, g := range groups {
		if g != nil {
			return g
		}
	}
	return nil
}

// wantDoc wants a comment that begins with the name, an article before it allowed.
func wantDoc(f goFile, name *ast.Ident, doc *ast.CommentGroup) []found {
	if doc == nil {
		return []found{f.at(name, "%s is exported and has no comment", name.Name)}
	}
	text := doc.Text()
	for _, article := range []string{"", "A ", "An ", "The "} {
		if rest, ok := strings.CutPrefix(text, article+name.Name); ok && !startsWithLetter(rest) {
			return nil
		}
	}
	return []found{f.at(name, "the comment on %s does not begin with its name", name.Name)}
}

func startsWithLetter(s string) bool { return s != "" && unicode.IsLetter([]rune(s)[0]) }
