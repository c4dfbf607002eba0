package template

import (
	"encoding/json"
	"net/url"
)

// AppendForm appends the members of the tree, which is an object of texts, numbers, booleans and lists of them, as
// application/x-www-form-urlencoded, in the order written. A list repeats its name, a missing value is empty, an object that an
// output gives is its JSON. It errs where dst would grow beyond MaxOutput.
func (t *Tree) AppendForm(dst []byte, s *Scope) ([]byte, error) {
	for i, member := range t.members {
		values, err := member.formValues(s)
		if err != nil {
			return dst, err
		}
		for _, v := range values {
			if len(dst) > 0 {
				dst = append(dst, '&')
			}
			dst = append(append(append(dst, url.QueryEscape(t.plain[i])...), '='), url.QueryEscape(v)...)
			if len(dst) > MaxOutput {
				return dst, &Error{member.where, ErrTooLarge}
			}
		}
	}
	return dst, nil
}

// formValues are the texts of one member.
func (t *Tree) formValues(s *Scope) ([]string, error) {
	switch {
	case t.fixed != nil:
		return []string{fixedText(t.fixed)}, nil
	case t.leaf != nil && len(t.leaf.parts) == 1 && t.leaf.parts[0].out != nil:
		v, err := t.leaf.parts[0].out.evaluate(s)
		if err != nil {
			return nil, &Error{t.leaf.Where, err}
		}
		if size(v, MaxOutput) > MaxOutput {
			return nil, &Error{t.leaf.Where, ErrTooLarge}
		}
		list, ok := v.([]any)
		if !ok {
			return []string{text(v)}, nil
		}
		values := make([]string, len(list))
		for i, element := range list {
			values[i] = text(element)
		}
		return values, nil
	case t.leaf != nil:
		rendered, err := t.leaf.Render(s, nil)
		return []string{rendered}, err
	}
	var values []string
	for _, element := range t.members {
		more, err := element.formValues(s)
		if err != nil {
			return nil, err
		}
		values = append(values, more...)
	}
	return values, nil
}

// fixedText is a JSON scalar as text: nothing for null.
func fixedText(doc []byte) string {
	var v any
	if err := json.Unmarshal(doc, &v); err != nil { // impossible: it was written here
		return ""
	}
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return string(doc)
}
