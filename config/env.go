package config

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Variables that begin with envPrefix are ours, and unknown ones an error.
const (
	envPrefix = "VIGIL_"
	envConfig = "VIGIL_CONFIG" // path of the file, where no flag says it
	envFile   = "_FILE"        // ends the name of a variable that names a file with the value
	envTLS    = "KAFKA_TLS_ENABLED"
)

// free are the beginnings of names that no key takes: secrets for env:NAME in endpoints files, the demo, the tests.
var free = []string{"VIGIL_SECRET", "VIGIL_DEMO_", "VIGIL_REQUIRE_KAFKA", "VIGIL_SEEDS", "VIGIL_DUMP"}

// aliases are variables that many programs share, and the key that each sets (libraries 13).
var aliases = map[string]string{
	"KAFKA_BROKERS":        "kafka.brokers",
	"KAFKA_SASL_MECHANISM": propertiesPath + ".sasl.mechanism",
	"KAFKA_SASL_USERNAME":  propertiesPath + ".sasl.username",
	"KAFKA_SASL_PASSWORD":  propertiesPath + ".sasl.password",
}

// kubernetes matches the variables that Kubernetes makes for a Service named vigil or vigil-something.
var kubernetes = regexp.MustCompile(`^VIGIL(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=|^VIGIL(_[A-Z0-9_]+)?_PORT=(tcp|udp|sctp)://`)

func splitEnv(env []string) map[string]string {
	set := map[string]string{}
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok {
			set[name] = value
		}
	}
	return set
}

// variables takes what the environment says: the aliases first, then VIGIL_*, that of a whole map before its members.
func (l *loader) variables() {
	l.named(aliases)
	known := map[string]string{}
	for _, k := range l.keys {
		known[k.variable()] = k.path
	}
	for _, name := range propertyNames() {
		known[variable(propertiesPath+"."+name)] = propertiesPath + "." + name
	}
	l.named(known)
	for _, ref := range append(l.Sink.DefaultSecrets, l.Sink.ProxyAuth) {
		if name, ok := strings.CutPrefix(ref, "env:"); ok {
			l.used[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		twin := strings.TrimSuffix(name, envFile)
		if !strings.HasPrefix(name, envPrefix) || known[name] != "" || known[twin] != "" || l.foreign(name) {
			continue
		}
		l.failf("%s: unknown variable%s", name, didYouMean(name, slices.Sorted(maps.Keys(known))))
	}
}

// named takes the variables of a table from name to key, each from its own value or from the file of its twin.
func (l *loader) named(known map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(known)) {
		text, set := l.env[name]
		file, twin := l.env[name+envFile]
		set = set && (text != "" || strings.HasPrefix(name, envPrefix)) // an empty alias says nothing
		switch {
		case set && twin:
			l.failf("%s: %s is set too; only one of them may be", name+envFile, name)
		case set:
			l.assign(known[name], text, name)
		case twin:
			l.variableFile(known[name], name+envFile, file)
		}
	}
}

func (l *loader) variableFile(path, name, file string) {
	text, err := readFile(file)
	if err != nil {
		l.failf("%s: %w", name, err)
		return
	}
	l.assign(path, strings.TrimSpace(string(text)), name)
}

// foreign tells whether a variable with our prefix is none of our settings.
func (l *loader) foreign(name string) bool {
	for _, prefix := range free {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return name == envConfig || l.used[name] || kubernetes.MatchString(name+"="+l.env[name])
}

// encryption takes KAFKA_TLS_ENABLED, where no variable of ours and no flag states the protocol: whether there is a
// login too is known only when all else is.
func (l *loader) encryption() {
	text, set := l.env[envTLS]
	const path = propertiesPath + ".security.protocol"
	if !set || text == "" || rank(l.Origins[path]) > rank(envTLS) {
		return
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		l.failf("%s: must be true or false, got %q", envTLS, text)
		return
	}
	protocol := "PLAINTEXT"
	if on {
		protocol = "SSL"
	}
	if l.Kafka.Properties["sasl.mechanism"] != "" {
		protocol = "SASL_" + protocol
	}
	l.assign(path, protocol, envTLS)
}
