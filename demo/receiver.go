package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"vigil/webhook"
)

const maxBodyBytes = 1 << 20

// Webhook is what a receiver got: the native body of semantics 4, and what it makes of the headers.
type Webhook struct {
	ID      string // webhook-id, the fire_id
	Path    string
	Attempt int
	Came    time.Time
	Signed  error // nil: signed with our secret
	Body    Body
}

// Body is the part of the native body that the demo speaks of.
type Body struct {
	Campaign string    `json:"campaign"`
	User     string    `json:"user"`
	Key      string    `json:"key"`
	At       time.Time `json:"at"`
	Trigger  struct {
		Anchor *Act  `json:"anchor"`
		Events []Act `json:"events"`
	} `json:"trigger"`
	Profile map[string]any `json:"profile"`
}

// timed tells whether a deadline made the webhook due, not an event.
func (w Webhook) timed() bool {
	anchor := w.Body.Trigger.Anchor
	return anchor == nil || w.Body.At.After(anchor.Time)
}

// Act is an event as a webhook tells of it.
type Act struct {
	Type       string         `json:"type"`
	Time       time.Time      `json:"time"`
	Properties map[string]any `json:"properties"`
}

// Receiver is an endpoint as the shop would write it: it checks the signature, hands the webhook over and answers at
// once.
type Receiver struct {
	signer *webhook.Signer
	tell   func(Webhook)
}

// NewReceiver takes a Standard Webhooks secret, "whsec_" and base64; tell may be called by many goroutines at once.
func NewReceiver(secret string, tell func(Webhook)) (*Receiver, error) {
	signer, err := webhook.NewSigner(secret)
	if err != nil {
		return nil, fmt.Errorf("make a receiver: %w", err)
	}
	return &Receiver{signer, tell}, nil
}

// ServeHTTP answers 204 to a webhook that is signed, 401 to one that is not, 400 to one that cannot be read.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	hook := Webhook{ID: req.Header.Get(webhook.IDHeader), Path: req.URL.Path, Came: time.Now()}
	hook.Attempt, _ = strconv.Atoi(req.Header.Get("vigil-attempt"))
	raw, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBodyBytes))
	if err != nil {
		http.Error(w, "body too long or cut short", http.StatusBadRequest)
		return
	}
	hook.Signed = r.signer.Verify(req.Header.Get, raw, hook.Came)
	if hook.Signed == nil {
		if err := json.Unmarshal(raw, &hook.Body); err != nil {
			http.Error(w, "body is no native body", http.StatusBadRequest)
			return
		}
	}
	r.tell(hook)
	if hook.Signed != nil {
		http.Error(w, hook.Signed.Error(), http.StatusUnauthorized)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}
