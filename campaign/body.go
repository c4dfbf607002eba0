package campaign

import (
	"vigil/body"
	"vigil/source"
)

// Webhook is what a fire sends (semantics 4); its templates are compiled.
type Webhook = body.Webhook

// defaultExpiry is how long after `at` a webhook is sent at most, in ms (delivery 1).
const defaultExpiry = 24 * 60 * 60 * 1000

func (r *reading) webhook(n, data *source.Node) {
	if n == nil {
		return
	}
	w := body.Read(r.Reader, n, data)
	w.ExpiresAfter = defaultExpiry
	if expires := n.Field("expires_after"); expires != nil {
		w.ExpiresAfter = 0
		if expires.Kind != source.String || expires.Text != "0s" {
			w.ExpiresAfter = r.duration(expires, "expires_after")
		}
	}
	r.c.Webhook = *w
}

// about is what the webhook says of this campaign.
func (c *Campaign) about() body.About {
	return body.About{ID: c.ID, Name: c.Name, Revision: c.Revision, Type: c.Trigger.Type, Zone: c.Zone}
}

// Render makes the webhook of a fire (semantics 4). It errs where a template cannot be rendered within its limits;
// the error names the leaf. It is pure: same fire, same bytes.
func (c *Campaign) Render(f Fire) (Rendered, error) { return c.Webhook.Render(f) }
