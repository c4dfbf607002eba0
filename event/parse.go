package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"unicode/utf8"
)

// maxDepth is the nesting of objects and lists that is read.
const maxDepth = 300

var errTooDeep = errors.New("nested deeper than 300 levels")

// Reader reads documents one at a time: each Parse ends the life of the Value before it. Values alias the document,
// which must not change while they are in use.
type Reader struct{ doc document }

// document is one JSON document taken apart.
type document struct {
	text   []byte
	nodes  []node // in the order written; names of members are nodes too
	plain  []byte // strings that had escapes, without them
	verbal bool   // some string has an escape, or there is space between tokens
}

// node is one value, or the name of a member. Text of a string is its content, of anything else all of it.
type node struct {
	kind     Kind
	unquoted bool   // a string whose content is in plain: it had escapes
	start    uint32 // of the text, in document.text or in document.plain
	end      uint32
	next     uint32 // the node behind all that is inside
	count    uint32 // elements of a list
}

// bytes are the text of a node.
func (d *document) bytes(n *node) []byte {
	if n.unquoted {
		return d.plain[n.start:n.end:n.end]
	}
	return d.text[n.start:n.end:n.end]
}

// Parse reads doc; anything that is no JSON is Missing.
func (r *Reader) Parse(doc []byte) Value {
	v, err := r.read(doc)
	if err != nil {
		return Value{}
	}
	return v
}

// read takes apart one strict JSON document (RFC 8259, UTF-8) that is not too deep.
func (r *Reader) read(doc []byte) (Value, error) {
	if !utf8.Valid(doc) {
		return Value{}, errors.New("not valid UTF-8")
	}
	d := &r.doc
	d.text, d.nodes, d.plain, d.verbal = doc, d.nodes[:0], d.plain[:0], false
	p := parser{document: d, doc: doc, nodes: d.nodes}
	p.space()
	if !p.value(1) {
		return Value{}, p.err
	}
	p.space()
	if p.i < len(doc) {
		return Value{}, fmt.Errorf("byte %d: more after the end", p.i)
	}
	d.nodes = p.nodes
	return Value{d, 0}, nil
}

// parser checks and takes apart at once. After false err is set.
type parser struct {
	*document
	doc   []byte
	nodes []node
	i     int
	err   error
}

func (p *parser) fail(what string) bool {
	end := ""
	if p.i >= len(p.doc) {
		end = "the end, "
	}
	p.err = fmt.Errorf("byte %d: %snot %s", p.i, end, what)
	return false
}

// next is the byte at hand; 0, which JSON has nowhere, at the end.
func (p *parser) next() byte {
	if p.i < len(p.doc) {
		return p.doc[p.i]
	}
	return 0
}

func (p *parser) space() {
	for p.i < len(p.doc) {
		switch p.doc[p.i] {
		case ' ', '\t', '\n', '\r':
			p.i++
			p.verbal = true
		default:
			return
		}
	}
}

func (p *parser) value(depth int) bool {
	if depth > maxDepth {
		p.err = errTooDeep
		return false
	}
	switch p.next() {
	case '{':
		return p.container(Object, depth)
	case '[':
		return p.container(List, depth)
	case '"':
		return p.text()
	case 't':
		return p.word("true", Bool)
	case 'f':
		return p.word("false", Bool)
	case 'n':
		return p.word("null", Null)
	default:
		return p.number()
	}
}

// add appends the node of a value without any inside.
func (p *parser) add(kind Kind, start, end int) {
	p.nodes = append(p.nodes, node{kind: kind, start: uint32(start), end: uint32(end), next: uint32(len(p.nodes) + 1)})
}

// container reads an object or a list.
func (p *parser) container(kind Kind, depth int) bool {
	at, start, count := len(p.nodes), p.i, 0
	p.add(kind, start, start)
	end := p.next() + 2 // so ASCII has it
	p.i++
	p.space()
	for more := p.next() != end; more; count++ {
		if kind == Object && !p.name() || !p.value(depth+1) {
			return false
		}
		p.space()
		switch more = p.next() == ','; {
		case more:
			p.i++
			p.space()
		case p.next() != end:
			return p.fail("a comma or the end of an object or list")
		}
	}
	p.i++
	n := &p.nodes[at]
	n.end, n.next, n.count = uint32(p.i), uint32(len(p.nodes)), uint32(count)
	return true
}

// name reads the name of a member and its colon.
func (p *parser) name() bool {
	if p.next() != '"' {
		return p.fail("a name")
	}
	if !p.text() {
		return false
	}
	p.space()
	if p.next() != ':' {
		return p.fail("a colon")
	}
	p.i++
	p.space()
	return true
}

func (p *parser) text() bool {
	p.i++
	start, escaped := p.i, false
	for p.skip(); p.i < len(p.doc); p.skip() {
		switch b := p.doc[p.i]; {
		case b == '"':
			p.add(String, start, p.i)
			if escaped {
				p.unquote(start)
			}
			p.i++
			return true
		case b == '\\':
			if escaped = true; !p.escape() {
				return false
			}
		case b < ' ':
			return p.fail("a character of a text")
		default:
			p.i++
		}
	}
	return p.fail("the end of a text")
}

// skip passes over bytes that mean themselves, eight at a time; some may be left.
func (p *parser) skip() {
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for p.i+8 <= len(p.doc) {
		w := binary.LittleEndian.Uint64(p.doc[p.i:])
		quote, back := w^'"'*ones, w^'\\'*ones
		special := (quote-ones)&^quote | (back-ones)&^back | (w-' '*ones)&^w
		if special &= high; special != 0 {
			p.i += bits.TrailingZeros64(special) / 8
			return
		}
		p.i += 8
	}
}

func (p *parser) escape() bool {
	p.verbal = true
	p.i++
	switch p.next() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		p.i++
		return true
	case 'u':
		p.i++
	default:
		return p.fail("an escape")
	}
	for end := p.i + 4; p.i < end; p.i++ {
		b := p.next()
		if !(b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F') {
			return p.fail("a hexadecimal digit")
		}
	}
	return true
}

// unquote gives the last node its content without escapes.
func (p *parser) unquote(start int) {
	n := &p.nodes[len(p.nodes)-1]
	n.unquoted, n.start = true, uint32(len(p.plain))
	p.plain = appendUnescaped(p.plain, p.doc[start:p.i])
	n.end = uint32(len(p.plain))
}

func (p *parser) word(word string, kind Kind) bool {
	if end := p.i + len(word); end <= len(p.doc) && string(p.doc[p.i:end]) == word {
		p.add(kind, p.i, end)
		p.i = end
		return true
	}
	return p.fail(word)
}

func (p *parser) number() bool {
	start := p.i
	for p.i < len(p.doc) && isNumberByte(p.doc[p.i]) {
		p.i++
	}
	if start == p.i {
		return p.fail("a value")
	}
	if !isNumber(p.doc[start:p.i]) {
		p.i = start
		return p.fail("a number")
	}
	p.add(Number, start, p.i)
	return true
}

func isNumberByte(b byte) bool {
	return b >= '0' && b <= '9' || b == '-' || b == '+' || b == '.' || b == 'e' || b == 'E'
}
