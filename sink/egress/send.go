package egress

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	"vigil/config/endpoints"
	"vigil/sink/core"
	"vigil/webhook"
)

const (
	maxDrain  = 16 << 10    // bytes of an answer's body that are read
	minRedial = time.Second // of the deadline that must be left for the free redial
)

// Sender makes attempts. It is used by all workers at a time.
type Sender struct {
	policy *Policy
	agent  string // the user-agent
	routes *routes
	drains sync.Pool
}

// NewSender makes a sender with its own pool of connections; Close gives them back. It errs where the proxy of the policy
// cannot be used.
func NewSender(p *Policy) (*Sender, error) {
	routes, err := newRoutes(p)
	if err != nil {
		return nil, err
	}
	s := &Sender{policy: p, agent: "vigil/" + p.Version, routes: routes}
	s.drains.New = func() any { b := make([]byte, maxDrain); return &b }
	return s, nil
}

// Send makes one attempt: everything within the endpoint's timeout. A connection from the pool that turns out to be
// dead before the first byte of an answer is replaced once, at no cost for the delivery; so is a token that is refused.
func (s *Sender) Send(ctx context.Context, e *Endpoint, d *webhook.Delivery) core.Answer {
	start := time.Now()
	u, err := e.url(s.policy, d)
	if err != nil {
		return failed(err)
	}
	header, err := s.header(e, d, start)
	if err != nil {
		return failed(err)
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	t := try{s: s, e: e, d: d, url: u, header: header, start: start, client: s.routes.client(e)}
	if e.tokens == nil {
		return t.send(ctx)
	}
	return t.sendWithToken(ctx)
}

// try is one attempt in the making.
type try struct {
	s      *Sender
	e      *Endpoint
	d      *webhook.Delivery
	url    *url.URL
	header http.Header
	start  time.Time
	client client
}

func (t *try) send(ctx context.Context) core.Answer {
	a, dead := t.exchange(ctx, t.client.pooled)
	if dead && t.e.timeout-time.Since(t.start) >= minRedial && ctx.Err() == nil {
		a, _ = t.exchange(ctx, t.client.fresh)
	}
	return a
}

// sendWithToken sends with the OAuth2 token, and once more with a new one where it is refused (delivery 3).
func (t *try) sendWithToken(ctx context.Context) core.Answer {
	refused := ""
	for {
		token, err := t.e.tokens.get(ctx, t.client.fresh, refused)
		if err != nil {
			a := failed(err)
			a.Latency = time.Since(t.start)
			return a
		}
		t.header = t.header.Clone() // the transport may still read the one before
		t.header[authorization] = []string{"Bearer " + token}
		a := t.send(ctx)
		if refused != "" || a.Status != http.StatusUnauthorized && a.Status != http.StatusProxyAuthRequired {
			return a
		}
		refused = token
	}
}

// request puts the pieces together. GetBody stays nil: with it, and a header such as Idempotency-Key, the transport
// would send a POST twice without telling. So it would a GET on each dead connection of the pool, if it had no body at all.
func (t *try) request() *http.Request {
	req := &http.Request{Method: t.d.Method, URL: t.url, Host: t.url.Host, Header: t.header}
	switch body := t.d.Body; {
	case len(body) > 0:
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	case t.d.Method == http.MethodGet, t.d.Method == http.MethodDelete: // for others an empty one would be sent in chunks
		req.Body = io.NopCloser(strings.NewReader(""))
	}
	return req
}

// header builds the headers of interface 6: the endpoint's, the campaign's, then our own, which none can replace.
func (s *Sender) header(e *Endpoint, d *webhook.Delivery, now time.Time) (http.Header, error) {
	h := make(http.Header, 8+len(d.Headers)+len(e.headers))
	values := make([]string, 0, 8) // one array for all values that are our own
	set := func(name, value string) {
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	set("User-Agent", s.agent)
	if len(d.Body) > 0 {
		set("Content-Type", cmp.Or(d.ContentType, "application/json"))
	}
	for name, value := range d.Headers {
		if why := endpoints.HeaderProblem(name, value); why != "" {
			return nil, &buildError{core.CodeHeader, "header " + strconv.QuoteToASCII(name) + " " + why}
		}
		h.Set(name, value)
	}
	for name, values := range e.headers {
		h[name] = values
	}
	if e.authorization != "" {
		set(authorization, e.authorization)
	}
	for _, own := range [...]string{d.ContentType, d.Campaign} {
		if why := endpoints.HeaderProblem("x", own); why != "" {
			return nil, &buildError{core.CodeHeader, "content_type or campaign " + why}
		}
	}
	unix := now.Unix()
	set(webhook.IDHeader, d.FireID)
	set(webhook.TimestampHeader, strconv.FormatInt(unix, 10))
	if e.signer != nil {
		set(webhook.SignatureHeader, e.signer.Sign(d.FireID, unix, d.Body))
	}
	if d.Campaign != "" {
		set("Vigil-Campaign", d.Campaign)
	}
	set("Vigil-Attempt", strconv.Itoa(d.Attempt))
	return h, nil
}

// exchange sends one request and reads a bounded answer. dead says that a pooled connection was closed before any byte
// of the answer.
func (t *try) exchange(ctx context.Context, rt http.RoundTripper) (a core.Answer, dead bool) {
	var seen trace
	resp, err := rt.RoundTrip(t.request().WithContext(httptrace.WithClientTrace(ctx, seen.hooks())))
	if err == nil && seen.tainted {
		err = errTainted // whatever came is no answer to this request
		resp.Body.Close()
	}
	if err != nil {
		a = failed(err)
	}
	a.Latency, a.Remote = time.Since(t.start), seen.remote
	if err != nil {
		return a, seen.reused && (seen.tainted || !seen.answered.Load()) && !isTimeout(err) && ctx.Err() == nil
	}
	a.Status = resp.StatusCode
	a.RetryAfter = resp.Header.Get("Retry-After")
	if resp.StatusCode >= 200 {
		a.Body = t.s.drain(resp.Body)
	}
	resp.Body.Close() // below 200 unread: after 101 a read obeys no deadline
	return a, false
}

// drain reads the body up to a bound, so that the connection can be used again; whatever goes wrong there changes
// nothing. It returns the first bytes where the operator wants them and they are printable.
func (s *Sender) drain(body io.Reader) string {
	buf := s.drains.Get().(*[]byte)
	defer s.drains.Put(buf)
	n, err := io.ReadFull(body, *buf)
	if err == nil { // full: one more byte tells whether it ends here
		var one [1]byte
		_, _ = body.Read(one[:])
	}
	if !s.policy.KeepResponses {
		return ""
	}
	return printable((*buf)[:min(n, webhook.MaxResponseBytes)])
}

// printable is b as text, cut at a rune; empty where it is none.
func printable(b []byte) string {
	for i := 0; i < utf8.UTFMax && len(b) > 0 && !utf8.Valid(b); i++ {
		b = b[:len(b)-1]
	}
	if !utf8.Valid(b) || bytes.ContainsFunc(b, func(r rune) bool { return !unicode.IsPrint(r) && !strings.ContainsRune("\r\n\t", r) }) {
		return ""
	}
	return string(b)
}

var errTainted = errors.New("the connection held an answer that nobody asked for")

// trace watches one exchange.
type trace struct {
	remote   string      // written before RoundTrip returns
	reused   bool        // as remote
	tainted  bool        // as remote: the connection held more than the answers asked for
	answered atomic.Bool // set by the goroutine that reads the connection
}

func (t *trace) hooks() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			t.reused, t.remote = got.Reused, remoteOf(got.Conn)
			t.tainted = got.Reused && tainted(got.Conn)
		},
		GotFirstResponseByte: func() { t.answered.Store(true) },
	}
}

// remoteOf is the address at the other end, made once for a connection.
func remoteOf(conn net.Conn) string {
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	if c, ok := conn.(*watched); ok {
		return c.remote
	}
	return ""
}

// Close gives idle connections back.
func (s *Sender) Close() { s.routes.close() }
