// Package endpoints reads the endpoints files of the sink (semantics 4): where webhooks go by name, how they are signed,
// how hard to try. It never sends, and it reads a secret only when asked for that one.
package endpoints

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"vigil/source"
)

// Endpoint is one named receiver of an endpoints file (semantics 4): where to send, how to sign, how hard to try.
type Endpoint struct {
	Name         string
	URL          string            // absolute; a campaign's path is added to it
	Secrets      []string          // env:NAME or file:PATH, see Secret; several while one is being replaced
	Auth         Auth              // who asks
	TLS          TLS               // own certificate and authority
	Headers      map[string]string // sent with every request
	Timeout      time.Duration     // of one whole attempt, 1 s to 30 s
	Retries      int               // after the first attempt, 0 to 2
	RetryDelays  []time.Duration   // before the second and the third attempt, 1 s to 24 h
	RetryOn      RetryOn           // which answers are tried again
	Rate         float64           // attempts per second; 0: no limit
	MaxInFlight  int               // attempts at a time, 1 to 1,024; 0: the sink's default
	AllowHTTP    bool              // http:// is fine
	AllowPrivate bool              // loopback and private ranges are fine
	HTTP2        bool              // HTTP/2 where the receiver speaks it
}

// Bounds and defaults of an endpoint.
const (
	DefaultTimeout = 5 * time.Second
	DefaultRetries = 2
	minTimeout     = time.Second
	maxTimeout     = 30 * time.Second
	minRetryDelay  = time.Second
	maxRetryDelay  = 24 * time.Hour
	maxInFlight    = 1024
)

// DefaultRetryDelays are 10 s and 90 s: together they always leave the minute of the first attempt.
func DefaultRetryDelays() []time.Duration { return []time.Duration{10 * time.Second, 90 * time.Second} }

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema of an endpoints file.
func Schema() []byte { return slices.Clone(schema) }

// Load reads every .yaml, .yml and .json file directly in dir, in the order of their names. Each holds one
// endpoint or a list of them. Problems are all mistakes of all files; the error is one of reading. A folder that does
// not exist holds no endpoints.
func Load(dir string) ([]Endpoint, []source.Problem, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read endpoints: %w", err)
	}
	r := fileReader{seen: map[string]string{}}
	for _, entry := range entries {
		file := filepath.Join(dir, entry.Name())
		if entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(file)) {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, nil, fmt.Errorf("read endpoints: %w", err)
		}
		r.file(file, src)
	}
	return r.found, r.problems, nil
}

// Parse reads one endpoints file: one endpoint or a list of them. File is only the name for problems.
func Parse(file string, src []byte) ([]Endpoint, []source.Problem) {
	r := fileReader{seen: map[string]string{}}
	r.file(file, src)
	return r.found, r.problems
}

// fileReader collects the endpoints of several files.
type fileReader struct {
	*source.Reader
	found    []Endpoint
	problems []source.Problem
	seen     map[string]string // name to the place that has it
}

func (r *fileReader) file(file string, src []byte) {
	root, reader := source.Parse(file, src)
	r.Reader = reader
	nodes := []*source.Node{root}
	if root != nil && root.Kind == source.List {
		nodes = root.Items
	}
	for _, n := range nodes {
		if n == nil { // the file cannot be read at all
			continue
		}
		e := r.endpoint(n)
		if place, twice := r.seen[e.Name]; twice && e.Name != "" {
			r.Fail(n.Field("name"), "duplicate_name", "endpoint %q is already in %s", e.Name, place)
		}
		r.seen[e.Name] = fmt.Sprintf("%s:%d", file, n.Line)
		r.found = append(r.found, e)
	}
	r.problems = append(r.problems, reader.Problems()...)
}

func (r *fileReader) endpoint(n *source.Node) Endpoint {
	e := Endpoint{Timeout: DefaultTimeout, Retries: DefaultRetries, RetryDelays: DefaultRetryDelays()}
	if !r.Object(n, "an endpoint", "name", "url", "secrets", "auth", "tls", "headers", "timeout", "retries", "retry_delays",
		"retry_on", "rate", "max_in_flight", "allow_http", "allow_private", "http2") {
		return e
	}
	e.Name = r.endpointName(r.Require(n, "an endpoint", "name"))
	e.AllowHTTP = r.Bool(n.Field("allow_http"), "allow_http")
	e.AllowPrivate = r.Bool(n.Field("allow_private"), "allow_private")
	e.URL = r.endpointURL(r.Require(n, "an endpoint", "url"), e.AllowHTTP)
	e.Secrets = r.secrets(n.Field("secrets"))
	e.Headers = r.headers(n.Field("headers"))
	r.security(&e, n)
	if f := n.Field("timeout"); f != nil {
		e.Timeout = r.duration(f, "timeout", minTimeout, maxTimeout)
	}
	if f := n.Field("retries"); f != nil {
		e.Retries = r.Int(f, "retries", 0, DefaultRetries)
	}
	if f := n.Field("retry_delays"); f != nil {
		e.RetryDelays = r.retryDelays(f, e.RetryDelays)
	}
	if f := n.Field("retry_on"); f != nil {
		e.RetryOn = r.retryOn(f)
	}
	if f := n.Field("rate"); f != nil {
		e.Rate = r.rate(f)
	}
	if f := n.Field("max_in_flight"); f != nil {
		e.MaxInFlight = r.Int(f, "max_in_flight", 1, maxInFlight)
	}
	return e
}

func (r *fileReader) endpointName(n *source.Node) string {
	name := r.Text(n, "name")
	if len(name) > 64 || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		r.Fail(n, "invalid_name", "name must be 1 to 64 of a-z 0-9 - _ ., got %q", name)
		return ""
	}
	return name
}

