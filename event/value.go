package event

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
)

// Kind is the type of a JSON value, as filters tell them apart (semantics 2.5).
type Kind uint8

// The kinds. A path that leads nowhere is Missing; a JSON null is Null, which filters treat as missing too.
const (
	Missing Kind = iota
	Null
	Bool
	Number
	String
	List
	Object
)

// Value is one JSON value, read-only; the zero Value is Missing. It lives as long as the reader and the bytes that it
// came from.
type Value struct {
	d *document
	i uint32 // of its node
}

// Path leads to a property: names joined by dots (semantics 2.5).
type Path string

// ParseValue reads one JSON document into a Value of its own. It errs on anything that is not strict JSON.
func ParseValue(doc []byte) (Value, error) {
	var r Reader
	v, err := r.read(bytes.Clone(doc))
	if err != nil {
		return Value{}, fmt.Errorf("parse JSON: %w", err)
	}
	return v, nil
}

func (v Value) node() *node { return &v.d.nodes[v.i] }

// text is what stands between the quotes of a string, and all of any other value.
func (v Value) text() []byte { return v.d.bytes(v.node()) }

// Kind tells what v is.
func (v Value) Kind() Kind {
	if v.d == nil {
		return Missing
	}
	return v.node().kind
}

// Present tells whether v is there and not null.
func (v Value) Present() bool { return v.Kind() > Null }

// Bytes is the content of a string, unescaped; nil for any other kind. It aliases the parser.
func (v Value) Bytes() []byte {
	if v.Kind() != String {
		return nil
	}
	return v.text()
}

// Text is the content of a string as a copy; empty for any other kind.
func (v Value) Text() string { return string(v.Bytes()) }

// True tells whether v is the boolean true.
func (v Value) True() bool { return v.Kind() == Bool && v.text()[0] == 't' }

// Number is v as a number; false for any other kind. Integers beyond 2^53 lose digits here, see NumberText.
func (v Value) Number() (float64, bool) {
	if v.Kind() != Number {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v.text()), 64)
	return f, err == nil || errors.Is(err, strconv.ErrRange)
}

// Decimal is v as an exact number; false for any other kind.
func (v Value) Decimal() (Decimal, bool) {
	if v.Kind() != Number {
		return Decimal{}, false
	}
	text := v.text()
	if n, ok := shortWhole(text); ok {
		return wholeDecimal(n), true
	}
	return ParseDecimal(text)
}

// shortWhole is the integer that text is if it has few digits, no sign, no fraction and no exponent.
func shortWhole(text []byte) (n int64, ok bool) {
	if len(text) > shortDigits {
		return 0, false
	}
	for _, b := range text {
		if b < '0' || b > '9' {
			return 0, false
		}
		n = n*10 + int64(b-'0')
	}
	return n, true
}

// NumberText is a number as it was written; empty for any other kind.
func (v Value) NumberText() string {
	if v.Kind() != Number {
		return ""
	}
	return string(v.text())
}

// Elements are the elements of a list in their order; none for any other kind.
func (v Value) Elements() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if v.Kind() != List {
			return
		}
		for i := v.i + 1; i < v.node().next; i = v.d.nodes[i].next {
			if !yield(Value{v.d, i}) {
				return
			}
		}
	}
}

// Items are the elements of a list; nil for any other kind.
func (v Value) Items() []Value {
	if v.Kind() != List {
		return nil
	}
	return slices.AppendSeq(make([]Value, 0, v.Len()), v.Elements())
}

// Len is the number of elements of a list; 0 for any other kind.
func (v Value) Len() int {
	if v.Kind() != List {
		return 0
	}
	return int(v.node().count)
}

// Each calls f for every member of an object, in the order written.
func (v Value) Each(f func(name []byte, member Value)) {
	if v.Kind() != Object {
		return
	}
	end := v.node().next
	for i := v.i + 1; i < end; {
		name := &v.d.nodes[i]
		f(v.d.bytes(name), Value{v.d, i + 1})
		i = v.d.nodes[i+1].next
	}
}

// Member is the first property of exactly that name; Missing where v is no object.
func (v Value) Member(name string) Value {
	if v.Kind() != Object {
		return Value{}
	}
	nodes := v.d.nodes
	for i, end := v.i+1, v.node().next; i < end; i = nodes[i+1].next {
		n := &nodes[i]
		if int(n.end-n.start) == len(name) && string(v.d.bytes(n)) == name {
			return Value{v.d, i + 1}
		}
	}
	return Value{}
}

// KeyText is v as the name of a thread: a string as it is, a number or boolean as its JSON text; false for the rest
// (semantics 2.7). An empty string is a key.
func (v Value) KeyText() (string, bool) {
	switch v.Kind() {
	case String:
		return v.Text(), true
	case Number, Bool:
		return string(v.text()), true
	default:
		return "", false
	}
}

// Get follows a path from v. A property whose own name holds a dot is matched whole first, the longest name before
// shorter ones, then walked (semantics 2.5).
func (v Value) Get(path Path) Value {
	if v.Kind() != Object {
		return Value{}
	}
	name := string(path)
	if found := v.Member(name); found.d != nil {
		return found
	}
	for i := strings.LastIndexByte(name, '.'); i > 0; i = strings.LastIndexByte(name[:i], '.') {
		if found := v.Member(name[:i]).Get(Path(name[i+1:])); found.d != nil {
			return found
		}
	}
	return Value{}
}
