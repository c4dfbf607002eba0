package campaign

import "vigil/body"

// Fire is what a webhook can speak of: the decision, its events and the profile at that moment.
type Fire = body.Fire

// Rendered is a webhook made ready: all attempts carry these bytes (semantics 4).
type Rendered = body.Rendered
