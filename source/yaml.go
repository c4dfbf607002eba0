package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Parse reads one YAML or JSON document. It never panics; every mistake becomes a problem of the returned Reader. The
// node is nil where nothing could be read. Anchors, aliases, tags, merge keys and several documents are refused.
func Parse(file string, src []byte) (*Node, *Reader) {
	src = bytes.TrimPrefix(src, []byte("\ufeff")) // what some editors begin a file with
	r := &Reader{file: file, src: src}
	whole := &Node{}
	switch {
	case len(src) > MaxBytes:
		r.src = nil
		r.Fail(whole, "too_large", "a file is at most %d KiB, this one has %d bytes", MaxBytes>>10, len(src))
	case !utf8.Valid(src):
		r.Fail(whole, "encoding", "the file is not UTF-8")
	case json.Valid(src):
		return r.parseJSON(), r
	default:
		return r.parseYAML(), r
	}
	return nil, r
}

func (r *Reader) parseYAML() (root *Node) {
	defer func() { // the parser of the library is not ours to trust
		if cause := recover(); cause != nil {
			r.Fail(&Node{}, "syntax", "this YAML cannot be read: %v", cause)
			root = nil
		}
	}()
	tokens := lexer.Tokenize(string(r.src))
	if !r.harmless(tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		r.syntax(err)
		return nil
	}
	var body ast.Node
	for _, doc := range file.Docs {
		if _, directive := doc.Body.(*ast.DirectiveNode); directive || doc.Body == nil {
			continue
		}
		if body != nil {
			r.Fail(place(doc.Body), "documents", "a file holds one document; this begins another")
			break
		}
		body = doc.Body
	}
	if body == nil {
		r.Fail(&Node{}, "empty", "the file is empty")
		return nil
	}
	return r.node(body, 0)
}

// harmless refuses what would take the parser of the library time or memory by the square of the file's size.
func (r *Reader) harmless(tokens token.Tokens) bool {
	var flow, dashes, marks, documents, members, line int
	for _, tk := range tokens {
		at := &Node{Line: tk.Position.Line, Col: tk.Position.Column}
		if at.Line != line {
			line, dashes = at.Line, 0
		}
		switch tk.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow--
		case token.SequenceEntryType:
			dashes++
		case token.MappingValueType:
			members++
		case token.AnchorType, token.AliasType, token.TagType, token.DirectiveType:
			marks++
		case token.DocumentHeaderType:
			documents++
		case token.MappingKeyType:
			r.Fail(at, "syntax", "a name must be a plain text")
			return false
		}
		switch {
		case flow > maxDepth || dashes > maxDepth:
			r.Fail(at, "too_deep", "nested more than %d levels", maxDepth)
			return false
		case members > 10*maxFields:
			r.Fail(at, "too_many_fields", "a file has at most %d fields", 10*maxFields)
			return false
		case marks > maxDepth:
			r.Fail(at, "anchor", "anchors, aliases and tags are not read; write it out")
			return false
		case documents > maxDepth:
			r.Fail(at, "documents", "a file holds one document; this begins another")
			return false
		}
	}
	return true
}

func (r *Reader) syntax(err error) {
	var at interface {
		GetToken() *token.Token
		GetMessage() string
	}
	if errors.As(err, &at) && at.GetToken() != nil {
		p := at.GetToken().Position
		r.Fail(&Node{Line: p.Line, Col: p.Column}, "syntax", "%s", at.GetMessage())
		return
	}
	r.Fail(&Node{}, "syntax", "%s", strings.SplitN(err.Error(), "\n", 2)[0])
}

// place is an empty node where n begins.
func place(n ast.Node) *Node {
	if m, ok := n.(*ast.MappingNode); ok && !m.IsFlowStyle && len(m.Values) > 0 {
		n = m.Values[0].Key
	}
	if tk := n.GetToken(); tk != nil && tk.Position != nil {
		return &Node{Line: tk.Position.Line, Col: tk.Position.Column}
	}
	return &Node{}
}

