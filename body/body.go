// Package body makes the webhook of a fire: the URL, the headers and the bytes of the body, from templates in a campaign
// file (semantics 4). Outputs are `{{ path | filter }}`; there is no tag, no loop and no code, and everything that is
// made has a bound. It is pure: same fire, same bytes; it reads no clock and sends nothing.
package body

import (
	"time"

	"vigil/event"
	"vigil/template"
)

// Webhook is what a fire sends (semantics 4), compiled. It is immutable.
type Webhook struct {
	URL          string // template in path and query only; empty where Endpoint is set
	Endpoint     string // name in an endpoints file
	Path         string // template; only with Endpoint
	Method       string
	Headers      map[string]string // canonical names, without content-type; not to be changed
	ExpiresAfter int64             // ms; 0: never

	about       About
	contentType string
	url, path   *template.Text
	data        *template.Tree // nil: none
	kind        kind
	text        *template.Text // of kindText
	tree        *template.Tree // of kindTree and kindForm
	uses        map[string]bool
}

// kind is what `body` says.
type kind uint8

const (
	kindNative kind = iota
	kindCleverTap
	kindText
	kindTree
	kindForm // a tree, sent as application/x-www-form-urlencoded
	kindNone // the method carries no body
)

// About is what a webhook says of its campaign.
type About struct {
	ID       string
	Name     string
	Revision string
	Type     string         // of the trigger, as written
	Zone     *time.Location // in which the filter date writes
}

// Fire is what a webhook can speak of: the decision, its events and the profile at that moment.
type Fire struct {
	FireID  string
	Run     string
	User    string
	Key     string
	Slot    string
	At      int64             // ms since the epoch
	LateBy  int64             // ms
	Anchor  *event.Snapshot   // nil where the firing has none (3.7 over profiles)
	Events  []*event.Snapshot // those that filled the slots of 3.2
	Profile []byte            // JSON object
}

// Rendered is a webhook made ready: all attempts carry these bytes (semantics 4).
type Rendered struct {
	URL         string // with an inline URL
	Path        string // with an endpoint
	Method      string
	Headers     map[string]string
	Body        []byte
	ContentType string
}

// Seal sets what is known of the campaign only once its whole file is read. It is called once, before any Render.
func (w *Webhook) Seal(about About) { w.about = about }

// Render makes the webhook of a fire. It errs where a template cannot be rendered within its limits; the error names
// the leaf, and what it returns beside the error lacks the body, and the URL where that is what failed.
func (w *Webhook) Render(f Fire) (Rendered, error) {
	out := Rendered{Method: w.Method, Headers: w.Headers, ContentType: w.contentType}
	s, err := w.scope(&f)
	if err != nil {
		return out, err
	}
	if w.url != nil {
		out.URL, err = renderURL(w.url, s)
	} else if w.path != nil {
		out.Path, err = renderURL(w.path, s)
	}
	if err == nil {
		out.Body, err = w.body(&f, s)
	}
	if err == nil && len(out.Body) > template.MaxOutput {
		err = template.ErrTooLarge
	}
	if err != nil {
		out.Body = nil
	}
	return out, err
}

func (w *Webhook) body(f *Fire, s *template.Scope) ([]byte, error) {
	switch w.kind {
	case kindNone:
		return nil, nil
	case kindText:
		text, err := w.text.Render(s, nil)
		return []byte(text), err
	case kindTree:
		return w.tree.AppendJSON(nil, s)
	case kindForm:
		return w.tree.AppendForm(nil, s)
	case kindCleverTap:
		return w.cleverTap(f, s)
	default:
		return w.native(f, s)
	}
}

// object is a JSON object, {} for none.
func object(doc []byte) []byte {
	if len(doc) == 0 {
		return []byte("{}")
	}
	return doc
}

// rfc3339 writes ms since the epoch in UTC with three decimals.
func rfc3339(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
