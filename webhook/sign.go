package webhook

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Names of the headers of Standard Webhooks (delivery 7), in the canonical form of net/http.
const (
	IDHeader        = "Webhook-Id"
	TimestampHeader = "Webhook-Timestamp"
	SignatureHeader = "Webhook-Signature"
)

// Tolerance is how far a signature's timestamp may be from the receiver's clock.
const Tolerance = 5 * time.Minute

const maxSignatures = 16 // of one header that are compared

// What Verify refuses.
var (
	ErrNotSigned   = errors.New("webhook-id, webhook-timestamp or webhook-signature is missing or malformed")
	ErrTimestamp   = errors.New("webhook-timestamp is more than 5 minutes from now")
	ErrNoSignature = errors.New("no signature matches")
)

// Signer signs with every secret of an endpoint: two of them while one is being replaced. It may be used by several
// goroutines.
type Signer struct {
	keys []signingKey
	size int // of what Sign returns
}

// NewSigner makes a signer from secrets: whsec_ + base64 of 24 to 64 bytes signs as v1 (HMAC-SHA256), whsk_ + base64 of
// an ed25519 private key (its seed of 32 bytes, or seed and public key) as v1a, which costs some forty times as much.
// Without any it is nil, which signs nothing. An error names the secret by its position and never quotes it.
func NewSigner(secrets ...string) (*Signer, error) {
	if len(secrets) == 0 {
		return nil, nil
	}
	s := &Signer{}
	for i, secret := range secrets {
		key, err := newSigningKey(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		s.keys = append(s.keys, key)
		s.size += key.size() + 1
	}
	return s, nil
}

// Sign is the value of webhook-signature: one signature per secret, separated by spaces. unix is the time of the
// attempt in seconds and equals webhook-timestamp.
func (s *Signer) Sign(id string, unix int64, body []byte) string {
	if s == nil {
		return ""
	}
	var buf [96]byte
	head, out := appendHead(buf[:0], id, unix), make([]byte, 0, s.size)
	for i, k := range s.keys {
		if i > 0 {
			out = append(out, ' ')
		}
		out = k.append(out, head, body)
	}
	return string(out)
}

// appendHead appends what is signed before the body: id.timestamp. with its dots.
func appendHead(dst []byte, id string, unix int64) []byte {
	dst = append(append(dst, id...), '.')
	return append(strconv.AppendInt(dst, unix, 10), '.')
}

// Verify is Verifier.Verify with the signer's own secrets.
func (s *Signer) Verify(header func(name string) string, body []byte, now time.Time) error {
	if s == nil {
		return ErrNotSigned
	}
	v := Verifier{keys: make([]verifyingKey, len(s.keys))}
	for i, k := range s.keys {
		v.keys[i] = k
	}
	return v.Verify(header, body, now)
}

// Verifier is the receiver's side.
type Verifier struct{ keys []verifyingKey }

// NewVerifier makes a verifier from what the receiver holds: whsec_ secrets, whpk_ + base64 of an ed25519 public key, and
// whsk_ too. An error names the key by its position and never quotes it.
func NewVerifier(keys ...string) (*Verifier, error) {
	v := &Verifier{}
	for i, text := range keys {
		key, err := newVerifyingKey(text)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		v.keys = append(v.keys, key)
	}
	return v, nil
}

// Verify tells whether the request with this body was signed with one of the keys within Tolerance of now. header reads a request header, as http.Header.Get does. Comparison takes constant
// time.
func (v *Verifier) Verify(header func(name string) string, body []byte, now time.Time) error {
	id, stamp, list := header(IDHeader), header(TimestampHeader), header(SignatureHeader)
	if id == "" || stamp == "" || list == "" {
		return ErrNotSigned
	}
	unix, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || strconv.FormatInt(unix, 10) != stamp {
		return ErrNotSigned
	}
	if limit := int64(Tolerance / time.Second); unix < now.Unix()-limit || unix > now.Unix()+limit {
		return ErrTimestamp
	}
	head, signatures := appendHead(nil, id, unix), strings.SplitN(list, " ", maxSignatures+1)
	signatures = signatures[:min(len(signatures), maxSignatures)]
	for _, k := range v.keys {
		for _, signature := range signatures {
			if k.matches(signature, head, body) {
				return nil
			}
		}
	}
	return ErrNoSignature
}
