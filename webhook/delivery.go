// Package webhook defines what travels between the processor and the sink: the delivery on the outbound topic, the
// attempt that tells what became of it, and the signature that a receiver checks. It sends nothing.
package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// Limits of a delivery. What exceeds them is refused by DecodeDelivery and ends as a dead letter.
const (
	Version        = 1       // the only value of `v` that is understood
	MaxRecordBytes = 2 << 20 // bytes of a whole record value
	MaxBodyBytes   = 1 << 20 // bytes of Body
	MaxURLBytes    = 8 << 10 // bytes of URL, and of Path
	MaxHeaders     = 64      // entries of Headers
	MaxHeaderBytes = 8 << 10 // bytes of one header's name and value together
	MaxNameBytes   = 256     // bytes of FireID, Campaign, Revision, Run, User, Endpoint, ContentType
	MaxKeyBytes    = 64 << 10
)

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

// DecodeDelivery reads the value of a record on vigil.webhooks and checks every limit above. Unknown fields are
// ignored, an unknown version is not. The error says what is wrong and never quotes the body.
func DecodeDelivery(value []byte) (*Delivery, error) {
	switch {
	case len(value) == 0:
		return nil, errors.New("empty record")
	case len(value) > MaxRecordBytes:
		return nil, fmt.Errorf("record of %d bytes, at most %d are allowed", len(value), MaxRecordBytes)
	case !utf8.Valid(value):
		return nil, errors.New("record is not valid UTF-8")
	}
	d := &Delivery{}
	if !d.read(value) {
		*d = Delivery{}
		if err := json.Unmarshal(value, d); err != nil {
			return nil, fmt.Errorf("decode delivery: %w", err)
		}
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return d, nil
}

// Validate tells the first rule that d breaks; it fills in what may be left out: the method (POST) and the attempt (1).
func (d *Delivery) Validate() error {
	if d.Method == "" {
		d.Method = "POST"
	}
	if d.Attempt == 0 {
		d.Attempt = 1
	}
	switch {
	case d.V != Version:
		return fmt.Errorf("unknown version %d", d.V)
	case !validID(d.FireID):
		return errors.New("fire_id: must be 1 to 64 letters, digits, - or _")
	case d.Attempt < 1 || d.Attempt > 100:
		return fmt.Errorf("attempt: must be 1 to 100, got %d", d.Attempt)
	case (d.Endpoint == "") == (d.URL == "") && d.RenderError == "":
		return errors.New("one of endpoint and url is needed, and not both")
	case d.Endpoint == "" && d.Path != "":
		return errors.New("path: only with endpoint")
	case len(d.Body) > MaxBodyBytes:
		return fmt.Errorf("body: %d bytes, at most %d are allowed", len(d.Body), MaxBodyBytes)
	}
	switch d.Method {
	case "POST", "PUT", "PATCH":
	case "GET", "DELETE":
		if len(d.Body) > 0 {
			return fmt.Errorf("body: %s carries none", d.Method)
		}
	default:
		return errors.New("method: must be POST, PUT, PATCH, GET or DELETE")
	}
	return d.validateSizes()
}

func (d *Delivery) validateSizes() error {
	for _, s := range [...]struct {
		name, value string
		limit       int
	}{
		{"campaign", d.Campaign, MaxNameBytes},
		{"revision", d.Revision, MaxNameBytes},
		{"run", d.Run, MaxNameBytes},
		{"user", d.User, MaxNameBytes},
		{"endpoint", d.Endpoint, MaxNameBytes},
		{"content_type", d.ContentType, MaxNameBytes},
		{"key", d.Key, MaxKeyBytes},
		{"url", d.URL, MaxURLBytes},
		{"path", d.Path, MaxURLBytes},
		{"render_error", d.RenderError, MaxURLBytes},
	} {
		if len(s.value) > s.limit {
			return fmt.Errorf("%s: %d bytes, at most %d are allowed", s.name, len(s.value), s.limit)
		}
	}
	if len(d.Headers) > MaxHeaders {
		return fmt.Errorf("headers: %d of them, at most %d are allowed", len(d.Headers), MaxHeaders)
	}
	for name, value := range d.Headers {
		if len(name)+len(value) > MaxHeaderBytes {
			return fmt.Errorf("headers: one of %d bytes, at most %d are allowed", len(name)+len(value), MaxHeaderBytes)
		}
	}
	for _, t := range [...]*time.Time{&d.At, &d.DecidedAt, d.ExpiresAt, d.NotBefore} {
		if t != nil && (t.Year() < 0 || t.Year() > 9999) {
			return errors.New("a time is outside the years 0 to 9999")
		}
	}
	return nil
}

// validID: the id is signed between dots and travels as a header (delivery 7).
func validID(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for _, c := range []byte(id) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c == '-', c == '_':
		default:
			return false
		}
	}
	return true
}

