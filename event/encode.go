package event

import "github.com/valyala/fastjson"

// AppendJSON appends v as JSON to dst; a missing value is null. Numbers stay as written, the names of an object in
// their order, of equal names all.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.Kind() {
	case String:
		return AppendString(dst, v.j.GetStringBytes())
	case List:
		return v.appendList(dst)
	case Object:
		return v.appendObject(dst)
	case Missing:
		return append(dst, "null"...)
	default:
		return v.j.MarshalTo(dst)
	}
}

func (v Value) appendList(dst []byte) []byte {
	dst = append(dst, '[')
	for i, j := range v.j.GetArray() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = Value{j}.AppendJSON(dst)
	}
	return append(dst, ']')
}

func (v Value) appendObject(dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	v.j.GetObject().Visit(func(name []byte, j *fastjson.Value) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(AppendString(dst, name), ':')
		dst = Value{j}.AppendJSON(dst)
	})
	return append(dst, '}')
}

// AppendString appends text, which is UTF-8, to dst as a JSON string. fastjson itself would quote as Go does, which is
// not always JSON.
func AppendString[T string | []byte](dst []byte, text T) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := range len(text) {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, text[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, text[from:]...), '"')
}
