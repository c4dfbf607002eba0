package endpoints

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"vigil/source"
)

// Auth is how the sink proves to an endpoint who it is, beside the signature: one of the three, or none. Secrets are
// references, see Secret.
type Auth struct {
	Basic  *Basic
	Bearer string // reference to a token that stands as it is
	OAuth2 *OAuth2
}

// Basic is HTTP basic authentication.
type Basic struct {
	User     string
	Password string // reference
}

// OAuth2 fetches a token with the grant client_credentials; it is kept until shortly before it expires.
type OAuth2 struct {
	TokenURL     string // judged by the same rules as the endpoint's url
	ClientID     string
	ClientSecret string // reference
	Scopes       []string
	Params       map[string]string // more fields of the token request, such as audience
	InBody       bool              // id and secret stand in the form, not in an Authorization header
}

// TLS is what an endpoint's connections use beside the defaults: PEM, by reference.
type TLS struct {
	Certificate string // of this client, with its chain
	Key         string // of the certificate
	CA          string // certificates that the receiver's is checked against, instead of the system's
}

// RetryOn is the list of answers that another attempt follows; the zero value is the default list (delivery 3).
// Failures without an answer are always tried again, a 2xx never, and 410 means what it says.
type RetryOn struct {
	Stated   bool
	Default  bool  // the default list, and Statuses
	Statuses []int // 300 to 599 but 410, sorted
}

// security reads auth, tls and http2.
func (r *fileReader) security(e *Endpoint, n *source.Node) {
	e.Auth = r.auth(n.Field("auth"), n.Field("headers"), e.AllowHTTP)
	e.TLS = r.tls(n.Field("tls"), e.URL)
	if e.HTTP2 = r.Bool(n.Field("http2"), "http2"); e.HTTP2 && strings.HasPrefix(e.URL, "http://") {
		r.Fail(n.Field("http2"), "no_meaning", "http2 goes with a url that begins with https://")
	}
}

func (r *fileReader) auth(n *source.Node, headers *source.Node, allowHTTP bool) Auth {
	var a Auth
	if n == nil || !r.Object(n, "auth", "basic", "bearer", "oauth2") {
		return a
	}
	for _, f := range headersOf(headers) {
		if strings.EqualFold(f.Name, "authorization") {
			r.Fail(&source.Node{Line: f.Line, Col: f.Col}, "no_meaning", "headers and auth both say who asks\nkeep one of the two")
		}
	}
	if len(n.Fields) != 1 {
		r.Fail(n, "no_meaning", "auth takes one of basic, bearer, oauth2")
	}
	if b := n.Field("basic"); b != nil && r.Object(b, "basic", "user", "password") {
		a.Basic = &Basic{User: r.Text(r.Require(b, "basic", "user"), "user"), Password: r.secret(r.Require(b, "basic", "password"))}
		if strings.Contains(a.Basic.User, ":") {
			r.Fail(b.Field("user"), "out_of_range", "user must not hold a colon")
		}
	}
	if b := n.Field("bearer"); b != nil {
		a.Bearer = r.secret(b)
	}
	if o := n.Field("oauth2"); o != nil {
		a.OAuth2 = r.oauth2(o, allowHTTP)
	}
	return a
}

func headersOf(n *source.Node) []source.Field {
	if n == nil {
		return nil
	}
	return n.Fields
}

func (r *fileReader) oauth2(n *source.Node, allowHTTP bool) *OAuth2 {
	o := &OAuth2{}
	if !r.Object(n, "oauth2", "token_url", "client_id", "client_secret", "scopes", "params", "style") {
		return o
	}
	link := r.Require(n, "oauth2", "token_url")
	o.TokenURL = r.endpointURL(link, allowHTTP)
	if u, err := url.Parse(o.TokenURL); err == nil && u.RawQuery != "" {
		r.Fail(link, "invalid_url", "token_url must not have a query\nput its members into params")
	}
	o.ClientID = r.Text(r.Require(n, "oauth2", "client_id"), "client_id")
	o.ClientSecret = r.secret(r.Require(n, "oauth2", "client_secret"))
	o.InBody = r.OneOf(n.Field("style"), "style", "header", "body") == "body"
	if s := n.Field("scopes"); s != nil && r.Is(s, source.List, "scopes") {
		for _, scope := range s.Items {
			o.Scopes = append(o.Scopes, r.Text(scope, "a scope"))
		}
	}
	if p := n.Field("params"); p != nil && r.Is(p, source.Object, "params") {
		o.Params = map[string]string{}
		for _, f := range p.Fields {
			if slices.Contains([]string{"grant_type", "scope", "client_id", "client_secret"}, f.Name) {
				r.Fail(&source.Node{Line: f.Line, Col: f.Col}, "no_meaning", "params must not hold %s", f.Name)
			}
			o.Params[f.Name] = r.Text(f.Value, "a param")
		}
	}
	return o
}

// secret reads one reference. The text may be a secret itself: it is never repeated.
func (r *fileReader) secret(n *source.Node) string {
	ref := r.Text(n, "a secret")
	if ref != "" && !IsReference(ref) {
		r.Fail(n, "invalid_secret", "a secret is env:NAME or file:PATH; its value never stands in this file")
		return ""
	}
	return ref
}

// IsReference tells whether ref is of the form env:NAME or file:PATH.
func IsReference(ref string) bool {
	kind, rest, ok := strings.Cut(ref, ":")
	return ok && rest != "" && (kind == "env" || kind == "file")
}

func (r *fileReader) tls(n *source.Node, link string) TLS {
	var t TLS
	if n == nil || !r.Object(n, "tls", "certificate", "key", "ca") {
		return t
	}
	for name, to := range map[string]*string{"certificate": &t.Certificate, "key": &t.Key, "ca": &t.CA} {
		if f := n.Field(name); f != nil {
			*to = r.secret(f)
		}
	}
	switch {
	case (n.Field("certificate") == nil) != (n.Field("key") == nil):
		r.Fail(n, "missing_field", "tls needs certificate and key together")
	case len(n.Fields) > 0 && strings.HasPrefix(link, "http://"):
		r.Fail(n, "no_meaning", "tls goes with a url that begins with https://")
	}
	return t
}

// retryOn reads statuses such as 404, classes such as 5xx, and the word default.
func (r *fileReader) retryOn(n *source.Node) RetryOn {
	list := RetryOn{Stated: true}
	if !r.Is(n, source.List, "retry_on") {
		return RetryOn{}
	}
	found := map[int]bool{}
	for _, s := range n.Items {
		switch {
		case s.Kind == source.String && s.Text == "default":
			list.Default = true
		case s.Kind == source.String && slices.Contains([]string{"3xx", "4xx", "5xx"}, s.Text):
			first := int(s.Text[0]-'0') * 100
			for status := first; status < first+100; status++ {
				found[status] = status != 410
			}
		default:
			r.oneStatus(s, found)
		}
	}
	maps.DeleteFunc(found, func(_ int, in bool) bool { return !in })
	list.Statuses = slices.Sorted(maps.Keys(found))
	return list
}

func (r *fileReader) oneStatus(n *source.Node, found map[int]bool) {
	status, err := strconv.Atoi(n.Text)
	switch {
	case n.Kind != source.Number || err != nil || status < 300 || status > 599:
		r.Fail(n, "out_of_range", "retry_on holds statuses from 300 to 599, 3xx, 4xx, 5xx and the word default, got %s", n.AppendJSON(nil))
	case status == 410:
		r.Fail(n, "out_of_range", "410 says that the receiver is gone for good: it cannot be tried again")
	default:
		found[status] = true
	}
}
