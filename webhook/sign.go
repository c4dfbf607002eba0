package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"sync"
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

const (
	secretPrefix    = "whsec_"
	minSecretBytes  = 24
	maxSecretBytes  = 64
	signaturePrefix = "v1,"
)

// What Verify refuses.
var (
	ErrNotSigned    = errors.New("webhook-id, webhook-timestamp or webhook-signature is missing or malformed")
	ErrTimestamp    = errors.New("webhook-timestamp is more than 5 minutes from now")
	ErrNoSignature  = errors.New("no signature matches")
	errSecretFormat = errors.New("a secret is whsec_ followed by base64 of 24 to 64 bytes")
)

// Signer signs with every secret of an endpoint: two of them while one is being replaced. It may be used by several
// goroutines; HMAC states are pooled, since a fresh one costs five times the signature itself.
type Signer struct{ keys []*signingKey }

type signingKey struct{ states sync.Pool }

// NewSigner makes a signer from secrets in the form whsec_BASE64; without any it is nil, which signs nothing. An error
// names the secret by its position and never quotes it.
func NewSigner(secrets ...string) (*Signer, error) {
	if len(secrets) == 0 {
		return nil, nil
	}
	s := &Signer{}
	for i, secret := range secrets {
		key, err := decodeSecret(secret)
		if err != nil {
			return nil, fmt.Errorf("secret %d: %w", i+1, err)
		}
		k := &signingKey{}
		k.states.New = func() any { return hmac.New(sha256.New, key) }
		s.keys = append(s.keys, k)
	}
	return s, nil
}

func decodeSecret(secret string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(secret, secretPrefix)
	if !ok {
		return nil, errSecretFormat
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		key, err = base64.RawStdEncoding.DecodeString(encoded)
	}
	if err != nil || len(key) < minSecretBytes || len(key) > maxSecretBytes {
		return nil, errSecretFormat
	}
	return key, nil
}

// Sign is the value of webhook-signature: one signature per secret, separated by spaces. unix is the time of the
// attempt in seconds and equals webhook-timestamp.
func (s *Signer) Sign(id string, unix int64, body []byte) string {
	if s == nil {
		return ""
	}
	out := make([]byte, 0, 48*len(s.keys))
	for i, k := range s.keys {
		if i > 0 {
			out = append(out, ' ')
		}
		out = append(out, signaturePrefix...)
		out = k.appendSum(out, id, unix, body)
	}
	return string(out)
}

// appendSum appends base64(HMAC-SHA256(id.timestamp.body)).
func (k *signingKey) appendSum(dst []byte, id string, unix int64, body []byte) []byte {
	h := k.states.Get().(hash.Hash)
	defer k.states.Put(h)
	h.Reset()
	var buf [96]byte
	head := append(buf[:0], id...)
	head = append(head, '.')
	head = strconv.AppendInt(head, unix, 10)
	head = append(head, '.')
	h.Write(head)
	h.Write(body)
	return base64.StdEncoding.AppendEncode(dst, h.Sum(buf[:0]))
}

// Verify is the receiver's side: it tells whether the request with this body was signed with one of the signer's
// secrets within Tolerance of now. header reads a request header, as http.Header.Get does. Comparison takes constant
// time.
func (s *Signer) Verify(header func(name string) string, body []byte, now time.Time) error {
	id, stamp, list := header(IDHeader), header(TimestampHeader), header(SignatureHeader)
	if s == nil || id == "" || stamp == "" || list == "" {
		return ErrNotSigned
	}
	unix, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || strconv.FormatInt(unix, 10) != stamp {
		return ErrNotSigned
	}
	if limit := int64(Tolerance / time.Second); unix < now.Unix()-limit || unix > now.Unix()+limit {
		return ErrTimestamp
	}
	for _, k := range s.keys {
		want := k.appendSum([]byte(signaturePrefix), id, unix, body)
		for got := range strings.SplitSeq(list, " ") {
			if hmac.Equal(want, []byte(got)) {
				return nil
			}
		}
	}
	return ErrNoSignature
}