func (r *Reader) node(n ast.Node, depth int) *Node {
	if n == nil {
		return &Node{}
	}
	at := place(n)
	if depth > maxDepth {
		r.Fail(at, "too_deep", "nested more than %d levels", maxDepth)
		return at
	}
	switch n := n.(type) {
	case *ast.MappingNode:
		at.Kind = Object
		for _, v := range n.Values {
			r.field(at, v, depth)
		}
	case *ast.MappingValueNode:
		at = place(n.Key)
		at.Kind = Object
		r.field(at, n, depth)
	case *ast.AnchorNode:
		r.Fail(at, "anchor", "anchors and aliases are not read; write it out")
		return r.node(n.Value, depth+1)
	case *ast.TagNode:
		r.Fail(at, "tag", "tags are not read; put a text in quotes")
		return r.node(n.Value, depth+1)
	case *ast.SequenceNode:
		at.Kind = List
		for _, v := range n.Values {
			at.Items = append(at.Items, r.node(v, depth+1))
		}
	default:
		r.scalar(at, n)
	}
	return at
}

func (r *Reader) field(object *Node, v *ast.MappingValueNode, depth int) {
	at := place(v.Key)
	var name string
	switch key := v.Key.(type) {
	case *ast.MergeKeyNode:
		r.Fail(at, "anchor", "merge keys, anchors and aliases are not read; write it out")
		return
	case *ast.StringNode:
		name = key.Value
	case *ast.MappingKeyNode:
		r.Fail(at, "syntax", "a name must be a plain text")
		return
	default:
		name = v.Key.GetToken().Value
	}
	r.add(object, Field{Name: name, Line: at.Line, Col: at.Col, Value: r.node(v.Value, depth+1)})
}

// add gives an object a member, unless it has one of that name.
func (r *Reader) add(object *Node, f Field) {
	if f.Value.Line == 0 {
		f.Value.Line, f.Value.Col = f.Line, f.Col
	}
	if len(object.Fields) >= maxFields {
		if len(object.Fields) == maxFields {
			r.Fail(object, "too_many_fields", "an object has at most %d fields", maxFields)
			object.Fields = append(object.Fields, f)
		}
		return
	}
	for _, old := range object.Fields {
		if old.Name == f.Name {
			r.Fail(&Node{Line: f.Line, Col: f.Col}, "duplicate_field", "%q is already set on line %d", f.Name, old.Line)
			return
		}
	}
	object.Fields = append(object.Fields, f)
}

func (r *Reader) scalar(at *Node, n ast.Node) {
	switch n := n.(type) {
	case *ast.NullNode:
	case *ast.BoolNode:
		at.Kind, at.Text = Bool, strconv.FormatBool(n.Value)
	case *ast.IntegerNode:
		at.Kind, at.Text = Number, numberText(n.Token.Value, fmt.Sprint(n.Value))
	case *ast.FloatNode:
		at.Kind, at.Text = Number, numberText(n.Token.Value, strconv.FormatFloat(n.Value, 'g', -1, 64))
		if math.IsInf(n.Value, 0) {
			r.Fail(at, "number", "%s is no JSON number", n.Token.Value)
		}
	case *ast.StringNode:
		at.Kind, at.Text = String, n.Value
		if n.Token.Type == token.StringType && isNumber(n.Value) { // an integer beyond 64 bits
			at.Kind = Number
		}
	case *ast.LiteralNode:
		at.Kind, at.Text = String, n.Value.Value
	case *ast.InfinityNode, *ast.NanNode:
		at.unread = true
		r.Fail(at, "number", "%s is no JSON number", n.GetToken().Value)
	case *ast.AliasNode:
		at.unread = true
		r.Fail(at, "anchor", "anchors and aliases are not read; write it out")
	default:
		at.unread = true
		r.Fail(at, "syntax", "this is not read here: %s", n.Type())
	}
}

// isNumber tells whether text is a number in JSON's notation.
func isNumber(text string) bool {
	return text != "" && (text[0] == '-' || text[0] >= '0' && text[0] <= '9') && json.Valid([]byte(text)) &&
		strings.TrimSpace(text) == text
}

// numberText is a number as written where that is JSON, else its value.
func numberText(written, value string) string {
	if isNumber(written) {
		return written
	}
	return value
}
