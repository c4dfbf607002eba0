package body

import (
	"errors"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"vigil/source"
	"vigil/template"
)

// Read compiles the `webhook` of a campaign and its `data`, which may be nil, and reports every mistake to r. Seal must
// follow. ExpiresAfter is left to the caller.
func Read(r *source.Reader, n, data *source.Node) *Webhook {
	w := &Webhook{uses: map[string]bool{}}
	if !r.Object(n, "webhook", "url", "endpoint", "path", "method", "headers", "body", "expires_after") {
		return w
	}
	before := r.Errors()
	c := template.NewCompiler(r)
	w.target(r, c, n)
	w.Method = r.OneOf(n.Field("method"), "method", "POST", "PUT", "PATCH", "GET", "DELETE")
	w.contentType = "application/json"
	w.readBody(r, c, n.Field("body"))
	w.readHeaders(r, n.Field("headers"))
	w.readForm(r, n.Field("body"))
	w.readData(r, c, data)
	if w.Method == "GET" || w.Method == "DELETE" {
		if stated := n.Field("body"); stated != nil {
			r.Warn(stated, "unused", "%s carries no body", w.Method)
		}
		w.kind, w.contentType = kindNone, ""
	}
	for _, root := range template.Roots() {
		w.uses[root] = c.Uses(root)
	}
	if r.Errors() == before {
		w.try(r, c)
	}
	return w
}

// target reads url, or endpoint and path.
func (w *Webhook) target(r *source.Reader, c *template.Compiler, n *source.Node) {
	link, endpoint, path := n.Field("url"), n.Field("endpoint"), n.Field("path")
	switch {
	case link == nil && endpoint == nil:
		r.Fail(n, "missing_field", "webhook needs \"url\" or \"endpoint\"")
	case link != nil && endpoint != nil:
		r.Fail(endpoint, "no_meaning", "webhook takes either url or endpoint")
	case path != nil && endpoint == nil:
		r.Fail(path, "no_meaning", "path goes with an endpoint; write it into the url")
	}
	w.Endpoint = r.Text(endpoint, "endpoint")
	if w.URL = r.Text(link, "url"); w.URL != "" {
		w.url = c.Text(link, "url")
		w.checkOrigin(r, link)
	}
	if w.Path = r.Text(path, "path"); w.Path != "" {
		w.path = c.Text(path, "path")
		if w.path != nil && (!strings.HasPrefix(w.path.Fixed(), "/") || strings.HasPrefix(w.path.Fixed(), "//")) {
			r.Fail(path, "bad_url", "path must begin with one /, got %q", w.Path)
			w.path = nil
		}
	}
}

// checkOrigin checks what a URL begins with; no output may stand there.
func (w *Webhook) checkOrigin(r *source.Reader, n *source.Node) {
	if w.url == nil {
		return
	}
	fixed := w.url.Fixed()
	start := origin(fixed)
	u, err := url.Parse(start)
	switch {
	case start == fixed && !w.url.Static():
		r.Fail(n, "bad_url", "outputs may stand in the path and the query of a URL only")
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		r.Fail(n, "bad_url", "url must be such as https://example.com/path, got %q", n.Text)
	case u.User != nil:
		r.Fail(n, "bad_url", "a URL holds no password\nuse an endpoint: secrets stay in its file")
	case strings.Contains(fixed, "#"):
		r.Fail(n, "bad_url", "what follows # is never sent")
	default:
		if u.Scheme == "http" {
			r.Warn(n, "insecure_url", "http is sent only by an endpoint that says allow_http")
		}
		return
	}
	w.url = nil
}

