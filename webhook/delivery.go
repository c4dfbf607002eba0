// Package webhook defines what travels between the processor and the sink: the delivery on the outbound topic, the
// attempt that tells what became of it, and the signature that a receiver checks. It sends nothing.
package webhook

import "time"

// Delivery is one fire on its way: the value of a record on vigil.webhooks (interface 4).
type Delivery struct {
	V           int               `json:"v"`
	FireID      string            `json:"fire_id"`
	Campaign    string            `json:"campaign"`
	Revision    string            `json:"revision"`
	Run         string            `json:"run"`
	User        string            `json:"user"`
	Key         string            `json:"key"`
	At          time.Time         `json:"at"`
	DecidedAt   time.Time         `json:"decided_at"`
	LateByMS    int64             `json:"late_by_ms"`
	ExpiresAt   *time.Time        `json:"expires_at"` // nil: never
	Endpoint    string            `json:"endpoint,omitempty"`
	URL         string            `json:"url,omitempty"`
	Method      string            `json:"method"`
	Path        string            `json:"path"`
	Headers     map[string]string `json:"headers"`
	Body        []byte            `json:"body"` // base64 of the exact bytes
	ContentType string            `json:"content_type"`
	Source      Source            `json:"source"`
	Attempt     int               `json:"attempt"` // 1-based
	NotBefore   *time.Time        `json:"not_before"`
	RenderError string            `json:"render_error"`
}

// Source is the input record whose processing decided the fire.
type Source struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}