// Encode is the value of the record: the members of interface 4 in that order, times in UTC with ms.
func (d *Delivery) Encode() []byte {
	w := wire{make([]byte, 0, 640+len(d.Body)*4/3+len(d.URL)+len(d.Path)+len(d.Key))}
	w.int("v", int64(d.V))
	w.text("fire_id", d.FireID)
	w.text("campaign", d.Campaign)
	w.text("revision", d.Revision)
	w.text("run", d.Run)
	w.text("user", d.User)
	w.text("key", d.Key)
	w.time("at", &d.At)
	w.time("decided_at", &d.DecidedAt)
	w.int("late_by_ms", d.LateByMS)
	w.time("expires_at", d.ExpiresAt)
	if d.Endpoint != "" {
		w.text("endpoint", d.Endpoint)
	}
	if d.URL != "" {
		w.text("url", d.URL)
	}
	w.text("method", d.Method)
	w.text("path", d.Path)
	w.texts("headers", d.Headers)
	w.base64("body", d.Body)
	w.text("content_type", d.ContentType)
	w.name("source")
	w.b = append(w.b, '{')
	w.text("topic", d.Source.Topic)
	w.int("partition", int64(d.Source.Partition))
	w.int("offset", d.Source.Offset)
	w.b = append(w.b, '}')
	w.int("attempt", int64(d.Attempt))
	w.time("not_before", d.NotBefore)
	w.text("render_error", d.RenderError)
	return append(w.b, '}')
}

// MarshalJSON is Encode, so that json.Marshal writes the same members and times.
func (d *Delivery) MarshalJSON() ([]byte, error) { return d.Encode(), nil }

// Header names of a record on vigil.webhooks (interface 4); Origin marks a replay.
const (
	HeaderFireID      = "fire_id"
	HeaderCampaign    = "campaign"
	HeaderRevision    = "revision"
	HeaderContentType = "content-type"
	HeaderRun         = "run"
	HeaderTraceparent = "traceparent"
	HeaderOrigin      = "origin" // auto (where absent) | manual | replay
)

// RecordHeader is one header of a Kafka record.
type RecordHeader struct {
	Key   string
	Value string
}

// RecordHeaders are the headers of the record that carries d; traceparent is left out where it is empty.
func (d *Delivery) RecordHeaders(traceparent string) []RecordHeader {
	h := []RecordHeader{
		{HeaderFireID, d.FireID},
		{HeaderCampaign, d.Campaign},
		{HeaderRevision, d.Revision},
		{HeaderContentType, "application/json"},
	}
	if d.Run != "" {
		h = append(h, RecordHeader{HeaderRun, d.Run})
	}
	if traceparent != "" {
		h = append(h, RecordHeader{HeaderTraceparent, traceparent})
	}
	return h
}

// String names d in a log or a test; never its body.
func (d *Delivery) String() string { return d.FireID + "#" + strconv.Itoa(d.Attempt) }
