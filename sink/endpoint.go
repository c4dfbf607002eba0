package sink

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vigil/config"
	"vigil/webhook"
)

// endpoint is where deliveries go: a named one, or what all inline URLs share.
type endpoint struct {
	name     string
	base     *url.URL // nil for inline URLs
	headers  http.Header
	signer   *webhook.Signer // nil: unsigned
	timeout  time.Duration
	retries  int
	delays   []time.Duration
	rate     float64
	inFlight int // 0: the default
	http     bool
	private  bool
	ports    []uint16 // allowed in an inline URL; nil: any that is not refused
}

// endpoints is one immutable version of all endpoints.
type endpoints struct {
	named  map[string]*endpoint
	inline *endpoint
}

// buildError says why a request cannot be made at all; code is the dead letter's.
type buildError struct{ code, why string }

// Error implements error.
func (e *buildError) Error() string { return e.why }

// newEndpoints compiles endpoints and reads their secrets. All mistakes are joined; none quotes a secret.
func newEndpoints(cfg *Config, list []config.Endpoint) (*endpoints, error) {
	set := &endpoints{named: make(map[string]*endpoint, len(list))}
	var errs []error
	for _, e := range list {
		compiled, err := newEndpoint(cfg, e)
		if err != nil {
			errs = append(errs, fmt.Errorf("endpoint %s: %w", e.Name, err))
			continue
		}
		set.named[e.Name] = compiled
	}
	signer, err := newSigner(cfg, cfg.DefaultSecrets)
	if err != nil {
		errs = append(errs, fmt.Errorf("default secrets: %w", err))
	}
	set.inline = &endpoint{
		signer: signer, timeout: config.DefaultTimeout, retries: config.DefaultRetries,
		delays: config.DefaultRetryDelays(), http: cfg.AllowHTTP, private: cfg.AllowPrivate,
	}
	if !cfg.AllowPrivate {
		set.inline.ports = append(slices.Clone(inlinePorts), cfg.AllowPorts...)
	}
	return set, errors.Join(errs...)
}

func newEndpoint(cfg *Config, e config.Endpoint) (*endpoint, error) {
	base, err := url.Parse(e.URL)
	if err != nil {
		return nil, errors.New("url cannot be read")
	}
	c := &endpoint{
		name: e.Name, base: base, headers: http.Header{}, timeout: e.Timeout, retries: e.Retries, delays: e.RetryDelays,
		rate: e.Rate, inFlight: e.MaxInFlight, http: e.AllowHTTP || cfg.AllowHTTP, private: e.AllowPrivate || cfg.AllowPrivate,
	}
	if c.timeout <= 0 {
		c.timeout = config.DefaultTimeout
	}
	if len(c.delays) == 0 {
		c.delays = config.DefaultRetryDelays()
	}
	for name, value := range e.Headers {
		if why := config.HeaderProblem(name, value); why != "" {
			return nil, fmt.Errorf("header %q %s", name, why)
		}
		c.headers.Set(name, value)
	}
	if c.signer, err = newSigner(cfg, e.Secrets); err != nil {
		return nil, err
	}
	return c, c.check(cfg, base)
}

func newSigner(cfg *Config, refs []string) (*webhook.Signer, error) {
	secrets := make([]string, len(refs))
	for i, ref := range refs {
		secret, err := config.Secret(ref, cfg.LookupEnv)
		if err != nil {
			return nil, err
		}
		secrets[i] = secret
	}
	return webhook.NewSigner(secrets...)
}

// url is where this delivery goes: the endpoint's URL with the campaign's path added, or the inline URL. The rendered
// text is judged, so that a property of a user can change neither scheme, host nor port.
func (e *endpoint) url(cfg *Config, d *webhook.Delivery) (*url.URL, error) {
	if e.base != nil {
		return e.join(d.Path)
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return nil, &buildError{codeURL, "url cannot be read"}
	}
	return u, e.check(cfg, u)
}

// join adds a path and query to the endpoint's URL.
func (e *endpoint) join(path string) (*url.URL, error) {
	if path == "" {
		return e.base, nil
	}
	ref, err := url.Parse(path)
	switch {
	case err != nil || ref.Scheme != "" || ref.Host != "" || ref.User != nil || ref.Opaque != "":
		return nil, &buildError{codeURL, "path cannot be read as a path"}
	case !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "?"), strings.HasPrefix(path, "//"):
		return nil, &buildError{codeURL, "path must begin with one / or with ?"}
	case slices.Contains(strings.Split(ref.Path, "/"), ".."):
		return nil, &buildError{codeURL, "path must not climb with .."}
	case hasControl(ref.Path):
		return nil, &buildError{codeURL, "path has a control character"}
	}
	u := *e.base
	u.Path, u.RawPath = e.base.Path+ref.Path, ""
	if ref.Path != "" {
		u.Path = strings.TrimSuffix(e.base.Path, "/") + ref.Path
		u.RawPath = strings.TrimSuffix(e.base.EscapedPath(), "/") + ref.EscapedPath()
	}
	u.RawQuery = strings.Trim(e.base.RawQuery+"&"+ref.RawQuery, "&")
	return &u, nil
}

// check judges a whole URL.
func (e *endpoint) check(cfg *Config, u *url.URL) error {
	port, err := e.port(u)
	switch {
	case err != nil:
		return err
	case u.Opaque != "" || u.Hostname() == "":
		return &buildError{codeURL, "url has no host"}
	case u.User != nil:
		return &buildError{codeURL, "url must not hold a user name"}
	case u.Fragment != "" || u.RawFragment != "":
		return &buildError{codeURL, "url must not have a fragment"}
	case hasControl(u.Path):
		return &buildError{codeURL, "url has a control character in its path"}
	case e.ports != nil && !slices.Contains(e.ports, port):
		return &blockedError{"port"}
	}
	return guard{allowPrivate: e.private, denied: cfg.Deny}.host(u.Hostname(), port)
}

// port is the port of a URL, by its scheme where it names none.
func (e *endpoint) port(u *url.URL) (uint16, error) {
	var port uint64
	switch u.Scheme {
	case "https":
		port = 443
	case "http":
		if !e.http {
			return 0, &blockedError{"allow_http"}
		}
		port = 80
	default:
		return 0, &buildError{codeURL, "url must begin with https://"}
	}
	if text := u.Port(); text != "" {
		var err error
		if port, err = strconv.ParseUint(text, 10, 16); err != nil || port == 0 {
			return 0, &buildError{codeURL, "url has no valid port"}
		}
	}
	return uint16(port), nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// laneKey names the lane of a delivery: the endpoint, or scheme://host of an inline URL, which is also what the
// delivery log calls it.
func laneKey(d *webhook.Delivery) string {
	if d.Endpoint != "" {
		return d.Endpoint
	}
	scheme, rest, ok := strings.Cut(d.URL, "://")
	if !ok {
		return "invalid"
	}
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		rest = rest[:i]
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	return strings.ToLower(scheme + "://" + rest[:min(len(rest), 260)])
}
