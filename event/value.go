package event

import (
	"fmt"
	"strings"
	"sync"

	"github.com/valyala/fastjson"
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

// Value is one JSON value, read-only; the zero Value is Missing. It lives as long as the parser it came from.
type Value struct{ j *fastjson.Value }

// Path leads to a property: names joined by dots (semantics 2.5).
type Path string

// ParseValue reads one JSON document into a Value of its own. It errs on anything that is not strict JSON.
func ParseValue(doc []byte) (Value, error) {
	var r Reader
	v, err := r.read(doc)
	if err != nil {
		return Value{}, fmt.Errorf("parse JSON: %w", err)
	}
	return v, nil
}

// Kind tells what v is.
func (v Value) Kind() Kind {
	if v.j == nil {
		return Missing
	}
	switch v.j.Type() {
	case fastjson.TypeNull:
		return Null
	case fastjson.TypeTrue, fastjson.TypeFalse:
		return Bool
	case fastjson.TypeNumber:
		return Number
	case fastjson.TypeString:
		return String
	case fastjson.TypeArray:
		return List
	default:
		return Object
	}
}

// Present tells whether v is there and not null.
func (v Value) Present() bool { return v.Kind() > Null }

// Bytes is the content of a string, unescaped; nil for any other kind. It aliases the parser.
func (v Value) Bytes() []byte {
	if v.Kind() != String {
		return nil
	}
	return v.j.GetStringBytes()
}

// Text is the content of a string as a copy; empty for any other kind.
func (v Value) Text() string { return string(v.Bytes()) }

// True tells whether v is the boolean true.
func (v Value) True() bool { return v.j != nil && v.j.Type() == fastjson.TypeTrue }

// Number is v as a number; false for any other kind. Integers beyond 2^53 lose digits here, see NumberText.
func (v Value) Number() (float64, bool) {
	if v.Kind() != Number {
		return 0, false
	}
	f, err := v.j.Float64()
	return f, err == nil
}

// wholeLimit keeps integers on the short way to what a Decimal holds without its text.
const wholeLimit = 1_000_000_000_000_000_000

// numberBytes are scratch buffers for the text of numbers: fastjson hands it out by copy only.
var numberBytes = sync.Pool{New: func() any { return new([]byte) }}

// Decimal is v as an exact number; false for any other kind.
func (v Value) Decimal() (Decimal, bool) {
	if v.Kind() != Number {
		return Decimal{}, false
	}
	if n := v.j.GetInt64(); n != 0 && n > -wholeLimit && n < wholeLimit { // 0 is also what it says of all but integers
		return wholeDecimal(n), true
	}
	b := numberBytes.Get().(*[]byte)
	*b = v.j.MarshalTo((*b)[:0])
	d, ok := ParseDecimal(*b)
	if cap(*b) <= 1024 {
		numberBytes.Put(b)
	}
	return d, ok
}

// NumberText is a number as it was written; empty for any other kind.
func (v Value) NumberText() string {
	if v.Kind() != Number {
		return ""
	}
	return string(v.j.MarshalTo(nil))
}

// Items are the elements of a list; nil for any other kind.
func (v Value) Items() []Value {
	if v.Kind() != List {
		return nil
	}
	raw := v.j.GetArray()
	all := make([]Value, len(raw))
	for i, j := range raw {
		all[i] = Value{j}
	}
	return all
}

// Len is the number of elements of a list; 0 for any other kind.
func (v Value) Len() int {
	if v.Kind() != List {
		return 0
	}
	return len(v.j.GetArray())
}

// At is the i-th element of a list.
func (v Value) At(i int) Value { return Value{v.j.GetArray()[i]} }

// Each calls f for every member of an object, in the order written.
func (v Value) Each(f func(name []byte, member Value)) {
	if v.Kind() != Object {
		return
	}
	v.j.GetObject().Visit(func(key []byte, j *fastjson.Value) { f(key, Value{j}) })
}

// KeyText is v as the name of a thread: a string as it is, a number or boolean as its JSON text; false for the rest
// (semantics 2.7). An empty string is a key.
func (v Value) KeyText() (string, bool) {
	switch v.Kind() {
	case String:
		return v.Text(), true
	case Number, Bool:
		return string(v.j.MarshalTo(nil)), true
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
	if j := v.j.Get(name); j != nil {
		return Value{j}
	}
	for i := strings.LastIndexByte(name, '.'); i > 0; i = strings.LastIndexByte(name[:i], '.') {
		j := v.j.Get(name[:i])
		if j == nil {
			continue
		}
		if found := (Value{j}).Get(Path(name[i+1:])); found.Kind() != Missing {
			return found
		}
	}
	return Value{}
}
