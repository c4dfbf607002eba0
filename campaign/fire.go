package campaign

import "vigil/event"

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