func (w *Webhook) readBody(r *source.Reader, c *template.Compiler, n *source.Node) {
	switch {
	case n == nil || n.Kind == source.String && n.Text == "native":
	case n.Kind == source.String && n.Text == "clevertap":
		w.kind = kindCleverTap
	case n.Kind == source.String:
		if near := source.Nearest(n.Text, []string{"native", "clevertap"}); near != "" {
			r.Warn(n, "suspect_value", "the body is the text %q\ndid you mean %q?", n.Text, near)
		}
		w.kind, w.text, w.contentType = kindText, c.Text(n, "body"), "text/plain; charset=utf-8"
	case n.Kind == source.Object || n.Kind == source.List:
		w.kind, w.tree = kindTree, c.Tree(n, "body")
	default:
		r.Fail(n, "wrong_type", "body must be native, clevertap, a text, an object or a list, not %s", n.Kind)
	}
}

const formType = "application/x-www-form-urlencoded"

// readForm makes a form of a tree whose content-type says so.
func (w *Webhook) readForm(r *source.Reader, n *source.Node) {
	media, _, _ := strings.Cut(w.contentType, ";")
	if w.kind != kindTree || !strings.EqualFold(strings.TrimSpace(media), formType) {
		return
	}
	w.kind = kindForm
	if n.Kind != source.Object {
		r.Fail(n, "wrong_type", "a form must be an object, not %s", n.Kind)
		return
	}
	for _, f := range n.Fields {
		for _, v := range append(f.Value.Items, f.Value) {
			if v.Kind == source.Object || v.Kind == source.List && v != f.Value {
				r.Fail(v, "wrong_type", "a field of a form must be a text, a number, a boolean or a list of them, not %s", v.Kind)
			}
		}
	}
}

func (w *Webhook) readData(r *source.Reader, c *template.Compiler, n *source.Node) {
	if !r.Is(n, source.Object, "data") {
		return
	}
	w.data = c.Tree(n, "data")
	if w.kind != kindNative && w.kind != kindCleverTap {
		r.Warn(n, "unused", "data is sent by the native and the clevertap body only")
	}
}

// refusedHeaders are set by the sink or belong to the connection.
var refusedHeaders = []string{
	"Host", "Content-Length", "Transfer-Encoding", "Connection", "Te", "Trailer", "Upgrade", "Expect",
}

func (w *Webhook) readHeaders(r *source.Reader, n *source.Node) {
	if !r.Is(n, source.Object, "headers") {
		return
	}
	w.Headers = make(map[string]string, len(n.Fields))
	for _, f := range n.Fields {
		at := &source.Node{Line: f.Line, Col: f.Col}
		name := textproto.CanonicalMIMEHeaderKey(f.Name)
		if err := checkHeaderName(name); err != nil {
			r.Fail(at, "bad_header", "header %q %v", f.Name, err)
			continue
		}
		if !r.Is(f.Value, source.String, "a header") {
			continue
		}
		w.header(r, at, name, f.Value)
	}
}

func (w *Webhook) header(r *source.Reader, at *source.Node, name string, value *source.Node) {
	switch _, taken := w.Headers[name]; {
	case taken:
		r.Fail(at, "duplicate_field", "header %s is already set", name)
	case strings.IndexFunc(value.Text, func(c rune) bool { return c < ' ' && c != '\t' || c == 0x7f }) >= 0 || len(value.Text) > maxURL:
		r.Fail(value, "bad_header", "the value of %s cannot be sent", name)
	case strings.Contains(value.Text, "{{"):
		r.Warn(value, "suspect_value", "headers hold no outputs; %s is sent as it stands", name)
		fallthrough
	default:
		w.Headers[name] = strings.TrimSpace(value.Text)
	}
	if name == "Content-Type" {
		w.contentType = w.Headers[name]
		delete(w.Headers, name)
	}
}

func checkHeaderName(name string) error {
	lower := strings.ToLower(name)
	switch {
	case name == "" || len(name) > 256 || strings.ContainsFunc(name, notToken):
		return errors.New("is no header name")
	case slices.Contains(refusedHeaders, name), strings.HasPrefix(lower, "proxy-"), strings.HasPrefix(lower, "webhook-"),
		strings.HasPrefix(lower, "vigil-"):
		return errors.New("cannot be set by a campaign")
	}
	return nil
}

// notToken tells whether a character cannot stand in a header's name.
func notToken(c rune) bool {
	return c <= ' ' || c >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, c)
}
