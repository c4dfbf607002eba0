package campaign

// body is a compiled `webhook.body`.
type body struct{}

// Render makes the webhook of a fire (semantics 4). It errs where a template cannot be rendered within its limits;
// the error names the leaf. It is pure: same fire, same bytes.
func (c *Campaign) Render(f Fire) (Rendered, error) { panic("not built yet") }
