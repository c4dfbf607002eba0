package egress

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"vigil/config/endpoints"
	"vigil/sink/core"
	"vigil/sink/guard"
	"vigil/webhook"
)

// inlinePorts are what an inline URL may name; an endpoint's own URL may name any port that is not refused.
var inlinePorts = []uint16{80, 443, 8080, 8443}

// Endpoint is where deliveries go: a named one, or what all inline URLs share.
type Endpoint struct {
	root     *url.URL // nil for inline URLs
	headers  http.Header
	signer   *webhook.Signer // nil: unsigned
	tokens   *tokens         // nil: no OAuth2
	certs    certificates
	route    route
	retryOn  core.Statuses // nil: the default list
	timeout  time.Duration
	retries  int
	delays   []time.Duration
	rate     float64
	inFlight int // 0: the default
	http     bool
	private  bool
	ports    []uint16 // allowed in an inline URL; nil: any that is not refused

	address       string // fingerprint of the URL; empty for inline URLs
	authorization string // the header of basic and bearer; empty: none

	last *atomic.Pointer[joined] // where the last delivery went; nil for inline URLs
}

// Endpoints is one immutable version of all endpoints.
type Endpoints struct {
	named  map[string]*Endpoint
	inline *Endpoint
}

// NewEndpoints compiles endpoints and reads their secrets. All mistakes are joined; none quotes a secret.
func NewEndpoints(p *Policy, list []endpoints.Endpoint) (*Endpoints, error) {
	set := &Endpoints{named: make(map[string]*Endpoint, len(list))}
	var errs []error
	for _, e := range list {
		compiled, err := newEndpoint(p, e)
		if err != nil {
			errs = append(errs, fmt.Errorf("endpoint %s: %w", e.Name, err))
			continue
		}
		set.named[e.Name] = compiled
	}
	signer, err := newSigner(p, p.DefaultSecrets)
	if err != nil {
		errs = append(errs, fmt.Errorf("default secrets: %w", err))
	}
	set.inline = &Endpoint{
		signer: signer, timeout: endpoints.DefaultTimeout, retries: endpoints.DefaultRetries,
		delays: endpoints.DefaultRetryDelays(), http: p.AllowHTTP, private: p.AllowPrivate, route: route{private: p.AllowPrivate},
	}
	if !p.AllowPrivate {
		set.inline.ports = append(slices.Clone(inlinePorts), p.AllowPorts...)
	}
	return set, errors.Join(errs...)
}

func newEndpoint(p *Policy, e endpoints.Endpoint) (*Endpoint, error) {
	root, err := url.Parse(e.URL)
	if err != nil {
		return nil, &buildError{core.CodeURL, "url cannot be read"}
	}
	c := &Endpoint{
		root: root, address: Fingerprint(e.URL), last: &atomic.Pointer[joined]{}, headers: http.Header{},
		timeout: e.Timeout, retries: e.Retries, delays: e.RetryDelays,
		rate: e.Rate, inFlight: e.MaxInFlight, http: e.AllowHTTP || p.AllowHTTP, private: e.AllowPrivate || p.AllowPrivate,
	}
	if c.timeout <= 0 {
		c.timeout = endpoints.DefaultTimeout
	}
	if len(c.delays) == 0 {
		c.delays = endpoints.DefaultRetryDelays()
	}
	for name, value := range e.Headers {
		if why := endpoints.HeaderProblem(name, value); why != "" {
			return nil, fmt.Errorf("header %q %s", name, why)
		}
		c.headers.Set(name, value)
	}
	if err := c.secure(p, e); err != nil {
		return nil, err
	}
	c.retryOn = statuses(e.RetryOn)
	if c.tokens != nil {
		if err := c.check(p, c.tokens.url); err != nil {
			return nil, fmt.Errorf("token_url: %w", err)
		}
	}
	return c, c.check(p, root)
}

// secure reads everything that is secret.
func (e *Endpoint) secure(p *Policy, from endpoints.Endpoint) (err error) {
	if e.signer, err = newSigner(p, from.Secrets); err != nil {
		return err
	}
	if e.authorization, err = fixedAuth(from.Auth, p); err != nil {
		return err
	}
	if e.tokens, err = newTokens(from.Auth.OAuth2, p); err != nil {
		return err
	}
	e.certs, err = readCertificates(from.TLS, p)
	e.route = route{private: e.private, http2: from.HTTP2, certs: e.certs.sum}
	return err
}

// statuses is a list as the table of answers takes it.
func statuses(list endpoints.RetryOn) core.Statuses {
	if !list.Stated {
		return nil
	}
	set := core.Statuses{}
	for status := 300; status <= 599; status++ {
		if list.Default && core.StatusClass(status) == core.Retryable || slices.Contains(list.Statuses, status) {
			set[status] = true
		}
	}
	return set
}

// Find is the endpoint for a delivery: the one it names, or that of inline URLs; nil where the name is unknown.
func (s *Endpoints) Find(name string) *Endpoint {
	if name == "" {
		return s.inline
	}
	return s.named[name]
}

// Address is that of the endpoint of a name; empty where there is none.
func (s *Endpoints) Address(name string) string {
	if e := s.named[name]; e != nil {
		return e.address
	}
	return ""
}

