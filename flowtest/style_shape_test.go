package flowtest

import (
	"go/ast"
	"strings"
)

// funcSize counts the lines of each declared function. In tests the lines of literals, which are tables, do not
// count.
func funcSize(f goFile) []found {
	var all []found
	for _, decl := range f.ast.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		n := span(f, fn)
		if f.test() {
			n -= tableLines(f, fn)
		}
		if _, why := longFuncs[funcName(f, fn)]; n > maxFuncLines && !why {
			all = append(all, f.at(fn, "function %s of %d lines, at most %d", fn.Name.Name, n, maxFuncLines))
		}
	}
	return all
}

func span(f goFile, n ast.Node) int {
	return f.set.Position(n.End()).Line - f.line(n) + 1
}

// tableLines are the lines that the outermost literals add, composite ones and raw strings.
func tableLines(f goFile, fn *ast.FuncDecl) int {
	n := 0
	ast.Inspect(fn, func(node ast.Node) bool {
		switch node.(type) {
		case *ast.CompositeLit, *ast.BasicLit:
			n += span(f, node) - 1
			return false
		}
		return true
	})
	return n
}

// funcName is dir.Func or dir.Type.Method.
func funcName(f goFile, fn *ast.FuncDecl) string {
	if fn.Recv == nil {
		return f.dir() + "." + fn.Name.Name
	}
	return f.dir() + "." + receiver(fn) + "." + fn.Name.Name
}

// receiver is the name of the type that a method belongs to.
func receiver(fn *ast.FuncDecl) string {
	typ := fn.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	switch x := typ.(type) {
	case *ast.IndexExpr:
		typ = x.X
	case *ast.IndexListExpr:
		typ = x.X
	}
	id, _ := typ.(*ast.Ident)
	if id == nil {
		return ""
	}
	return id.Name
}

func paramCount(f goFile) []found {
	var all []found
	exempt := map[*ast.FuncType]bool{}
	ast.Inspect(f.ast, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.FuncDecl:
			exempt[x.Type] = manyParams[funcName(f, x)] != ""
		case *ast.FuncType:
			if n := params(f, x); n > maxParams && !exempt[x] {
				all = append(all, f.at(x, "%d parameters, at most %d: use a struct", n, maxParams))
			}
		}
		return true
	})
	return all
}

// params counts parameters after the context; in tests neither a context nor the testing.TB counts.
func params(f goFile, typ *ast.FuncType) int {
	n := 0
	for i, field := range typ.Params.List {
		name := typeText(field.Type)
		if name == "context.Context" && (i == 0 || f.test()) {
			continue
		}
		if strings.HasPrefix(name, "testing.") && (f.test() || strings.HasPrefix(f.path, "flowtest/")) {
			continue
		}
		n += max(1, len(field.Names))
	}
	return n
}

// typeText is a type as package.Name, pointers left out; empty for any other form.
func typeText(e ast.Expr) string {
	switch x := e.(type) {
	case *ast.StarExpr:
		return typeText(x.X)
	case *ast.SelectorExpr:
		if p, ok := x.X.(*ast.Ident); ok {
			return p.Name + "." + x.Sel.Name
		}
	}
	return ""
}

// nesting reports the first statement of each function, declared or literal, that is too deep.
func nesting(f goFile) []found {
	var all []found
	ast.Inspect(f.ast, func(node ast.Node) bool {
		body := bodyOf(node)
		if body == nil {
			return true
		}
		if deep := tooDeep(body, 0); deep != nil {
			all = append(all, f.at(deep, "nesting deeper than %d", maxNesting))
		}
		return true
	})
	return all
}

func bodyOf(n ast.Node) *ast.BlockStmt {
	switch fn := n.(type) {
	case *ast.FuncDecl:
		return fn.Body
	case *ast.FuncLit:
		return fn.Body
	}
	return nil
}

// tooDeep finds a branch or loop below n that is nested deeper than maxNesting; depth is that of n's own content. A
// function literal is judged by itself, and a chain of else-ifs counts once.
func tooDeep(n ast.Node, depth int) ast.Node {
	var deep ast.Node
	ast.Inspect(n, func(node ast.Node) bool {
		if node == nil || node == n || deep != nil {
			return deep == nil
		}
		switch x := node.(type) {
		case *ast.FuncLit:
			return false
		case *ast.IfStmt:
			deep = chain(x, depth+1)
			return false
		case *ast.ForStmt, *ast.RangeStmt, *ast.SwitchStmt, *ast.TypeSwitchStmt, *ast.SelectStmt:
			deep = level(x, depth+1)
			return false
		}
		return true
	})
	return deep
}

func level(n ast.Node, depth int) ast.Node {
	if depth > maxNesting {
		return n
	}
	return tooDeep(n, depth)
}

func chain(x *ast.IfStmt, depth int) ast.Node {
	if depth > maxNesting {
		return x
	}
	if deep := tooDeep(x.Body, depth); deep != nil {
		return deep
	}
	switch e := x.Else.(type) {
	case *ast.IfStmt:
		return chain(e, depth)
	case *ast.BlockStmt:
		return tooDeep(e, depth)
	}
	return nil
}

func interfaceWidth(f goFile) []found {
	var all []found
	ast.Inspect(f.ast, func(node ast.Node) bool {
		spec, ok := node.(*ast.TypeSpec)
		if !ok {
			return true
		}
		face, ok := spec.Type.(*ast.InterfaceType)
		if !ok {
			return true
		}
		_, why := wideInterfaces[f.dir()+"."+spec.Name.Name]
		if n := face.Methods.NumFields(); n > maxMethods && !why {
			all = append(all, f.at(spec, "interface %s of %d methods, at most %d", spec.Name.Name, n, maxMethods))
		}
		return true
	})
	return all
}
