package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"vigil/source"
)

// Loaded is a configuration and where each of its values came from.
type Loaded struct {
	Config
	// Origins holds, by key ("processor.workers", "kafka.properties.sasl.mechanism"), where the value came from:
	// "default", "vigil.yaml:7:3", "VIGIL_PROCESSOR_WORKERS" or "-X processor.workers".
	Origins map[string]string
}

// Load puts together what a file, the environment (as of os.Environ) and flags (key to value) say over the defaults:
// flag > variable > file > default (interface 2). An empty path is VIGIL_CONFIG, or no file. It is strict: the error
// joins every unknown key and every value that cannot be, each with its place. Nothing is loaded where it errs.
func Load(path string, env []string, flags map[string]string) (Loaded, error) {
	l := loader{Loaded: Loaded{Config: Default(), Origins: map[string]string{}}, env: splitEnv(env)}
	l.keys = keys(&l.Config)
	for _, k := range l.keys {
		l.Origins[k.path] = "default"
	}
	if path == "" {
		path = l.env[envConfig]
	}
	if path != "" {
		l.read(path)
	}
	l.variables()
	l.flags(flags)
	l.moveProperties()
	if l.Instance == "" {
		l.Instance, l.Origins["instance"] = hostName(), "the host name"
	}
	if len(l.errs) == 0 { // of values that could not be read, no rule can be asked
		v := validation{c: &l.Config, origins: l.Origins}
		v.all()
		l.errs = v.errs
	}
	if err := errors.Join(l.errs...); err != nil {
		return Loaded{}, err
	}
	return l.Loaded, nil
}

// hostName is the default of instance.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "vigil"
	}
	return name
}

// loader is one Load.
type loader struct {
	Loaded
	file string
	keys []key
	env  map[string]string
	errs []error
	used map[string]bool // variables that ${env:NAME} or env:NAME asks for
}

func (l *loader) failf(format string, args ...any) {
	l.errs = append(l.errs, fmt.Errorf(format, args...))
}

// find is the key with a path.
func (l *loader) find(path string) (key, bool) {
	for _, k := range l.keys {
		if k.path == path {
			return k, true
		}
	}
	return key{}, false
}

func (l *loader) read(path string) {
	l.file = path
	src, err := os.ReadFile(path)
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
	what := "the configuration"
	if prefix != "" {
		what = strings.TrimSuffix(prefix, ".")
	}
	var names []string
	for i := range section.NumField() {
		names = append(names, section.Field(i).Tag.Get("yaml"))
	}
	if !r.Object(n, what, names...) {
		return
	}
	for i, name := range names {
		member := n.Field(name)
		switch {
		case member == nil || member.Kind == source.Null:
		case section.Field(i).Type.Kind() == reflect.Struct:
			l.section(r, member, prefix+name+".", section.Field(i).Type)
		default:
			k, _ := l.find(prefix + name)
			k.setNode(r, member, func(n *source.Node, text string) string { return l.expand(r, n, text) })
			l.placed(k, member)
		}
	}
}

// placed remembers where in the file a value stands; properties have a place each.
func (l *loader) placed(k key, n *source.Node) {
	place := func(line, col int) string { return fmt.Sprintf("%s:%d:%d", l.file, line, col) }
	l.Origins[k.path] = place(n.Line, n.Col)
	if _, ok := k.value.Interface().(map[string]string); ok {
		for _, f := range n.Fields {
			l.Origins[k.path+"."+f.Name] = place(f.Line, f.Col)
		}
	}
}

var referenceForm = regexp.MustCompile(`\$?\$\{[^}]*(\}|$)`)

// expand replaces ${env:NAME} and ${file:PATH} in a text of the file; $${ stands for ${.
func (l *loader) expand(r *source.Reader, n *source.Node, text string) string {
	return referenceForm.ReplaceAllStringFunc(text, func(form string) string {
		if strings.HasPrefix(form, "$$") {
			return form[1:]
		}
		value, err := l.reference(strings.TrimSuffix(form[2:], "}"))
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
		l.use(name)
		if v, ok := l.env[name]; ok {
			return v, nil
		}
		return "", fmt.Errorf("${%s}: the variable is not set", ref)
	case "file":
		v, err := os.ReadFile(name)
		if err != nil {
			return "", fmt.Errorf("${%s}: %w", ref, err)
		}
		return strings.TrimSpace(string(v)), nil
	}
	return "", fmt.Errorf("${%s}: only ${env:NAME} and ${file:PATH} are known", ref)
}

// flags takes `-X key=value`. A name that is no key of the file may be one of the Kafka properties.
func (l *loader) flags(flags map[string]string) {
	for _, path := range slices.Sorted(maps.Keys(flags)) {
		l.assign(path, flags[path], "-X "+path)
	}
}

// assign takes one value as text.
func (l *loader) assign(path, text, origin string) {
	if name, ok := strings.CutPrefix(path, propertiesPath+"."); ok {
		l.property(name, text, origin)
		return
	}
	k, ok := l.find(path)
	if !ok && slices.Contains(propertyNames(), path) {
		l.property(path, text, origin)
		return
	}
	if !ok {
		var paths []string
		for _, k := range l.keys {
			paths = append(paths, k.path)
		}
		l.failf("%s: unknown key%s", origin, didYouMean(path, paths))
		return
	}
	if err := k.setText(text); err != nil {
		l.failf("%s: %s %w", origin, path, err)
		return
	}
	l.Origins[path] = origin
	if path == propertiesPath {
		for _, member := range splitList(text) {
			name, _, _ := strings.Cut(member, "=")
			l.Origins[propertiesPath+"."+strings.TrimSpace(name)] = origin
		}
	}
}

func (l *loader) property(name, text, origin string) {
	k, _ := l.find(propertiesPath)
	k.setMember(name, text)
	l.Origins[propertiesPath+"."+name] = origin
}

func didYouMean(name string, names []string) string {
	if near := source.Nearest(name, names); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return ""
}
