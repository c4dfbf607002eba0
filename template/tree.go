package template

import (
	"fmt"
	"slices"
	"strings"

	"vigil/source"
)

// Text is a text with outputs, compiled.
type Text struct {
	Where string // the leaf, for errors
	parts []part
}

// part is a piece of text, or an output.
type part struct {
	text string
	out  *output
}

// Tree is a compiled body: a text, or an object or a list with templates in its texts. It is immutable.
type Tree struct {
	leaf    *Text
	fixed   []byte   // JSON of what holds no output
	names   []string // as JSON, with the colon
	plain   []string // beside names
	members []*Tree  // of an object, beside names, or of a list
	object  bool
	where   string
}

// Error says which leaf could not be rendered, and why.
type Error struct {
	Where string // the name given at Compile
	Err   error
}

func (e *Error) Error() string { return e.Where + ": " + e.Err.Error() }

func (e *Error) Unwrap() error { return e.Err }

// Compiler compiles the templates of one campaign against the limits of a tree, and reports what is wrong in them.
type Compiler struct {
	r       *source.Reader
	bytes   int
	outputs int
	paths   [][]string              // that outputs speak of
	leaves  map[string]*source.Node // by the name that errors give
	texts   []*Text
}

// Uses tells whether an output speaks of the root.
func (c *Compiler) Uses(root string) bool {
	return slices.ContainsFunc(c.paths, func(path []string) bool { return path[0] == root })
}

// NewCompiler makes a compiler that reports to r.
func NewCompiler(r *source.Reader) *Compiler {
	return &Compiler{r: r, leaves: map[string]*source.Node{}}
}

// Leaf is the place of a leaf, by the name that errors give; nil for none.
func (c *Compiler) Leaf(where string) *source.Node { return c.leaves[where] }

// Text compiles the text of n; nil where that fails. where names the leaf in errors.
func (c *Compiler) Text(n *source.Node, where string) *Text {
	t, rest := &Text{Where: where}, n.Text
	c.leaves[where] = n
	if strings.Contains(rest, "{%") {
		c.r.Fail(n, "bad_template", "%s: there are no tags, only {{ path | filter }}", where)
		return nil
	}
	for rest != "" {
		before, after, found := strings.Cut(rest, "{{")
		if before != "" {
			t.parts = append(t.parts, part{text: before})
		}
		if !found {
			break
		}
		out, behind, err := scan(after)
		if err != nil {
			c.r.Fail(n, "bad_template", "%s: %v", where, err)
			return nil
		}
		t.parts = append(t.parts, part{out: out})
		c.paths = append(c.paths, out.paths...)
		c.outputs++
		rest = behind
	}
	c.texts = append(c.texts, t)
	c.limit(n, where)
	return t
}

// Failures renders every text compiled so far by itself and tells what fails.
func (c *Compiler) Failures(s *Scope) []error {
	var all []error
	for _, t := range c.texts {
		if _, err := t.Render(s, nil); err != nil {
			all = append(all, err)
		}
	}
	return all
}

// limit counts the sources and outputs of all templates of the campaign and reports the one that is too much.
func (c *Compiler) limit(n *source.Node, where string) {
	if c.outputs > maxPlaceholders {
		c.r.Fail(n, "too_large", "%s: a webhook holds at most %d outputs", where, maxPlaceholders)
		c.outputs = 0
	}
	if c.bytes += len(n.Text); c.bytes > maxSource {
		c.r.Fail(n, "too_large", "%s: the templates of a webhook have at most %d KiB", where, maxSource>>10)
		c.bytes = 0
	}
}

// Tree compiles n and all below it.
func (c *Compiler) Tree(n *source.Node, where string) *Tree {
	t := &Tree{where: where}
	switch n.Kind {
	case source.String:
		t.leaf = c.Text(n, where)
		if t.leaf != nil && t.leaf.Static() {
			t.leaf, t.fixed = nil, n.AppendJSON(nil)
		}
	case source.List:
		for i, element := range n.Items {
			t.members = append(t.members, c.Tree(element, fmt.Sprintf("%s[%d]", where, i)))
		}
	case source.Object:
		t.object = true
		for _, f := range n.Fields {
			t.plain = append(t.plain, f.Name)
			t.names = append(t.names, string(source.AppendString(nil, f.Name))+":")
			t.members = append(t.members, c.Tree(f.Value, where+"."+f.Name))
		}
	default:
		c.bytes += len(n.Text)
		t.fixed = n.AppendJSON(nil)
	}
	return t
}

// Static tells whether t holds no output.
func (t *Text) Static() bool {
	return len(t.parts) == 0 || len(t.parts) == 1 && t.parts[0].out == nil
}

// AppendJSON appends the tree as JSON: a text that is one output alone keeps the value's type, a missing value is null.
// It errs where dst would grow beyond MaxOutput.
func (t *Tree) AppendJSON(dst []byte, s *Scope) ([]byte, error) {
	var err error
	switch {
	case t.fixed != nil:
		dst = append(dst, t.fixed...)
	case t.leaf != nil:
		dst, err = t.leaf.appendJSON(dst, s)
	default:
		dst, err = t.appendMembers(dst, s)
	}
	if err == nil && len(dst) > MaxOutput {
		err = &Error{t.where, ErrTooLarge}
	}
	return dst, err
}

func (t *Tree) appendMembers(dst []byte, s *Scope) (_ []byte, err error) {
	left, right := byte('['), byte(']')
	if t.object {
		left, right = '{', '}'
	}
	dst = append(dst, left)
	for i, member := range t.members {
		if i > 0 {
			dst = append(dst, ',')
		}
		if t.object {
			dst = append(dst, t.names[i]...)
		}
		if dst, err = member.AppendJSON(dst, s); err != nil {
			return dst, err
		}
	}
	return append(dst, right), nil
}

func (t *Text) appendJSON(dst []byte, s *Scope) ([]byte, error) {
	if len(t.parts) == 1 && t.parts[0].out != nil {
		v, err := t.parts[0].out.evaluate(s)
		if err != nil {
			return dst, &Error{t.Where, err}
		}
		if size(v, MaxOutput) > MaxOutput {
			return dst, &Error{t.Where, ErrTooLarge}
		}
		return appendJSON(dst, v), nil
	}
	text, err := t.Render(s, nil)
	return source.AppendString(dst, text), err
}

// Render is the text with every output in its place. Escape, where given, is applied to each output; it is told the
// text before.
func (t *Text) Render(s *Scope, escape func(before, value string) string) (string, error) {
	var b strings.Builder
	for _, p := range t.parts {
		piece := p.text
		if p.out != nil {
			v, err := p.out.evaluate(s)
			if err != nil {
				return "", &Error{t.Where, err}
			}
			piece = text(v)
			if escape != nil {
				piece = escape(b.String(), piece)
			}
		}
		if b.Len()+len(piece) > MaxOutput {
			return "", &Error{t.Where, ErrTooLarge}
		}
		b.WriteString(piece)
	}
	return b.String(), nil
}

// Fixed is the text before the first output.
func (t *Text) Fixed() string {
	if len(t.parts) == 0 || t.parts[0].out != nil {
		return ""
	}
	return t.parts[0].text
}
