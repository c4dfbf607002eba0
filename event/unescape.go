package event

import (
	"bytes"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// simpleEscapes are what a character behind a backslash stands for.
var simpleEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// appendUnescaped appends the content of a string whose escapes are valid. One half of a surrogate pair, which is no
// character, stays as it is written.
func appendUnescaped(dst, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '\\')
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(dst, text[:i]...)
		if c := simpleEscapes[text[i+1]]; c != 0 {
			dst, text = append(dst, c), text[i+2:]
			continue
		}
		r, n := rune(unit(text[i:])), 6
		if utf16.IsSurrogate(r) {
			if len(text) < i+12 || text[i+6] != '\\' || text[i+7] != 'u' {
				dst, text = append(dst, text[i:i+6]...), text[i+6:]
				continue
			}
			r, n = utf16.DecodeRune(r, rune(unit(text[i+6:]))), 12
		}
		dst, text = utf8.AppendRune(dst, r), text[i+n:]
	}
}

// unit is the number of an escape such as \u00e9.
func unit(escape []byte) uint64 {
	u, _ := strconv.ParseUint(string(escape[2:6]), 16, 16) // four hexadecimal digits
	return u
}
