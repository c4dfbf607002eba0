package config

import (
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
)

// Variables that begin with this are ours, and unknown ones an error.
const (
	envPrefix = "VIGIL_"
	envConfig = "VIGIL_CONFIG" // path of the file, where no flag says it
	envSecret = "VIGIL_SECRET" // names that begin so are free, for env:NAME in endpoints files
	envTests  = "VIGIL_REQUIRE_KAFKA"
	envFile   = "_FILE"
)

// serviceLink matches the variables that Kubernetes makes for a Service named vigil or vigil-something.
var serviceLink = regexp.MustCompile(`^VIGIL(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

func splitEnv(env []string) map[string]string {
	set := map[string]string{}
	for _, entry := range env {
		if name, value, ok := strings.Cut(entry, "="); ok {
			set[name] = value
		}
	}
	return set
}

// use notes that a variable is asked for by name, and thus known.
func (l *loader) use(name string) {
	if l.used == nil {
		l.used = map[string]bool{}
	}
	l.used[name] = true
}

// variables takes what the environment says: the aliases first, then VIGIL_*.
func (l *loader) variables() {
	l.aliases()
	known := map[string]string{} // variable to key
	for _, k := range l.keys {
		known[k.variable()] = k.path
	}
	for _, ref := range l.Sink.DefaultSecrets {
		if name, ok := strings.CutPrefix(ref, "env:"); ok {
			l.use(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(l.env)) {
		if !strings.HasPrefix(name, envPrefix) || l.foreign(name) {
			continue
		}
		if path, ok := known[name]; ok {
			l.assign(path, l.env[name], name)
			continue
		}
		path, ok := known[strings.TrimSuffix(name, envFile)]
		if !ok || !strings.HasSuffix(name, envFile) {
			names := slices.Sorted(maps.Keys(known))
			l.failf("%s: unknown variable%s", name, didYouMean(name, names))
			continue
		}
		l.variableFile(path, name)
	}
}

// foreign tells whether a variable with our prefix is none of our settings.
func (l *loader) foreign(name string) bool {
	return name == envConfig || name == envTests || strings.HasPrefix(name, envSecret) || l.used[name] || serviceLink.MatchString(name)
}

// variableFile takes a value from the file that VIGIL_..._FILE names.
func (l *loader) variableFile(path, name string) {
	if _, both := l.env[strings.TrimSuffix(name, envFile)]; both {
		l.failf("%s: %s is set too; only one of them may be", name, strings.TrimSuffix(name, envFile))
		return
	}
	text, err := os.ReadFile(l.env[name])
	if err != nil {
		l.failf("%s: %w", name, err)
		return
	}
	l.assign(path, strings.TrimSpace(string(text)), name)
}

// aliases takes the variables that many programs share.
func (l *loader) aliases() {
	if v := l.env["KAFKA_BROKERS"]; v != "" {
		l.assign("kafka.brokers", v, "KAFKA_BROKERS")
	}
	for name, property := range map[string]string{
		"KAFKA_SASL_MECHANISM": "sasl.mechanism", "KAFKA_SASL_USERNAME": "sasl.username", "KAFKA_SASL_PASSWORD": "sasl.password",
	} {
		if v := l.env[name]; v != "" {
			l.property(property, v, name)
		}
	}
	tls := strings.EqualFold(l.env["KAFKA_TLS_ENABLED"], "true") || l.env["KAFKA_TLS_ENABLED"] == "1"
	sasl := l.env["KAFKA_SASL_MECHANISM"] != ""
	switch {
	case tls && sasl:
		l.property("security.protocol", "SASL_SSL", "KAFKA_TLS_ENABLED")
	case tls:
		l.property("security.protocol", "SSL", "KAFKA_TLS_ENABLED")
	case sasl:
		l.property("security.protocol", "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM")
	}
}
