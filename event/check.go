package event

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/valyala/fastjson"
)

// maxDepth is the nesting that fastjson's parser takes.
const maxDepth = fastjson.MaxDepth

var errTooDeep = errors.New("nested deeper than 300 levels")

// check tells whether doc is one strict JSON document (RFC 8259, UTF-8) that is not too deep, and whether it holds an
// escape. fastjson's parser alone takes more than JSON; its own validator follows any depth and, what is worse, both
// quote the rest of the document in an error once for every level.
func check(doc []byte) (escapes bool, err error) {
	if !utf8.Valid(doc) {
		return false, errors.New("not valid UTF-8")
	}
	c := checker{doc: doc}
	c.space()
	if !c.value(1) {
		return false, c.err
	}
	c.space()
	if c.i < len(doc) {
		return false, fmt.Errorf("byte %d: more after the end", c.i)
	}
	return c.escapes, nil
}

type checker struct {
	doc     []byte
	i       int
	escapes bool
	err     error // once something returned false
}

func (c *checker) fail(what string) bool {
	end := ""
	if c.i >= len(c.doc) {
		end = "the end, "
	}
	c.err = fmt.Errorf("byte %d: %snot %s", c.i, end, what)
	return false
}

// next is the byte at hand; 0, which JSON has nowhere, at the end.
func (c *checker) next() byte {
	if c.i < len(c.doc) {
		return c.doc[c.i]
	}
	return 0
}

func (c *checker) space() {
	for c.i < len(c.doc) {
		switch c.doc[c.i] {
		case ' ', '\t', '\n', '\r':
			c.i++
		default:
			return
		}
	}
}

func (c *checker) value(depth int) bool {
	if depth > maxDepth {
		c.err = errTooDeep
		return false
	}
	switch c.next() {
	case '{', '[':
		return c.container(c.next(), depth)
	case '"':
		return c.text()
	case 't':
		return c.word("true")
	case 'f':
		return c.word("false")
	case 'n':
		return c.word("null")
	default:
		return c.number()
	}
}

// container reads an object or a list.
func (c *checker) container(open byte, depth int) bool {
	end := open + 2 // so ASCII has it
	c.i++
	c.space()
	for more := c.next() != end; more; {
		if open == '{' && !c.name() || !c.value(depth+1) {
			return false
		}
		c.space()
		switch more = c.next() == ','; {
		case more:
			c.i++
			c.space()
		case c.next() != end:
			return c.fail("a comma or the end of an object or list")
		}
	}
	c.i++
	return true
}

// name reads the name of a member and its colon.
func (c *checker) name() bool {
	if c.next() != '"' {
		return c.fail("a name")
	}
	if !c.text() {
		return false
	}
	c.space()
	if c.next() != ':' {
		return c.fail("a colon")
	}
	c.i++
	c.space()
	return true
}

func (c *checker) text() bool {
	c.i++
	for c.i < len(c.doc) {
		b := c.doc[c.i]
		switch {
		case b == '"':
			c.i++
			return true
		case b == '\\':
			if !c.escape() {
				return false
			}
		case b < ' ':
			return c.fail("a character of a text")
		default:
			c.i++
		}
	}
	return c.fail("the end of a text")
}

func (c *checker) escape() bool {
	c.escapes = true
	c.i++
	switch c.next() {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		c.i++
		return true
	case 'u':
		c.i++
	default:
		return c.fail("an escape")
	}
	for end := c.i + 4; c.i < end; c.i++ {
		b := c.next()
		if !(b >= '0' && b <= '9' || b >= 'a' && b <= 'f' || b >= 'A' && b <= 'F') {
			return c.fail("a hexadecimal digit")
		}
	}
	return true
}

func (c *checker) word(word string) bool {
	if end := c.i + len(word); end <= len(c.doc) && string(c.doc[c.i:end]) == word {
		c.i = end
		return true
	}
	return c.fail(word)
}

func (c *checker) number() bool {
	start := c.i
	for c.i < len(c.doc) && isNumberByte(c.doc[c.i]) {
		c.i++
	}
	if start == c.i {
		return c.fail("a value")
	}
	if !isNumber(c.doc[start:c.i]) {
		c.i = start
		return c.fail("a number")
	}
	return true
}

func isNumberByte(b byte) bool {
	return b >= '0' && b <= '9' || b == '-' || b == '+' || b == '.' || b == 'e' || b == 'E'
}
