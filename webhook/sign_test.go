package webhook_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"pgregory.net/rapid"

	"vigil/webhook"
)

// vector is one signature that must come out just so.
type vector struct {
	Name      string   `json:"name"`
	Secrets   []string `json:"secrets"`
	Public    []string `json:"public"` // what receivers hold, beside secrets; empty: the secrets
	ID        string   `json:"id"`
	Timestamp int64    `json:"timestamp"`
	Body      string   `json:"body"`
	Signature string   `json:"signature"`
}

func TestVectors(t *testing.T) {
	files, err := filepath.Glob("testdata/sign_*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no vectors: %v", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var vectors []vector
		if err := json.Unmarshal(text, &vectors); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, v := range vectors {
			t.Run(v.Name, v.check)
		}
	}
}

func (v vector) check(t *testing.T) {
	s, err := webhook.NewSigner(v.Secrets...)
	if err != nil {
		t.Fatal(err)
	}
	if got := s.Sign(v.ID, v.Timestamp, []byte(v.Body)); got != v.Signature {
		t.Errorf("got %s, want %s", got, v.Signature)
	}
	for i, key := range append(v.Secrets, v.Public...) {
		alone, err := webhook.NewVerifier(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := alone.Verify(signed(s, v.ID, v.Timestamp, v.Body).Get, []byte(v.Body), time.Unix(v.Timestamp, 0)); err != nil {
			t.Errorf("key %d alone: %v", i+1, err)
		}
	}
}

func signed(s *webhook.Signer, id string, unix int64, body string) http.Header {
	h := http.Header{}
	h.Set("webhook-id", id)
	h.Set("webhook-timestamp", strconv.FormatInt(unix, 10))
	h.Set("webhook-signature", s.Sign(id, unix, []byte(body)))
	return h
}

// TestTheLibraryVerifies: what we sign, the public library of Standard Webhooks accepts, with each secret of a rotation.
func TestTheLibraryVerifies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		key := rapid.SliceOfN(rapid.Byte(), 24, 64)
		secrets := []string{secretOf(key.Draw(t, "old")), secretOf(key.Draw(t, "new"))}
		seed := rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "seed")
		body := rapid.SliceOf(rapid.Byte()).Draw(t, "body")
		s, err := webhook.NewSigner(secrets[0], privateOf(seed), secrets[1])
		if err != nil {
			t.Fatal(err)
		}
		h := signed(s, "0123456789abcdef", time.Now().Unix(), string(body))
		for _, secret := range secrets {
			library, err := standardwebhooks.NewWebhook(secret)
			if err != nil {
				t.Fatal(err)
			}
			if err := library.Verify(body, h); err != nil {
				t.Fatal(err)
			}
		}
		other, err := standardwebhooks.NewWebhook(secretOf([]byte(strings.Repeat("x", 24))))
		if err != nil {
			t.Fatal(err)
		}
		if other.Verify(body, h) == nil {
			t.Fatal("another secret verifies")
		}
		if err := s.Verify(h.Get, append(body, 'x'), time.Now()); !errors.Is(err, webhook.ErrNoSignature) {
			t.Fatalf("another body: %v", err)
		}
	})
}

func secretOf(key []byte) string { return "whsec_" + base64.StdEncoding.EncodeToString(key) }

func privateOf(seed []byte) string { return "whsk_" + base64.StdEncoding.EncodeToString(seed) }

