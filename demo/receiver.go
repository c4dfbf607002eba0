package demo

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	maxBodyBytes = 1 << 20
	tolerance    = 5 * time.Minute // between the timestamp of an attempt and our clock
)

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

// Act is an event as a webhook tells of it.
type Act struct {
	Type       string         `json:"type"`
	Time       time.Time      `json:"time"`
	Properties map[string]any `json:"properties"`
}

// Receiver is an endpoint as the shop would write it: it checks the signature, answers at once and hands the webhook
// over. It shares no code with the signer.
type Receiver struct {
	key  []byte
	tell func(Webhook)
}

// NewReceiver takes a Standard Webhooks secret, "whsec_" and base64; tell may be called by many goroutines at once.
func NewReceiver(secret string, tell func(Webhook)) (*Receiver, error) {
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) == 0 {
		return nil, errors.New("a secret is whsec_ and base64")
	}
	return &Receiver{key: key, tell: tell}, nil
}

// ServeHTTP answers 204 to a webhook that is signed, 401 to one that is not, 400 to one that cannot be read.
func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	hook := Webhook{ID: req.Header.Get("webhook-id"), Path: req.URL.Path, Came: time.Now()}
	hook.Attempt, _ = strconv.Atoi(req.Header.Get("vigil-attempt"))
	raw, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBodyBytes))
	if err != nil {
		http.Error(w, "body too long or cut short", http.StatusBadRequest)
		return
	}
	hook.Signed = r.verify(req.Header, raw, hook.Came)
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

// verify is the check of Standard Webhooks: any v1 signature of the list that fits will do.
func (r *Receiver) verify(h http.Header, raw []byte, now time.Time) error {
	id, stamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || id == "" {
		return errors.New("webhook-id or webhook-timestamp missing")
	}
	if age := now.Sub(time.Unix(seconds, 0)); age.Abs() > tolerance {
		return fmt.Errorf("timestamp is %s off", age.Round(time.Second))
	}
	mac := hmac.New(sha256.New, r.key)
	fmt.Fprintf(mac, "%s.%s.%s", id, stamp, raw)
	want := mac.Sum(nil)
	for _, signature := range strings.Fields(h.Get("webhook-signature")) {
		encoded, v1 := strings.CutPrefix(signature, "v1,")
		got, err := base64.StdEncoding.DecodeString(encoded)
		if v1 && err == nil && hmac.Equal(got, want) {
			return nil
		}
	}
	return errors.New("no signature fits")
}
