// Command receivers is a receiver of vigil's webhooks: it verifies, answers at once, does each thing once, and orders by
// `at`. The same in Python, Node and Java stands beside it.
//
//	WEBHOOK_SECRETS="whsec_..." PORT=8080 go run receiver.go
package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	maxBody   = 2 << 20
	tolerance = 5 * time.Minute
	remember  = 100_000 // ids
)

// receiver knows its keys and what it has taken.
type receiver struct {
	keys []string // whsec_ or whpk_; several while one is being replaced
	work chan hook
	mu   sync.Mutex // guards what follows
	seen map[string]bool
	old  []string // ids in the order they came
}

type hook struct {
	id   string
	body []byte
}

func main() {
	r := &receiver{keys: strings.Fields(os.Getenv("WEBHOOK_SECRETS")), work: make(chan hook, 1000), seen: map[string]bool{}}
	port := os.Getenv("PORT")
	if port == "" {
		port = "8080"
	}
	l, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		panic(err)
	}
	go r.doWork()
	fmt.Fprintln(os.Stdout, "listening on", l.Addr())
	server := &http.Server{Handler: r, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute} // vigil keeps an idle connection for 30 s
	panic(server.Serve(l))
}

// ServeHTTP implements http.Handler: any 2xx within 5 s is a success, so it answers before it works.
func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, maxBody)) // the raw bytes, not JSON written anew
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case err != nil || !r.verified(req.Header, body):
		w.WriteHeader(http.StatusUnauthorized)
	case r.take(hook{req.Header.Get("webhook-id"), body}):
		w.WriteHeader(http.StatusNoContent)
	default:
		w.Header().Set("Retry-After", "10")
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

func (r *receiver) verified(h http.Header, body []byte) bool {
	id, stamp := h.Get("webhook-id"), h.Get("webhook-timestamp")
	unix, err := strconv.ParseInt(stamp, 10, 64)
	if id == "" || err != nil || time.Since(time.Unix(unix, 0)).Abs() > tolerance {
		return false
	}
	content := append([]byte(id+"."+stamp+"."), body...)
	signatures := strings.SplitN(h.Get("webhook-signature"), " ", 17)
	for _, key := range r.keys {
		for _, signature := range signatures[:min(len(signatures), 16)] {
			if matches(key, signature, content) {
				return true
			}
		}
	}
	return false
}

func matches(key, signature string, content []byte) bool {
	kind, encoded, _ := strings.Cut(key, "_")
	mark, given, _ := strings.Cut(signature, ",")
	secret, err := base64.StdEncoding.DecodeString(encoded)
	got, err2 := base64.StdEncoding.DecodeString(given)
	if err != nil || err2 != nil {
		return false
	}
	switch {
	case kind == "whsec" && mark == "v1":
		mac := hmac.New(sha256.New, secret)
		mac.Write(content)
		return hmac.Equal(mac.Sum(nil), got) // constant time
	case kind == "whpk" && mark == "v1a" && len(secret) == ed25519.PublicKeySize:
		return ed25519.Verify(secret, content, got)
	}
	return false
}

// take is true once the webhook is ours to do. A real receiver inserts into a table whose key is the id, before it
// answers.
func (r *receiver) take(h hook) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seen[h.id] {
		return true
	}
	select {
	case r.work <- h:
	default:
		return false
	}
	r.seen[h.id] = true
	if r.old = append(r.old, h.id); len(r.old) > remember {
		delete(r.seen, r.old[0])
		r.old = r.old[1:]
	}
	return true
}

func (r *receiver) doWork() {
	newest := map[string]string{} // at, by user
	for h := range r.work {
		var body struct{ User, At string }
		if json.Unmarshal(h.body, &body) != nil {
			continue // its signature was right: tell somebody
		}
		if body.At < newest[body.User] { // RFC 3339 in UTC with ms: text compares as time
			fmt.Fprintln(os.Stdout, "late", h.id) // webhooks come in any order
			continue
		}
		newest[body.User] = body.At
		fmt.Fprintln(os.Stdout, "done", h.id)
	}
}
