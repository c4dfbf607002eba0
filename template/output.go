// Package template compiles and renders texts with `{{ path | filter }}` outputs, and trees of such texts (semantics 4).
// There is no tag, no loop and no code; everything that is made has a bound. It is pure and knows no webhook: the
// variables are given to it.
package template

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/osteele/liquid/expressions"
)

// roots are the variables of an output, each with its fields; nil where the fields are the user's own.
var roots = map[string][]string{
	"fire":     {"id", "fire_id", "run", "slot", "at", "late_by_ms"},
	"user":     nil,
	"key":      nil,
	"anchor":   {"id", "type", "time", "properties"},
	"events":   nil,
	"profile":  nil,
	"campaign": {"id", "name", "revision", "type"},
}

// Roots are the names of the variables, sorted.
func Roots() []string {
	names := make([]string, 0, len(roots))
	for name := range roots {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// output is one compiled `{{ ... }}`.
type output struct {
	text    string // as written, for errors
	filters int
	paths   [][]string // of variables, each from its root to the first computed index
	plain   []string   // the path, where there is nothing but one of plain names
	expr    expressions.Expression
}

func (o *output) compile(expr string) (err error) {
	defer recovered(&err)
	o.expr, err = expressions.Parse(expr)
	return err
}

// recovered makes an error of a panic of the expression library.
func recovered(err *error) {
	if cause := recover(); cause != nil {
		*err = fmt.Errorf("%v", cause)
	}
}

// Vars are what the outputs of one fire speak of. Most outputs are a path of plain names: they are found one by one, and
// the maps and filters of the expression library are made for other outputs only.
type Vars struct {
	All  func() map[string]any                // a value for each root; it is asked once at most
	Find func(path []string) (v any, ok bool) // the value at a path; false where All is to be asked. May be nil
}

// Scope is what the outputs of one fire speak of. It is used by one goroutine.
type Scope struct {
	vars    Vars
	filters filters
	context expressions.Context // nil: not needed so far
}

// NewScope makes a scope; at is the fire's logical time in ms and what `now` means to the filter date, zone that in
// which it writes.
func NewScope(vars Vars, at int64, zone *time.Location) *Scope {
	return &Scope{vars: vars, filters: filters{at: time.UnixMilli(at), zone: zone}}
}

// library is the scope as the expression library wants it.
func (s *Scope) library() expressions.Context {
	if s.context == nil {
		cfg := expressions.NewConfig()
		for name, f := range s.filters.all() {
			cfg.AddFilter(name, bounded(f))
		}
		s.context = expressions.NewContext(s.vars.All(), cfg)
	}
	return s.context
}

// bounded applies the cap on output after a filter.
func bounded(f filter) filter {
	return func(in any, args ...any) (any, error) {
		out, err := f(in, args...)
		if err == nil && size(out, MaxOutput) > MaxOutput {
			err = ErrTooLarge
		}
		return out, err
	}
}

func (o *output) evaluate(s *Scope) (v any, err error) {
	if o.plain != nil && s.vars.Find != nil {
		if v, ok := s.vars.Find(o.plain); ok {
			return v, nil
		}
	}
	defer func() {
		recovered(&err)
		if err != nil {
			v, err = nil, fmt.Errorf("{{ %s }}: %w", o.text, plain(err))
		}
	}()
	v, err = o.expr.Evaluate(s.library())
	if i, ok := v.(int); ok { // a literal, or the size of something
		v = integer(int64(i))
	}
	return v, err
}

// plain unwraps what the library puts around the error of a filter.
func plain(err error) error {
	var of expressions.FilterError
	if errors.As(err, &of) {
		return fmt.Errorf("%s: %w", of.FilterName, of.Err)
	}
	return errors.New(strings.SplitN(err.Error(), "\n", 2)[0])
}
