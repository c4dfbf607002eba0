package event

import (
	"fmt"

	"github.com/valyala/fastjson"
)

// read parses a document that nobody checked yet.
func (r *Reader) read(doc []byte) (Value, error) {
	escapes, err := check(doc)
	if err != nil {
		return Value{}, err
	}
	j, err := r.p.ParseBytes(doc)
	if err != nil { // impossible: what check takes, the parser takes
		return Value{}, fmt.Errorf("parse checked JSON: %w", err)
	}
	if escapes {
		unescape(j)
	}
	return Value{j}, nil
}

// unescape undoes all escapes now. fastjson undoes them when it first looks at a string or misses a name, so that of
// the names "a" and "\u0061" the one found would depend on what was asked before.
func unescape(j *fastjson.Value) {
	switch j.Type() { // this undoes those of a string
	case fastjson.TypeArray:
		for _, element := range j.GetArray() {
			unescape(element)
		}
	case fastjson.TypeObject:
		j.GetObject().Visit(func(_ []byte, member *fastjson.Value) { unescape(member) })
	}
}
