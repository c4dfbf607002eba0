// Package source reads a YAML or JSON file into a tree that remembers where everything stands, so that whoever gives
// the tree a meaning can name the line of every mistake. It is the first step of reading a campaign and pure: bytes
// in, nodes and problems out. It knows no campaign.
package source

import (
	"encoding/json"
	"sort"
	"strconv"
	"strings"
)

// Limits of a file.
const (
	MaxBytes    = 256 << 10 // bytes of one file
	maxDepth    = 64        // nesting of lists and objects
	maxFields   = 1000      // members of one object
	maxProblems = 1000      // told of one file
)

// Kind is the type of a Node, as JSON tells them apart.
type Kind uint8

// The kinds.
const (
	Null Kind = iota
	Bool
	Number
	String
	List
	Object
)

// String is the kind in the words of a problem.
func (k Kind) String() string {
	return [...]string{"nothing", "a boolean", "a number", "a text", "a list", "an object"}[k]
}

// Node is one value of a file and the place where it begins. Line and Col count from 1, Col in characters.
type Node struct {
	Kind   Kind
	Text   string // of a text; of a number, its JSON text; of a boolean, true or false
	Line   int
	Col    int
	Items  []*Node // of a list
	Fields []Field // of an object, in the order written; names are unique

	unread bool // it is there, but was refused; its type is not complained of again
}

// Field is one member of an object and the place of its name.
type Field struct {
	Name  string
	Line  int
	Col   int
	Value *Node
}

// Field finds a member of an object; nil where there is none, or n is no object.
func (n *Node) Field(name string) *Node {
	if n == nil {
		return nil
	}
	for i := range n.Fields {
		if n.Fields[i].Name == name {
			return n.Fields[i].Value
		}
	}
	return nil
}

// AppendJSON appends n as canonical JSON: members sorted by name, no spaces, numbers as written. A nil n is null.
func (n *Node) AppendJSON(dst []byte) []byte {
	if n == nil {
		return append(dst, "null"...)
	}
	switch n.Kind {
	case Bool, Number:
		return append(dst, n.Text...)
	case String:
		return AppendString(dst, n.Text)
	case List:
		dst = append(dst, '[')
		for i, element := range n.Items {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = element.AppendJSON(dst)
		}
		return append(dst, ']')
	case Object:
		return n.appendObject(dst)
	default:
		return append(dst, "null"...)
	}
}

func (n *Node) appendObject(dst []byte) []byte {
	fields := append([]Field(nil), n.Fields...)
	sort.Slice(fields, func(i, j int) bool { return fields[i].Name < fields[j].Name })
	dst = append(dst, '{')
	for i, f := range fields {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendString(dst, f.Name), ':')
		dst = f.Value.AppendJSON(dst)
	}
	return append(dst, '}')
}

// AppendString appends s as a JSON string, without the HTML escapes of encoding/json.
func AppendString(dst []byte, s string) []byte {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // impossible for a string
		return strconv.AppendQuote(dst, s)
	}
	return append(dst, strings.TrimSuffix(b.String(), "\n")...)
}