// TestPublicKeys: with the public key alone v1a verifies and nothing else does, and nobody can sign with it.
func TestPublicKeys(t *testing.T) {
	seed := make([]byte, ed25519.SeedSize)
	private := ed25519.NewKeyFromSeed(seed)
	public := "whpk_" + base64.StdEncoding.EncodeToString(private[32:])
	s, err := webhook.NewSigner(secretOf(make([]byte, 24)), privateOf(seed))
	if err != nil {
		t.Fatal(err)
	}
	v, err := webhook.NewVerifier(public)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	h := signed(s, "f1", now.Unix(), "{}")
	if err := v.Verify(h.Get, []byte("{}"), now); err != nil {
		t.Error(err)
	}
	both := h.Get("webhook-signature")
	hmacOnly, edOnly, _ := strings.Cut(both, " ")
	for name, c := range map[string]struct{ list, body string }{
		"another body":        {both, "{} "},
		"hmac only":           {hmacOnly, "{}"},
		"as v1":               {strings.Replace(edOnly, "v1a,", "v1,", 1), "{}"},
		"cut":                 {edOnly[:len(edOnly)-4], "{}"},
		"after many others":   {strings.Repeat("v1a,x ", 16) + edOnly, "{}"},
		"twice as long":       {edOnly + edOnly[4:], "{}"},
		"no signature at all": {"v1a,", "{}"},
	} {
		h.Set("webhook-signature", c.list)
		if err := v.Verify(h.Get, []byte(c.body), now); !errors.Is(err, webhook.ErrNoSignature) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := webhook.NewSigner(public); err == nil {
		t.Error("a public key signs")
	}
	for _, key := range []string{"", "whpk_", public + "AAAA", "whpk_!", "whsk_" + base64.StdEncoding.EncodeToString(append(private[32:], private[32:]...))} {
		if _, err := webhook.NewVerifier(public, key); err == nil || !strings.Contains(err.Error(), "key 2") {
			t.Errorf("%q: %v", key, err)
		}
	}
}

func TestVerifyRefuses(t *testing.T) {
	s, err := webhook.NewSigner(secretOf([]byte(strings.Repeat("k", 32))))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Unix(1_800_000_000, 0)
	good := func() http.Header { return signed(s, "f1", now.Unix(), "{}") }
	with := func(name, value string) http.Header {
		h := good()
		h.Set(name, value)
		return h
	}
	for name, c := range map[string]struct {
		header http.Header
		at     time.Time
		want   error
	}{
		"good":                 {good(), now, nil},
		"5 minutes early":      {good(), now.Add(-5 * time.Minute), nil},
		"5 minutes late":       {good(), now.Add(5 * time.Minute), nil},
		"too early":            {good(), now.Add(-5*time.Minute - time.Second), webhook.ErrTimestamp},
		"too late":             {good(), now.Add(5*time.Minute + time.Second), webhook.ErrTimestamp},
		"no id":                {with("webhook-id", ""), now, webhook.ErrNotSigned},
		"another id":           {with("webhook-id", "f2"), now, webhook.ErrNoSignature},
		"no timestamp":         {with("webhook-timestamp", ""), now, webhook.ErrNotSigned},
		"odd timestamp":        {with("webhook-timestamp", "+1800000000"), now, webhook.ErrNotSigned},
		"timestamp overflow":   {with("webhook-timestamp", "-9223372036854775808"), now, webhook.ErrTimestamp},
		"no signature":         {with("webhook-signature", ""), now, webhook.ErrNotSigned},
		"unknown version":      {with("webhook-signature", "v2,"+good().Get("webhook-signature")[3:]), now, webhook.ErrNoSignature},
		"one of several":       {with("webhook-signature", "v1a,xx v1,yy "+good().Get("webhook-signature")), now, nil},
		"cut":                  {with("webhook-signature", good().Get("webhook-signature")[:40]), now, webhook.ErrNoSignature},
		"signature of nothing": {with("webhook-signature", "v1,"), now, webhook.ErrNoSignature},
	} {
		if err := s.Verify(c.header.Get, []byte("{}"), c.at); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
	var none *webhook.Signer
	if none.Sign("f1", 1, nil) != "" || !errors.Is(none.Verify(good().Get, nil, now), webhook.ErrNotSigned) {
		t.Error("a signer without secrets signs or verifies")
	}
}

func TestNewSignerRefuses(t *testing.T) {
	if s, err := webhook.NewSigner(); s != nil || err != nil {
		t.Errorf("no secrets: %v, %v", s, err)
	}
	for _, secret := range []string{
		"", "whsec_", "plain", "whsec_!!!", secretOf(make([]byte, 23)), secretOf(make([]byte, 65)),
		privateOf(make([]byte, 31)), privateOf(make([]byte, 64)), "whpk_" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
	} {
		_, err := webhook.NewSigner(secretOf(make([]byte, 24)), secret)
		if err == nil || !strings.Contains(err.Error(), "secret 2") || len(secret) > 8 && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: %v", secret, err)
		}
	}
}

func TestSignerIsSafeForManyGoroutines(t *testing.T) {
	s, err := webhook.NewSigner(secretOf(make([]byte, 32)), privateOf(make([]byte, 32)))
	if err != nil {
		t.Fatal(err)
	}
	want := s.Sign("f1", 7, []byte("body"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if s.Sign("f1", 7, []byte("body")) != want {
					t.Error("signatures differ")
				}
			}
		})
	}
	wg.Wait()
}

func FuzzVerify(f *testing.F) {
	s, err := webhook.NewSigner(secretOf(make([]byte, 32)))
	if err != nil {
		f.Fatal(err)
	}
	f.Add("f1", "1800000000", "v1,abc", []byte("{}"))
	f.Add("", "-1", "v1, v1,", []byte(nil))
	f.Fuzz(func(t *testing.T, id, stamp, list string, body []byte) {
		h := http.Header{"Webhook-Id": {id}, "Webhook-Timestamp": {stamp}, "Webhook-Signature": {list}}
		if err := s.Verify(h.Get, body, time.Unix(1_800_000_000, 0)); err == nil && !strings.Contains(list, s.Sign(id, 1_800_000_000, body)) {
			n, _ := strconv.ParseInt(stamp, 10, 64)
			if !strings.Contains(list, s.Sign(id, n, body)) {
				t.Error("a signature that is not ours verifies")
			}
		}
	})
}

func BenchmarkSign(b *testing.B) {
	for name, secret := range map[string]string{"v1": secretOf(make([]byte, 32)), "v1a": privateOf(make([]byte, 32))} {
		b.Run(name, func(b *testing.B) {
			s, err := webhook.NewSigner(secret)
			if err != nil {
				b.Fatal(err)
			}
			body := []byte(strings.Repeat("x", 500))
			b.ReportAllocs()
			for b.Loop() {
				s.Sign("0123456789abcdef0123456789abcdef", 1_800_000_000, body)
			}
		})
	}
}