func (r *fileReader) endpointURL(n *source.Node, allowHTTP bool) string {
	text := r.Text(n, "url")
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		r.Fail(n, "invalid_url", "url cannot be read: %v", errors.Unwrap(err))
	case u.Scheme != "https" && u.Scheme != "http":
		r.Fail(n, "invalid_url", "url must begin with https://")
	case u.Scheme == "http" && !allowHTTP:
		r.Fail(n, "plain_http", "url is not encrypted\nuse https://, or say allow_http: true")
	case u.Hostname() == "" || u.Opaque != "":
		r.Fail(n, "invalid_url", "url has no host")
	case u.User != nil:
		r.Fail(n, "invalid_url", "url must not hold a user name or a password\nsay it in auth: {basic: {user: NAME, password: env:NAME}}")
	case u.Fragment != "":
		r.Fail(n, "invalid_url", "url must not have a fragment")
	}
	return text
}

func (r *fileReader) secrets(n *source.Node) []string {
	if n == nil || !r.Is(n, source.List, "secrets") {
		return nil
	}
	var refs []string
	for _, s := range n.Items {
		if ref := r.secret(s); ref != "" {
			refs = append(refs, ref)
		}
	}
	return refs
}

func (r *fileReader) headers(n *source.Node) map[string]string {
	if n == nil || !r.Is(n, source.Object, "headers") {
		return nil
	}
	headers := make(map[string]string, len(n.Fields))
	for _, f := range n.Fields {
		place := &source.Node{Line: f.Line, Col: f.Col}
		if why := HeaderProblem(f.Name, ""); why != "" {
			r.Fail(place, "invalid_header", "header %q %s", f.Name, why)
		}
		if !r.Is(f.Value, source.String, "a header") {
			continue
		}
		if why := HeaderProblem("x", f.Value.Text); why != "" {
			r.Fail(f.Value, "invalid_header", "header %q %s", f.Name, why)
		}
		headers[f.Name] = f.Value.Text
	}
	return headers
}

func (r *fileReader) retryDelays(n *source.Node, otherwise []time.Duration) []time.Duration {
	if !r.Is(n, source.List, "retry_delays") {
		return otherwise
	}
	if len(n.Items) < 1 || len(n.Items) > 2 {
		r.Fail(n, "out_of_range", "retry_delays must hold one or two durations, got %d", len(n.Items))
		return otherwise
	}
	delays := slices.Clone(otherwise)
	for i, d := range n.Items {
		delays[i] = r.duration(d, "a retry delay", minRetryDelay, maxRetryDelay)
	}
	return delays
}

func (r *fileReader) duration(n *source.Node, what string, least, most time.Duration) time.Duration {
	if !r.Is(n, source.String, what) {
		return least
	}
	d, err := time.ParseDuration(n.Text)
	if err != nil {
		r.Fail(n, "invalid_duration", "%s must be a duration such as 5s or 1m30s, got %q", what, n.Text)
		return least
	}
	if d < least || d > most {
		r.Fail(n, "out_of_range", "%s must be %v to %v, got %v", what, least, most, d)
		return least
	}
	return d
}

// rate reads attempts per second: a number, or a number with /s, /m or /h.
func (r *fileReader) rate(n *source.Node) float64 {
	text, unit, per := n.Text, "s", map[string]float64{"s": 1, "m": 60, "h": 3600}
	if n.Kind == source.String {
		text, unit, _ = strings.Cut(n.Text, "/")
	}
	v, err := strconv.ParseFloat(text, 64)
	if n.Kind != source.Number && n.Kind != source.String || err != nil || per[unit] == 0 {
		r.Fail(n, "invalid_rate", "rate must be attempts per second as a number, or such as 100/s, 600/m, 1000/h")
		return 0
	}
	v /= per[unit]
	if !(v >= 1.0/3600 && v <= 100_000) {
		r.Fail(n, "out_of_range", "rate must be 1/h to 100000/s")
		return 0
	}
	return v
}

// HeaderProblem tells why a custom header cannot be sent; empty where it can. Refused are the names that the client
// or the signature owns (delivery 6), and bytes that HTTP does not allow.
func HeaderProblem(name, value string) string {
	lower := strings.ToLower(name)
	if name == "" || len(name) > 128 {
		return "must have a name of 1 to 128 bytes"
	}
	for _, c := range []byte(lower) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return "has a character in its name that HTTP does not allow"
		}
	}
	switch lower {
	case "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect":
		return "belongs to the connection and cannot be set"
	}
	for _, prefix := range []string{"proxy-", "webhook-", "vigil-"} {
		if strings.HasPrefix(lower, prefix) {
			return "cannot be set: names with " + prefix + " are taken"
		}
	}
	for _, c := range []byte(value) {
		if c < 0x20 && c != '\t' || c == 0x7f {
			return "has a control character in its value"
		}
	}
	return ""
}

// Secret resolves env:NAME or file:PATH; lookup reads the environment. White space around the secret is cut. Errors
// name the reference, never the secret.
func Secret(ref string, lookup func(name string) (string, bool)) (string, error) {
	kind, rest, _ := strings.Cut(ref, ":")
	switch {
	case kind == "env" && lookup != nil:
		if v, ok := lookup(rest); ok && strings.TrimSpace(v) != "" {
			return strings.TrimSpace(v), nil
		}
		return "", fmt.Errorf("secret %s: the variable is not set", ref)
	case kind == "file":
		b, err := os.ReadFile(rest)
		if err != nil {
			return "", fmt.Errorf("secret %s: %w", ref, err)
		}
		return strings.TrimSpace(string(b)), nil
	}
	return "", errors.New("a secret is env:NAME or file:PATH")
}
