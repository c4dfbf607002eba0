package template

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"vigil/source"
)

// Limits of templates.
const (
	maxSource       = 64 << 10 // bytes of text with outputs in one tree
	maxPlaceholders = 100      // outputs in one tree
	maxFilters      = 8        // filters in one output
)

// scanner reads one output, from behind its `{{` to behind its `}}`. It lets nothing pass but a path or a literal and
// filters with arguments, so that the expression library never sees a range, a comparison or a tag.
type scanner struct {
	src  string // what is left
	expr strings.Builder
	out  *output
}

// scan reads an output; the returned text is what follows it.
func scan(src string) (out *output, rest string, err error) {
	s := &scanner{src: src, out: &output{}}
	if err := s.chain(); err != nil {
		return nil, "", err
	}
	s.out.text = strings.TrimSpace(src[:len(src)-len(s.src)-2])
	if paths := s.out.paths; len(paths) == 1 && strings.Join(paths[0], ".") == s.expr.String() {
		s.out.plain = paths[0]
	}
	return s.out, s.src, s.out.compile(s.expr.String())
}

func (s *scanner) chain() error {
	if err := s.primary(); err != nil {
		return err
	}
	for s.accept("|") {
		if err := s.filter(); err != nil {
			return err
		}
	}
	if s.accept("}}") {
		return nil
	}
	if s.src == "" {
		return fmt.Errorf("an output is not closed by }}")
	}
	return fmt.Errorf("only a path and filters are read in an output, not %q", s.next())
}

// accept takes a mark if it is next.
func (s *scanner) accept(mark string) bool {
	s.src = strings.TrimLeft(s.src, " \t\r\n")
	if !strings.HasPrefix(s.src, mark) {
		return false
	}
	s.src = s.src[len(mark):]
	return true
}

// next is a little of what is left, for errors.
func (s *scanner) next() string {
	word, _, _ := strings.Cut(s.src, " ")
	return word[:min(len(word), 20)]
}

func (s *scanner) filter() error {
	s.accept("")
	name := s.name()
	known, ok := arities[name]
	if !ok {
		return unknown("filter", name, filterNames())
	}
	if s.out.filters++; s.out.filters > maxFilters {
		return fmt.Errorf("an output has at most %d filters", maxFilters)
	}
	s.expr.WriteString(" | " + name)
	given := 0
	if s.accept(":") {
		s.expr.WriteString(": ")
		for more := true; more; more = s.accept(",") {
			if given++; given > 1 {
				s.expr.WriteString(", ")
			}
			if err := s.primary(); err != nil {
				return err
			}
		}
	}
	if given < known.least || given > known.most {
		return fmt.Errorf("filter %s takes %s, got %d", name, known, given)
	}
	return nil
}

// primary reads a literal or a path.
func (s *scanner) primary() error {
	s.accept("")
	switch c, _ := utf8.DecodeRuneInString(s.src); {
	case s.src == "":
		return fmt.Errorf("an output is not closed by }}")
	case c == '"' || c == '\'':
		return s.quoted()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == '_' || unicode.IsLetter(c):
		return s.path()
	default:
		return fmt.Errorf("a path such as anchor.properties.total is wanted, not %q", s.next())
	}
}

func (s *scanner) quoted() error {
	quote := s.src[0]
	for i := 1; i < len(s.src); i++ {
		if quote == '"' && s.src[i] == '\\' {
			i++
			continue
		}
		if s.src[i] == quote {
			s.expr.WriteString(s.src[:i+1])
			s.src = s.src[i+1:]
			return nil
		}
	}
	return fmt.Errorf("a quote is not closed")
}

func (s *scanner) number() error {
	end := 1
	for end < len(s.src) && (s.src[end] >= '0' && s.src[end] <= '9' || s.src[end] == '.' && !strings.HasPrefix(s.src[end:], "..")) {
		end++
	}
	text := s.src[:end]
	if end > 18 || !isDecimal(text) {
		return fmt.Errorf("%q is no number that can be written here", text)
	}
	s.expr.WriteString(text)
	s.src = s.src[end:]
	if strings.HasPrefix(s.src, "..") {
		return fmt.Errorf("ranges are not read")
	}
	return nil
}

// isDecimal tells whether text is digits with at most one point inside.
func isDecimal(text string) bool {
	whole, fraction, point := strings.Cut(strings.TrimPrefix(text, "-"), ".")
	return whole != "" && (!point || fraction != "") && !strings.Contains(fraction, ".")
}

// name reads letters, digits, _ and -.
func (s *scanner) name() string {
	end := strings.IndexFunc(s.src, func(c rune) bool {
		return c != '_' && c != '-' && !unicode.IsLetter(c) && !unicode.IsDigit(c)
	})
	if end < 0 {
		end = len(s.src)
	}
	name := s.src[:end]
	s.src = s.src[end:]
	return name
}

// path reads a root and the steps into it: .name or [index].
func (s *scanner) path() error {
	root := s.name()
	s.expr.WriteString(root)
	switch root {
	case "true", "false", "nil":
		return nil
	}
	fields, ok := roots[root]
	if !ok {
		return unknown("variable", root, Roots())
	}
	steps, err := s.steps(root, fields)
	s.out.paths = append(s.out.paths, append([]string{root}, steps...))
	return err
}

// steps reads what follows a root; it returns the names up to the first computed index.
func (s *scanner) steps(root string, fields []string) (names []string, err error) {
	for depth, computed := 0, false; ; depth++ {
		name := ""
		switch {
		case strings.HasPrefix(s.src, ".."):
			return names, fmt.Errorf("ranges are not read")
		case strings.HasPrefix(s.src, "."):
			name, err = s.property(root)
		case strings.HasPrefix(s.src, "["):
			name, err = s.index()
		default:
			return names, nil
		}
		if err != nil {
			return names, err
		}
		if depth == 0 && fields != nil && !slices.Contains(fields, name) {
			return names, unknown("field of "+root, name, fields)
		}
		if computed = computed || name == ""; !computed {
			names = append(names, name)
		}
	}
}

func (s *scanner) property(root string) (string, error) {
	s.src = s.src[1:]
	name := s.name()
	if c, _ := utf8.DecodeRuneInString(name); c != '_' && !unicode.IsLetter(c) {
		return "", fmt.Errorf("a name is wanted after %q\nother names are written %s[\"...\"]", root+".", root)
	}
	s.expr.WriteString("." + name)
	return name, nil
}

// index reads [index]; the name is empty where the index is no text.
func (s *scanner) index() (name string, err error) {
	s.src = s.src[1:]
	s.expr.WriteString("[")
	before := s.expr.Len()
	if err := s.primary(); err != nil {
		return "", err
	}
	if literal := s.expr.String()[before:]; literal[0] == '"' || literal[0] == '\'' {
		name = literal[1 : len(literal)-1]
	}
	if !s.accept("]") {
		return "", fmt.Errorf("a ] is missing")
	}
	s.expr.WriteString("]")
	return name, nil
}

// unknown is the error for a name that is not one of the known; the hint stands on a second line.
func unknown(what, name string, known []string) error {
	if near := source.Nearest(name, known); near != "" {
		return fmt.Errorf("unknown %s %q\ndid you mean %q?", what, name, near)
	}
	return fmt.Errorf("unknown %s %q\nknown here: %s", what, name, strings.Join(known, ", "))
}
