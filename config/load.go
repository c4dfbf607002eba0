package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"vigil/source"
)

// Loaded is a configuration and where each of its values came from.
type Loaded struct {
	Config
	// Origins holds, by key ("processor.workers", "kafka.properties.sasl.mechanism"), where the value came from:
	// "default", "vigil.yaml:7:3", "VIGIL_PROCESSOR_WORKERS", "-X processor.workers" or "the host name".
	Origins map[string]string
}

// defaultFile is read where it is and no other is named.
const defaultFile = "vigil.yaml"

// Load puts together what a file, the environment (as of os.Environ) and flags (key to value, as -X takes them) say
// over the defaults: flag > variable > file > default (interface 2). The empty path is $VIGIL_CONFIG, else vigil.yaml
// where there is one; a file that is named and missing is an error. Load is strict: the error joins every mistake,
// each with its place, those of Validate among them. With an error nothing is loaded.
func Load(path string, env []string, flags map[string]string) (Loaded, error) {
	l := loader{Loaded: Loaded{Config: Default(), Origins: map[string]string{}}, env: splitEnv(env), used: map[string]bool{}}
	l.keys = keys(&l.Config)
	for _, k := range l.keys {
		l.Origins[k.path] = byDefault
	}
	l.read(path)
	l.variables()
	l.flags(flags)
	l.encryption()
	l.moveProperties()
	if l.Instance == "" {
		l.Instance, l.Origins["instance"] = hostName(), "the host name"
	}
	l.validate()
	if err := errors.Join(l.errs...); err != nil {
		return Loaded{}, err
	}
	return l.Loaded, nil
}

// hostName is the default of instance, without what a member id may not hold.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || name == "" {
		return "vigil"
	}
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(nameLetters, r) {
			return r
		}
		return '-'
	}, name)
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

// flags takes what -X said. A name that is no key of the file may be one of the Kafka properties.
func (l *loader) flags(flags map[string]string) {
	for _, path := range slices.Sorted(maps.Keys(flags)) {
		l.assign(path, flags[path], flagPrefix+path)
	}
}

// assign takes one value as text.
func (l *loader) assign(path, text, origin string) {
	if name, ok := strings.CutPrefix(path, propertiesPath+"."); ok {
		l.property(name, text, origin)
		return
	}
	k, ok := l.find(path)
	switch {
	case !ok && knownProperty(path):
		l.property(path, text, origin)
	case !ok && retired[path] != "":
		l.failf("%s: %s", origin, retired[path])
	case !ok:
		l.failf("%s: unknown key%s", origin, didYouMean(path, append(paths(l.keys), propertyNames()...)))
	case path == propertiesPath:
		l.assignProperties(text, origin)
	default:
		if err := k.setText(text); err != nil {
			l.failf("%s: %s: %w", origin, path, err)
			return
		}
		l.Origins[path] = origin
	}
}

// Origins are of these forms; rank orders them.
const (
	byDefault   = "default"
	flagPrefix  = "-X "
	aliasPrefix = "KAFKA_"
)

// rank tells how far an origin goes before others: flag > variable > alias of a variable > file > default.
func rank(origin string) int {
	switch {
	case origin == "" || origin == byDefault:
		return 0
	case strings.HasPrefix(origin, flagPrefix):
		return 4
	case strings.HasPrefix(origin, envPrefix):
		return 3
	case strings.HasPrefix(origin, aliasPrefix):
		return 2
	default:
		return 1
	}
}

// didYouMean ends a message with the nearest name; empty where none is near. A key that stands in the wrong section
// is near: only its last part counts then.
func didYouMean(name string, names []string) string {
	near := source.Nearest(name, names)
	last := func(path string) string { return path[strings.LastIndex(path, ".")+1:] }
	for _, n := range names {
		if near == "" && last(n) == last(name) {
			near = n
		}
	}
	if near == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %s?", near)
}

const maxFileBytes = 1 << 20 // of any file read here

// readFile reads a file that is not too large; /dev/zero has no end.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err == nil && len(content) > maxFileBytes {
		return nil, fmt.Errorf("%s is larger than 1 MiB", path)
	}
	return content, err
}
