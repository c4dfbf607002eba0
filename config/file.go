package config

import (
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"regexp"
	"strings"
	"time"

	"vigil/source"
)

// read takes what the file says.
func (l *loader) read(path string) {
	named := path != ""
	if !named {
		path, named = l.env[envConfig], l.env[envConfig] != ""
	}
	if !named {
		path = defaultFile
	}
	l.file = path
	src, err := readFile(path)
	if !named && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil {
		l.failf("read the configuration: %w", err)
		return
	}
	root, r := source.Parse(path, src)
	if root != nil && root.Kind != source.Null {
		l.section(r, root, "", reflect.TypeFor[Config]())
	}
	for _, p := range r.Problems() {
		if p.Code != "empty" { // a file of comments only says nothing
			l.errs = append(l.errs, problemError(p))
		}
	}
}

// problemError is a problem with its hint on the same line.
func problemError(p source.Problem) error {
	text := fmt.Sprintf("%s:%d:%d: %s", p.File, p.Line, p.Col, p.Message)
	if p.Hint != "" {
		text += " (" + p.Hint + ")"
	}
	return errors.New(text)
}

// section reads the members of one object of the file.
func (l *loader) section(r *source.Reader, n *source.Node, prefix string, section reflect.Type) {
	if !is(r, n, source.Object, strings.TrimSuffix(prefix, ".")) {
		return
	}
	members := map[string]reflect.Type{}
	for i := range section.NumField() {
		members[section.Field(i).Tag.Get("yaml")] = section.Field(i).Type
	}
	for _, f := range n.Fields {
		path, member := prefix+f.Name, members[f.Name]
		switch {
		case member == nil:
			l.unknown(r, f, path, members)
		case f.Value.Kind == source.Null: // a name with nothing after it says nothing
		case member.Kind() == reflect.Struct:
			l.section(r, f.Value, path+".", member)
		default:
			l.member(r, f.Value, path)
		}
	}
}

// unknown records a name that is no key: the nearest one of its section or of all.
func (l *loader) unknown(r *source.Reader, f source.Field, path string, members map[string]reflect.Type) {
	names := paths(l.keys)
	for name := range members {
		if prefix := strings.TrimSuffix(path, f.Name); members[name].Kind() == reflect.Struct {
			names = append(names, prefix+name)
		}
	}
	r.Fail(&source.Node{Line: f.Line, Col: f.Col}, "unknown_field", "%s: unknown key%s", path, didYouMean(path, names))
}

// member reads one value. What cannot be read leaves the default and a problem.
func (l *loader) member(r *source.Reader, n *source.Node, path string) {
	k, _ := l.find(path)
	l.Origins[path] = l.place(n)
	switch k.value.Interface().(type) {
	case Properties:
		l.fileProperties(r, n)
	case []string:
		if n.Kind != source.List {
			l.scalar(r, n, k, source.String)
			return
		}
		list := make([]string, 0, len(n.Items))
		for _, entry := range n.Items {
			if entry = rejoin(entry); k.numbers && entry.Kind == source.Number || is(r, entry, source.String, path) {
				list = append(list, l.expand(r, entry))
			}
		}
		k.value.Set(reflect.ValueOf(list))
	case int:
		l.scalar(r, n, k, source.Number)
	case time.Duration:
		if n.Kind == source.Number && n.Text != "0" {
			r.Fail(n, "invalid_value", "%s: must be a duration such as %sms or %ss, not a number", path, n.Text, n.Text)
			return
		}
		if n.Kind == source.Number {
			n = &source.Node{Kind: source.String, Text: "0", Line: n.Line, Col: n.Col}
		}
		l.scalar(r, n, k, source.String)
	default:
		l.scalar(r, n, k, source.String)
	}
}

// is tells whether n is of the kind; another kind is a problem that does not repeat the value, which may be a secret.
func is(r *source.Reader, n *source.Node, kind source.Kind, path string) bool {
	if kind == source.String && (n.Kind == source.Number || n.Kind == source.Bool) {
		r.Fail(n, "wrong_type", "%s: must be a text, not %s\nput it in quotes", path, n.Kind)
		return false
	}
	what := path + ":"
	if path == "" {
		what = "the configuration"
	}
	return r.Is(n, kind, what)
}

// scalar reads one value; a text with a reference may stand for any kind.
func (l *loader) scalar(r *source.Reader, n *source.Node, k key, kind source.Kind) {
	reference := n.Kind == source.String && strings.Contains(n.Text, "${")
	if !reference && !is(r, n, kind, k.path) {
		return
	}
	before := r.Errors()
	text := l.expand(r, n)
	if r.Errors() > before { // a reference leads nowhere: the default stands in
		return
	}
	if err := k.setText(text); err != nil {
		r.Fail(n, "invalid_value", "%s: %v", k.path, err)
	}
}

// rejoin undoes what the YAML parser makes of HOST:PORT inside a flow mapping: {HOST: PORT}.
func rejoin(n *source.Node) *source.Node {
	if n.Kind != source.Object || len(n.Fields) != 1 {
		return n
	}
	f := n.Fields[0]
	if f.Value.Kind != source.Number || f.Value.Line != f.Line || f.Value.Col != f.Col+len(f.Name)+1 {
		return n
	}
	return &source.Node{Kind: source.String, Text: f.Name + ":" + f.Value.Text, Line: n.Line, Col: n.Col}
}

func (l *loader) place(n *source.Node) string { return fmt.Sprintf("%s:%d:%d", l.file, n.Line, n.Col) }

var referenceForm = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

// expand is the text of n with ${env:NAME} and ${file:PATH} replaced; $${ stands for ${.
func (l *loader) expand(r *source.Reader, n *source.Node) string {
	return referenceForm.ReplaceAllStringFunc(n.Text, func(form string) string {
		if strings.HasPrefix(form, "$$") {
			return form[1:]
		}
		ref, closed := strings.CutSuffix(form[2:], "}")
		if !closed {
			r.Fail(n, "reference", "a reference has no end: ${env:NAME}, ${file:PATH}; $${ stands for the characters themselves")
			return ""
		}
		value, err := l.reference(ref)
		if err != nil {
			r.Fail(n, "reference", "%v", err)
		}
		return value
	})
}

// reference is the value of env:NAME or file:PATH. Errors name the reference, never the value.
func (l *loader) reference(ref string) (string, error) {
	kind, name, _ := strings.Cut(ref, ":")
	switch kind {
	case "env":
		l.used[name] = true
		if v, ok := l.env[name]; ok {
			return v, nil
		}
		return "", fmt.Errorf("${%s}: the variable is not set", ref)
	case "file":
		v, err := readFile(name)
		if err != nil {
			return "", fmt.Errorf("${%s}: %w", ref, err)
		}
		return strings.TrimSpace(string(v)), nil
	}
	return "", fmt.Errorf("${%s}: only ${env:NAME} and ${file:PATH} are known", ref)
}
