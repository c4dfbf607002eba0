package body

import (
	"errors"
	"time"

	"vigil/event"
	"vigil/source"
	"vigil/template"
)

// sampleValue stands for every property in the linter's sample: a text, a number and a time at once.
const sampleValue = "1767225600"

// try renders the webhook against a sample fire in which every property that an output names is there, and against
// one in which none is, and reports what fails.
func (w *Webhook) try(r *source.Reader, c *template.Compiler) {
	w.Seal(About{ID: "campaign", Name: "Campaign", Revision: "0123456789ab", Type: "single_action", Zone: time.UTC})
	full := &event.Snapshot{
		ID: sampleValue, Type: sampleValue, TS: 1767225600000, Props: c.Sample(sampleValue, "anchor", "properties"),
	}
	profile := c.Sample(sampleValue, "profile")
	bare := &event.Snapshot{ID: sampleValue, Type: sampleValue}
	for _, f := range []Fire{
		{Anchor: full, Events: []*event.Snapshot{full, full}, Profile: profile},
		{Anchor: bare, Events: []*event.Snapshot{bare, bare}},
	} {
		f.FireID, f.User, f.Key, f.At = "0123456789abcdef0123456789abcdef", sampleValue, sampleValue, 1767225600000
		failures := w.failures(c, &f)
		for _, err := range failures {
			report(r, c, err)
		}
		if len(failures) > 0 {
			return
		}
	}
}

// failures are those of single texts and of the URL; where there is none, of the whole.
func (w *Webhook) failures(c *template.Compiler, f *Fire) []error {
	s, err := w.scope(f)
	if err != nil {
		return []error{err}
	}
	all := c.Failures(s)
	for _, t := range []*template.Text{w.url, w.path} {
		if t == nil {
			continue
		}
		if text, err := t.Render(s, escapeURL); err == nil {
			err = checkURL(text, origin(t.Fixed()))
			all = appendError(all, t.Where, err)
		}
	}
	if len(all) == 0 {
		_, err = w.Render(*f)
		all = appendError(all, "body", err)
	}
	return all
}

// appendError appends an error of a leaf, if it is one.
func appendError(all []error, where string, err error) []error {
	if err == nil {
		return all
	}
	return append(all, &template.Error{Where: where, Err: err})
}

func report(r *source.Reader, c *template.Compiler, err error) {
	at, code := &source.Node{Line: 1, Col: 1}, "bad_template"
	var leaf *template.Error
	if errors.As(err, &leaf) && c.Leaf(leaf.Where) != nil {
		at = c.Leaf(leaf.Where)
		if leaf.Where == "url" || leaf.Where == "path" {
			code = "bad_url"
		}
	}
	r.Fail(at, code, "%v", err)
}
