package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"vigil/config/endpoints"
	"vigil/sink/core"
	"vigil/sink/egress"
	"vigil/webhook"
)

// exchange is one attempt, word for word. Headers that may hold secrets are masked.
type exchange struct {
	Method  string      `json:"method,omitempty"` // empty where no request was made
	URL     string      `json:"url,omitempty"`
	Sent    http.Header `json:"sent,omitempty"`
	Body    string      `json:"body,omitempty"`
	Remote  string      `json:"remote,omitempty"`
	Proto   string      `json:"proto,omitempty"`
	Status  string      `json:"status,omitempty"` // empty where there was no answer
	Headers http.Header `json:"headers,omitempty"`
	Answer  string      `json:"answer,omitempty"` // first 4 KiB of the body, where printable
	TookMS  int64       `json:"took_ms"`
	Outcome string      `json:"outcome"` // success, retryable, permanent or infra
	Reason  string      `json:"reason,omitempty"`
}

// rehearse makes one attempt as the sink would: guard, signature, auth and timeout are those of the endpoint. The error is
// one of settings: then nothing was sent.
func rehearse(ctx context.Context, policy egress.Policy, from endpoints.Endpoint, d *webhook.Delivery) (*exchange, error) {
	x := &exchange{}
	policy.KeepResponses, policy.Watch = true, func(next http.RoundTripper) http.RoundTripper { return &witness{next, x} }
	set, err := egress.NewEndpoints(&policy, []endpoints.Endpoint{from})
	if err != nil {
		return nil, err
	}
	sender, err := egress.NewSender(&policy)
	if err != nil {
		return nil, err
	}
	defer sender.Close()
	e := set.Find(from.Name)
	a := sender.Send(ctx, e, d)
	x.judge(e.Plan(d, time.Now()), &a)
	if x.Method != "" {
		x.Body = string(d.Body)
	}
	return x, nil
}

// judge adds what the sink makes of the answer.
func (x *exchange) judge(p core.Plan, a *core.Answer) {
	x.Remote, x.TookMS, x.Answer = a.Remote, a.Latency.Milliseconds(), a.Body
	class := a.Class
	if !a.Failed {
		class = p.StatusClass(a.Status)
	}
	x.Outcome = map[core.Class]string{core.Success: "success", core.Retryable: "retryable", core.Permanent: "permanent", core.Ours: "infra"}[class]
	if a.Failed {
		x.Reason = core.Cut(a.Code+": "+a.Err.Error(), webhook.MaxReasonBytes)
	}
}

// witness notes the last request that is a webhook, and its answer.
type witness struct {
	next http.RoundTripper
	x    *exchange
}

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Header.Get(webhook.IDHeader) == "" { // for a token
		return w.next.RoundTrip(r)
	}
	*w.x = exchange{Method: r.Method, URL: r.URL.Redacted(), Sent: masked(r.Header)}
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	w.x.Proto, w.x.Status, w.x.Headers = resp.Proto, resp.Status, masked(resp.Header)
	return resp, nil
}

// masked is a copy of headers without the values of those that may hold a secret.
func masked(h http.Header) http.Header {
	h = h.Clone()
	for name := range h {
		lower := strings.ToLower(name)
		for _, word := range [...]string{"auth", "cookie", "cred", "key", "pass", "secret", "token"} {
			if strings.Contains(lower, word) {
				h[name] = []string{"***"}
			}
		}
	}
	return h
}

func printExchange(w io.Writer, x *exchange, output string) error {
	if output == "json" {
		return json.NewEncoder(w).Encode(x)
	}
	var b strings.Builder
	if x.Method != "" {
		fmt.Fprintf(&b, "> %s %s\n%s>\n", x.Method, clean(x.URL), headerLines("> ", x.Sent))
		fmt.Fprintf(&b, "%s\n\n", printed(x.Body))
	}
	if x.Remote != "" {
		fmt.Fprintf(&b, "  %s, %d ms\n\n", x.Remote, x.TookMS)
	}
	if x.Status != "" {
		fmt.Fprintf(&b, "< %s %s\n%s<\n%s\n\n", x.Proto, clean(x.Status), headerLines("< ", x.Headers), printed(x.Answer))
	}
	fmt.Fprintf(&b, "%s", x.Outcome)
	if x.Reason != "" {
		fmt.Fprintf(&b, ": %s", clean(x.Reason))
	}
	_, err := fmt.Fprintln(w, b.String())
	return err
}

func headerLines(mark string, h http.Header) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			fmt.Fprintf(&b, "%s%s: %s\n", mark, clean(name), clean(value))
		}
	}
	return b.String()
}

// printed is a body for a terminal: its lines as they are, what cannot be printed escaped.
func printed(text string) string {
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, l := range lines {
		lines[i] = clean(strings.TrimRight(l, "\r"))
	}
	return strings.Join(lines, "\n")
}
