package source

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Reader gives nodes a type and collects every problem on the way. All its methods take a nil node for a field that
// is not there and say nothing of it.
type Reader struct {
	file     string
	src      []byte
	lines    []string // of src, split when first needed
	problems []Problem
	errors   int
}

// Problems are those found so far, in the order of the file.
func (r *Reader) Problems() []Problem {
	sort.SliceStable(r.problems, func(i, j int) bool {
		a, b := r.problems[i], r.problems[j]
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Col < b.Col
	})
	return r.problems
}

// Failed tells whether an error was found so far.
func (r *Reader) Failed() bool { return r.errors > 0 }

// Errors counts the errors found so far.
func (r *Reader) Errors() int { return r.errors }

// Fail records an error at n.
func (r *Reader) Fail(n *Node, code, format string, args ...any) {
	r.note(n, Error, code, fmt.Sprintf(format, args...))
}

// Warn records a warning at n.
func (r *Reader) Warn(n *Node, code, format string, args ...any) {
	r.note(n, Warning, code, fmt.Sprintf(format, args...))
}

// note records a problem; what follows a newline in text is the hint. A nil n is the file as a whole.
func (r *Reader) note(n *Node, severity Severity, code, text string) {
	if n == nil {
		n = &Node{}
	}
	if severity == Error {
		r.errors++
	}
	if len(r.problems) == maxProblems {
		return
	}
	if r.lines == nil {
		r.lines = strings.Split(string(r.src), "\n")
	}
	text, hint, _ := strings.Cut(text, "\n")
	r.problems = append(r.problems, Problem{
		File: r.file, Line: max(n.Line, 1), Col: max(n.Col, 1), Severity: severity, Code: code, Message: text, Hint: hint,
		Excerpt: excerpt(r.lines, n.Line, n.Col),
	})
}

// Is tells whether n is there and of the kind; another kind is a problem that names what.
func (r *Reader) Is(n *Node, kind Kind, what string) bool {
	if n == nil {
		return false
	}
	if n.Kind == kind {
		return true
	}
	if !n.unread {
		r.Fail(n, "wrong_type", "%s must be %s, not %s", what, kind, n.Kind)
	}
	return false
}

// Object checks that n is an object without other members than the names.
func (r *Reader) Object(n *Node, what string, names ...string) bool {
	if !r.Is(n, Object, what) {
		return false
	}
	for _, f := range n.Fields {
		r.known(f, what, names)
	}
	return true
}

func (r *Reader) known(f Field, what string, names []string) {
	for _, name := range names {
		if name == f.Name {
			return
		}
	}
	hint := "\nknown here: " + strings.Join(names, ", ")
	if near := Nearest(f.Name, names); near != "" {
		hint = fmt.Sprintf("\ndid you mean %q?", near)
	}
	r.Fail(&Node{Line: f.Line, Col: f.Col}, "unknown_field", "%s has no field %q%s", what, f.Name, hint)
}

// Require records a problem where the object n lacks a member.
func (r *Reader) Require(n *Node, what, name string) *Node {
	found := n.Field(name)
	if found == nil {
		r.Fail(n, "missing_field", "%s needs %q", what, name)
	}
	return found
}

// Text reads a text that is not empty.
func (r *Reader) Text(n *Node, what string) string {
	if n != nil && (n.Kind == Number || n.Kind == Bool) {
		r.Fail(n, "wrong_type", "%s must be %s, not %s\nput it in quotes: %q", what, String, n.Kind, n.Text)
		return ""
	}
	if !r.Is(n, String, what) {
		return ""
	}
	if n.Text == "" {
		r.Fail(n, "empty_text", "%s must not be empty", what)
	}
	return n.Text
}

// Bool reads a boolean; false where there is none.
func (r *Reader) Bool(n *Node, what string) bool { return r.Is(n, Bool, what) && n.Text == "true" }

// Int reads a whole number from least to most; least where there is none.
func (r *Reader) Int(n *Node, what string, least, most int) int {
	if !r.Is(n, Number, what) {
		return least
	}
	v, err := strconv.Atoi(n.Text)
	if err != nil || v < least || v > most {
		r.Fail(n, "out_of_range", "%s must be a whole number from %d to %d, got %s", what, least, most, n.Text)
		return least
	}
	return v
}

// OneOf reads one of the words; the first is the default.
func (r *Reader) OneOf(n *Node, what string, words ...string) string {
	if !r.Is(n, String, what) {
		return words[0]
	}
	for _, w := range words {
		if w == n.Text {
			return w
		}
	}
	hint := ""
	if near := Nearest(n.Text, words); near != "" {
		hint = fmt.Sprintf("\ndid you mean %q?", near)
	}
	r.Fail(n, "unknown_value", "%s must be one of %s, got %q%s", what, strings.Join(words, ", "), n.Text, hint)
	return words[0]
}
