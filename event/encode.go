package event

// AppendJSON appends v as JSON to dst, without space and with as few escapes as can be; a missing value is null. Numbers
// stay as written, the names of an object in their order, of equal names all.
func (v Value) AppendJSON(dst []byte) []byte {
	switch kind := v.Kind(); {
	case kind == Missing:
		return append(dst, "null"...)
	case kind == String:
		return AppendString(dst, v.text())
	case kind < List || !v.d.verbal:
		return append(dst, v.text()...)
	case kind == List:
		return v.appendList(dst)
	default:
		return v.appendObject(dst)
	}
}

func (v Value) appendList(dst []byte) []byte {
	dst = append(dst, '[')
	first := true
	for element := range v.Elements() {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = element.AppendJSON(dst)
	}
	return append(dst, ']')
}

func (v Value) appendObject(dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	v.Each(func(name []byte, member Value) {
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(AppendString(dst, name), ':')
		dst = member.AppendJSON(dst)
	})
	return append(dst, '}')
}

// AppendString appends text, which is UTF-8, to dst as a JSON string.
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
