package soak

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"vigil/webhook"
)

const (
	editsABeat   = 2  // files
	rotateEvery  = 6  // beats
	hangupEvery  = 12 // beats: SIGHUP
	secretsValid = 3  // the newest, the one before, and one more for what is under way
)

// changes are what was done to the endpoints.
type changes struct{ guests, edits, secrets, hangups, campaigns int }

// build makes all endpoints and their files.
func (r *run) build() {
	r.T.Helper()
	if err := os.MkdirAll(r.Path("endpoints"), 0o755); err != nil {
		r.T.Fatal(err)
	}
	if err := r.rotate(); err != nil {
		r.T.Fatal(err)
	}
	r.T.Cleanup(func() {
		for _, h := range r.streetNow() {
			h.close()
		}
	})
	for k := range kindCount {
		if k == gone && !r.long { // its deliveries are parked for a minute
			continue
		}
		for i := range habits[k].count {
			r.enter(nil, k, i)
		}
	}
	if len(r.errs) > 0 {
		r.T.Fatal(r.errs)
	}
}

// enter adds a house and its file; out, where it is one, leaves at the same time.
func (r *run) enter(out *house, k kind, number int) {
	in := r.house(fmt.Sprintf("e%02d-%d", k, number), k, number)
	r.must(r.file(in))
	r.move(out, in)
	if out != nil {
		r.must(os.Remove(r.Path("endpoints", out.name+".yaml")))
		out.close()
	}
}

// file writes the file of an endpoint, in one go: a file that is read half is no fault of the sink's.
func (r *run) file(h *house) error {
	text := fmt.Sprintf("name: %s\nurl: %s/hooks?edit=%d\nsecrets: [%s]\nallow_http: true\nallow_private: true\nretry_delays: [%s]\n"+
		"headers: {x-edit: %q}\nrate: %d/s\n%s", h.name, h.url, h.edits, strings.Join(r.secrets(), ", "), r.delays,
		fmt.Sprint(h.edits), 500+h.edits%2, habits[h.kind].more)
	return r.place(filepath.Join("endpoints", h.name+".yaml"), text)
}

func (r *run) place(name, text string) error {
	next := r.Path(name + ".next")
	if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(next, r.Path(name))
}

// secrets are the references of the newest secret and of the one before.
func (r *run) secrets() []string {
	refs := []string{fmt.Sprintf("%q", "file:"+r.Path(secretName(r.edited.secrets)))}
	if n := r.edited.secrets - 1; n > 0 {
		refs = append(refs, fmt.Sprintf("%q", "file:"+r.Path(secretName(n))))
	}
	return refs
}

func secretName(n int) string { return fmt.Sprintf("secret-%d", n) }

func secretText(n int) string {
	sum := sha256.Sum256([]byte(secretName(n)))
	return "whsec_" + base64.StdEncoding.EncodeToString(sum[:])
}

// rotate makes a new secret, which the receivers know before any file names it, and lets go of the oldest.
func (r *run) rotate() error {
	n := r.edited.secrets + 1
	var valid []string
	for i := n; i > max(0, n-secretsValid); i-- {
		valid = append(valid, secretText(i))
	}
	verifier, err := webhook.NewVerifier(valid...)
	if err != nil {
		return err
	}
	r.verifier.Store(verifier)
	if err := r.place(secretName(n), secretText(n)); err != nil {
		return err
	}
	r.edited.secrets = n
	return nil
}

// churn changes the folder of endpoints, again and again, until ctx ends.
func (r *run) churn(ctx context.Context) {
	chance, beat := r.chance(2), time.NewTicker(r.beat)
	defer beat.Stop()
	for n := 1; ; n++ {
		select {
		case <-beat.C:
		case <-ctx.Done():
			return
		}
		street := r.streetNow()
		if n%rotateEvery == 0 {
			r.must(r.rotate())
			for _, h := range street {
				r.must(r.file(h))
			}
		}
		for range editsABeat {
			h := street[chance.IntN(len(street))]
			h.edits++
			r.edited.edits++
			r.must(r.file(h))
		}
		r.edited.guests++
		r.enter(oldestGuest(street), guest, habits[guest].count+r.edited.guests)
		if n%hangupEvery == 0 {
			r.edited.hangups++
			r.must(r.sink.Signal(syscall.SIGHUP))
		}
	}
}

func oldestGuest(street []*house) *house {
	for _, h := range street {
		if h.kind == guest {
			return h
		}
	}
	return nil
}