// Limits are what the endpoint may be asked to bear.
func (e *Endpoint) Limits() core.Limits {
	return core.Limits{InFlight: e.inFlight, Rate: e.rate, Address: e.address}
}

// Host is the host:port of a named endpoint; empty for inline URLs, which have their own each.
func (e *Endpoint) Host() string {
	if e.root == nil {
		return ""
	}
	return e.root.Host
}

// Address is a fingerprint of the URL of a named endpoint, by which it is known whether it was mended; empty for inline
// URLs.
func (e *Endpoint) Address() string { return e.address }

// Fingerprint tells URLs apart without telling them.
func Fingerprint(url string) string {
	sum := sha256.Sum256([]byte(url))
	return hex.EncodeToString(sum[:8])
}

// Plan is what an attempt at this endpoint is judged by.
func (e *Endpoint) Plan(d *webhook.Delivery, now time.Time) core.Plan {
	return core.Plan{Attempt: d.Attempt, Retries: e.retries, Delays: e.delays, RetryOn: e.retryOn, Expires: d.ExpiresAt, Now: now}
}

func newSigner(p *Policy, refs []string) (*webhook.Signer, error) {
	secrets := make([]string, len(refs))
	for i, ref := range refs {
		secret, err := endpoints.Secret(ref, p.LookupEnv)
		if err != nil {
			return nil, err
		}
		secrets[i] = secret
	}
	return webhook.NewSigner(secrets...)
}

// url is where this delivery goes: the endpoint's URL with the campaign's path added, or the inline URL. The rendered
// text is judged, so that a property of a user can change neither scheme, host nor port.
func (e *Endpoint) url(p *Policy, d *webhook.Delivery) (*url.URL, error) {
	if e.root != nil {
		return e.target(d.Path)
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return nil, &buildError{core.CodeURL, "url cannot be read"}
	}
	return u, e.check(p, u)
}

// target is the endpoint's URL with a path added. Most campaigns add the same one each time: the last is kept.
func (e *Endpoint) target(path string) (*url.URL, error) {
	if last := e.last.Load(); last != nil && last.path == path {
		return last.url, nil
	}
	u, err := e.join(path)
	if err == nil {
		e.last.Store(&joined{path, u})
	}
	return u, err
}

// joined is a path, and the URL that it leads to; nobody changes either.
type joined struct {
	path string
	url  *url.URL
}

// join adds a path and query to the endpoint's URL.
func (e *Endpoint) join(path string) (*url.URL, error) {
	if path == "" {
		return e.root, nil
	}
	ref, err := url.Parse(path)
	switch {
	case err != nil || ref.Scheme != "" || ref.Host != "" || ref.User != nil || ref.Opaque != "":
		return nil, &buildError{core.CodeURL, "path cannot be read as a path"}
	case !strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "?"), strings.HasPrefix(path, "//"):
		return nil, &buildError{core.CodeURL, "path must begin with one / or with ?"}
	case slices.Contains(strings.Split(ref.Path, "/"), ".."):
		return nil, &buildError{core.CodeURL, "path must not climb with .."}
	case hasControl(ref.Path):
		return nil, &buildError{core.CodeURL, "path has a control character"}
	}
	u := *e.root
	u.Path, u.RawPath = e.root.Path+ref.Path, ""
	if ref.Path != "" {
		u.Path = strings.TrimSuffix(e.root.Path, "/") + ref.Path
		u.RawPath = strings.TrimSuffix(e.root.EscapedPath(), "/") + ref.EscapedPath()
	}
	u.RawQuery = strings.Trim(e.root.RawQuery+"&"+ref.RawQuery, "&")
	return &u, nil
}

// check judges a whole URL.
func (e *Endpoint) check(p *Policy, u *url.URL) error {
	port, err := e.port(u)
	switch {
	case err != nil:
		return err
	case u.Opaque != "" || u.Hostname() == "":
		return &buildError{core.CodeURL, "url has no host"}
	case u.User != nil:
		return &buildError{core.CodeURL, "url must not hold a user name"}
	case u.Fragment != "" || u.RawFragment != "":
		return &buildError{core.CodeURL, "url must not have a fragment"}
	case hasControl(u.Path):
		return &buildError{core.CodeURL, "url has a control character in its path"}
	case e.ports != nil && !slices.Contains(e.ports, port):
		return &guard.BlockedError{Setting: "port"}
	}
	return guard.Guard{AllowPrivate: e.private, NAT64: p.NAT64, Denied: p.Deny}.Host(u.Hostname(), port)
}

// port is the port of a URL, by its scheme where it names none.
func (e *Endpoint) port(u *url.URL) (uint16, error) {
	var port uint64
	switch u.Scheme {
	case "https":
		port = 443
	case "http":
		if !e.http {
			return 0, &guard.BlockedError{Setting: "allow_http"}
		}
		port = 80
	default:
		return 0, &buildError{core.CodeURL, "url must begin with https://"}
	}
	if text := u.Port(); text != "" {
		var err error
		if port, err = strconv.ParseUint(text, 10, 16); err != nil || port == 0 {
			return 0, &buildError{core.CodeURL, "url has no valid port"}
		}
	}
	return uint16(port), nil
}

func hasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r == 0x7f })
}

// Key names the lane of a delivery: the endpoint, or scheme://host of an inline URL, which is also what the
// delivery log calls it.
func Key(d *webhook.Delivery) string {
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
