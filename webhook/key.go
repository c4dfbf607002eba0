package webhook

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"slices"
	"strings"
	"sync"
)

const (
	sharedPrefix  = "whsec_" // HMAC-SHA256, signatures v1
	privatePrefix = "whsk_"  // ed25519, signatures v1a
	publicPrefix  = "whpk_"
	sharedMark    = "v1,"
	publicMark    = "v1a,"

	minSharedBytes = 24
	maxSharedBytes = 64
)

var (
	errSecret  = errors.New("a secret is whsec_ followed by base64 of 24 to 64 bytes, or whsk_ followed by base64 of an ed25519 private key")
	errPublic  = errors.New("a public key is whpk_ followed by base64 of 32 bytes")
	errTwoPart = errors.New("the public half of the whsk_ key does not belong to its seed")
)

// verifyingKey tells whether a signature, with its mark, is of head and body.
type verifyingKey interface {
	matches(signature string, head, body []byte) bool
}

// signingKey signs head and body and appends the signature with its mark.
type signingKey interface {
	verifyingKey
	append(dst, head, body []byte) []byte
	size() int
}

func newSigningKey(secret string) (signingKey, error) {
	if encoded, ok := strings.CutPrefix(secret, sharedPrefix); ok {
		key := decode(encoded)
		if len(key) < minSharedBytes || len(key) > maxSharedBytes {
			return nil, errSecret
		}
		k := &sharedKey{}
		k.states.New = func() any { return &state{Hash: hmac.New(sha256.New, key)} }
		return k, nil
	}
	encoded, ok := strings.CutPrefix(secret, privatePrefix)
	key := decode(encoded)
	if !ok || len(key) != ed25519.SeedSize && len(key) != ed25519.PrivateKeySize {
		return nil, errSecret
	}
	private := ed25519.NewKeyFromSeed(key[:ed25519.SeedSize])
	if len(key) == ed25519.PrivateKeySize && !bytes.Equal(key, private) {
		return nil, errTwoPart
	}
	return &privateKey{publicKey(private[ed25519.SeedSize:]), private}, nil
}

func newVerifyingKey(text string) (verifyingKey, error) {
	encoded, ok := strings.CutPrefix(text, publicPrefix)
	if !ok {
		return newSigningKey(text)
	}
	key := decode(encoded)
	if len(key) != ed25519.PublicKeySize {
		return nil, errPublic
	}
	return publicKey(key), nil
}

// decode reads base64 with or without padding; nil where it is none.
func decode(encoded string) []byte {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(encoded, "="))
	if err != nil {
		return nil
	}
	return raw
}

// sharedKey is a secret that both sides hold. Its HMAC states are pooled, since a fresh one costs five times the
// signature itself.
type sharedKey struct{ states sync.Pool }

// state is an HMAC state and room for its result.
type state struct {
	hash.Hash
	sum [sha256.Size]byte
}

func (k *sharedKey) size() int { return len(sharedMark) + base64.StdEncoding.EncodedLen(sha256.Size) }

func (k *sharedKey) append(dst, head, body []byte) []byte {
	h := k.states.Get().(*state)
	defer k.states.Put(h)
	h.Reset()
	h.Write(head)
	h.Write(body)
	return base64.StdEncoding.AppendEncode(append(dst, sharedMark...), h.Sum(h.sum[:0]))
}

// matches compares in constant time.
func (k *sharedKey) matches(signature string, head, body []byte) bool {
	return hmac.Equal(k.append(nil, head, body), []byte(signature))
}

// publicKey is what a receiver holds of an ed25519 pair.
type publicKey ed25519.PublicKey

func (k publicKey) matches(signature string, head, body []byte) bool {
	encoded, ok := strings.CutPrefix(signature, publicMark)
	if !ok {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	return err == nil && len(raw) == ed25519.SignatureSize && ed25519.Verify(ed25519.PublicKey(k), slices.Concat(head, body), raw)
}

// privateKey is the pair.
type privateKey struct {
	publicKey
	private ed25519.PrivateKey
}

func (k *privateKey) size() int {
	return len(publicMark) + base64.StdEncoding.EncodedLen(ed25519.SignatureSize)
}

func (k *privateKey) append(dst, head, body []byte) []byte {
	return base64.StdEncoding.AppendEncode(append(dst, publicMark...), ed25519.Sign(k.private, slices.Concat(head, body)))
}
