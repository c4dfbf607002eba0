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
		if _, err := w.Render(f); err != nil {
			report(r, c, err)
			return
		}
	}
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
