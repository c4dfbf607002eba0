package source

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// parseJSON reads a valid JSON document; the YAML library does not take tabs everywhere.
func (r *Reader) parseJSON() *Node {
	dec := json.NewDecoder(bytes.NewReader(r.src))
	dec.UseNumber()
	return (&jsonTree{r: r, dec: dec, line: 1}).value(0)
}

// jsonTree follows a decoder and counts lines on the way.
type jsonTree struct {
	r         *Reader
	dec       *json.Decoder
	line      int
	lineStart int // offset at which the line begins
	seen      int // offset up to which lines are counted
}

// here is an empty node at the next token.
func (t *jsonTree) here() *Node {
	from := int(t.dec.InputOffset())
	for from < len(t.r.src) && bytes.IndexByte([]byte(" \t\r\n,:"), t.r.src[from]) >= 0 {
		from++
	}
	for ; t.seen < from; t.seen++ {
		if t.r.src[t.seen] == '\n' {
			t.line, t.lineStart = t.line+1, t.seen+1
		}
	}
	return &Node{Line: t.line, Col: utf8.RuneCount(t.r.src[t.lineStart:from]) + 1}
}

func (t *jsonTree) value(depth int) *Node {
	n := t.here()
	tok, err := t.dec.Token()
	if err != nil { // impossible: the document is valid
		t.r.Fail(n, "syntax", "%v", err)
		return n
	}
	switch v := tok.(type) {
	case json.Delim:
		t.container(n, v, depth)
	case string:
		n.Kind, n.Text = String, v
	case json.Number:
		n.Kind, n.Text = Number, v.String()
	case bool:
		n.Kind, n.Text = Bool, map[bool]string{true: "true", false: "false"}[v]
	}
	return n
}

func (t *jsonTree) container(n *Node, open json.Delim, depth int) {
	n.Kind = List
	if open == '{' {
		n.Kind = Object
	}
	if depth == maxDepth+1 {
		t.r.Fail(n, "too_deep", "nested more than %d levels", maxDepth)
	}
	for t.dec.More() {
		if n.Kind == List {
			n.Items = append(n.Items, t.value(depth+1))
			continue
		}
		name := t.value(depth + 1)
		t.r.add(n, Field{Name: name.Text, Line: name.Line, Col: name.Col, Value: t.value(depth + 1)})
	}
	if _, err := t.dec.Token(); err != nil {
		t.r.Fail(n, "syntax", "%v", err)
	}
}
