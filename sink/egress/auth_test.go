package egress

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vigil/config/endpoints"
	"vigil/sink/core"
	"vigil/webhook"
)

func silent() *log.Logger { return log.New(io.Discard, "", 0) }

// compile makes one endpoint that may reach the servers of a test.
func compile(t *testing.T, p *Policy, e endpoints.Endpoint) *Endpoint {
	t.Helper()
	e.Name, e.AllowPrivate, e.AllowHTTP = "e", true, true
	set, err := NewEndpoints(p, []endpoints.Endpoint{e})
	if err != nil {
		t.Fatal(err)
	}
	return set.Find("e")
}

func senderOf(t *testing.T, p *Policy) *Sender {
	t.Helper()
	s, err := NewSender(p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func deliver(t *testing.T, s *Sender, e *Endpoint) core.Answer {
	t.Helper()
	return s.Send(t.Context(), e, &webhook.Delivery{FireID: "f1", Campaign: "c", Endpoint: "e", Method: "POST", Body: []byte(`{"a":1}`), Attempt: 1})
}

func environment(set map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := set[name]; return v, ok }
}

func TestFixedAuthorization(t *testing.T) {
	var got atomic.Value
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got.Store(r.Header.Get("Authorization")) }))
	defer receiver.Close()
	p := &Policy{MaxInFlight: 4, LookupEnv: environment(map[string]string{"P": "pa:ss", "T": "t0ken", "BAD": "a\nb"})}
	for want, auth := range map[string]endpoints.Auth{
		"Basic dXNlcjpwYTpzcw==": {Basic: &endpoints.Basic{User: "user", Password: "env:P"}},
		"Bearer t0ken":           {Bearer: "env:T"},
		"":                       {},
	} {
		e := compile(t, p, endpoints.Endpoint{URL: receiver.URL, Auth: auth})
		if a := deliver(t, senderOf(t, p), e); a.Status != 200 || got.Load() != want {
			t.Errorf("%d, authorization %q, want %q", a.Status, got.Load(), want)
		}
	}
	for _, auth := range []endpoints.Auth{
		{Bearer: "env:NONE"},
		{Bearer: "env:BAD"},
		{Basic: &endpoints.Basic{User: "u", Password: "env:NONE"}},
		{OAuth2: &endpoints.OAuth2{TokenURL: "https://id.example.com/", ClientSecret: "env:NONE"}},
		{OAuth2: &endpoints.OAuth2{TokenURL: "https://10.0.0.1/", ClientSecret: "env:T"}},
		{OAuth2: &endpoints.OAuth2{TokenURL: "http://id.example.com/", ClientSecret: "env:T"}},
	} {
		_, err := NewEndpoints(p, []endpoints.Endpoint{{Name: "e", URL: "https://example.com/", Auth: auth}})
		if err == nil || strings.Contains(err.Error(), "t0ken") || strings.Contains(err.Error(), "a\nb") {
			t.Errorf("%+v: %v", auth, err)
		}
	}
}

// identity is a token server and a receiver that wants its tokens.
type identity struct {
	*httptest.Server
	tokens  atomic.Int32 // given out
	posts   atomic.Int32
	refuse  atomic.Int32 // posts still to be refused
	expires int          // seconds
	forms   sync.Map
}

func newIdentity(t *testing.T) *identity {
	id := &identity{expires: 3600}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		_ = r.ParseForm()
		id.forms.Store("last", user+" "+password+" "+r.PostForm.Encode())
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"t%d","token_type":"bearer","expires_in":%d}`, id.tokens.Add(1), id.expires)
	})
	mux.HandleFunc("POST /hook", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		id.posts.Add(1)
		if id.refuse.Add(-1) >= 0 || r.Header.Get("Authorization") != fmt.Sprintf("Bearer t%d", id.tokens.Load()) || string(body) != `{"a":1}` {
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
	id.Server = httptest.NewServer(mux)
	t.Cleanup(id.Close)
	return id
}

func (id *identity) endpoint(t *testing.T, p *Policy, change func(*endpoints.OAuth2)) *Endpoint {
	t.Helper()
	o := &endpoints.OAuth2{TokenURL: id.URL + "/token", ClientID: "vigil", ClientSecret: "env:S", Scopes: []string{"a", "b"}, Params: map[string]string{"audience": "x"}}
	if change != nil {
		change(o)
	}
	return compile(t, p, endpoints.Endpoint{URL: id.URL + "/hook", Timeout: patience, Auth: endpoints.Auth{OAuth2: o}})
}

func TestTokensAreSharedAndKept(t *testing.T) {
	id, p := newIdentity(t), &Policy{MaxInFlight: 32, LookupEnv: environment(map[string]string{"S": "secret"})}
	s, e := senderOf(t, p), id.endpoint(t, p, nil)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if a := deliver(t, s, e); a.Status != 200 {
				t.Errorf("got %+v", a)
			}
		})
	}
	all.Wait()
	if form, _ := id.forms.Load("last"); id.tokens.Load() != 1 || form != "vigil secret audience=x&grant_type=client_credentials&scope=a+b" {
		t.Errorf("%d tokens, %v", id.tokens.Load(), form)
	}
	inBody := id.endpoint(t, p, func(o *endpoints.OAuth2) { o.InBody, o.Scopes, o.Params = true, nil, nil })
	if a := deliver(t, s, inBody); a.Status != 200 {
		t.Errorf("got %+v", a)
	}
	if form, _ := id.forms.Load("last"); form != "  client_id=vigil&client_secret=secret&grant_type=client_credentials" {
		t.Errorf("%v", form)
	}
	id.expires = 5 // less than the margin: a token is good for one attempt
	brief := id.endpoint(t, p, nil)
	for range 3 {
		if a := deliver(t, s, brief); a.Status != 200 {
			t.Errorf("got %+v", a)
		}
	}
	if n := id.tokens.Load(); n != 5 {
		t.Errorf("%d tokens, want 5", n)
	}
}

// TestRefusedTokenIsReplacedOnce: 401 costs one more request and no attempt; the second 401 is the answer.
func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	id, p := newIdentity(t), &Policy{MaxInFlight: 4, LookupEnv: environment(map[string]string{"S": "secret"})}
	s, e := senderOf(t, p), id.endpoint(t, p, nil)
	id.refuse.Store(1)
	if a := deliver(t, s, e); a.Status != 200 || id.posts.Load() != 2 || id.tokens.Load() != 2 {
		t.Errorf("got %+v after %d posts with %d tokens", a, id.posts.Load(), id.tokens.Load())
	}
	id.refuse.Store(100)
	if a := deliver(t, s, e); a.Status != 401 || id.posts.Load() != 4 || id.tokens.Load() != 3 {
		t.Errorf("got %+v after %d posts with %d tokens", a, id.posts.Load(), id.tokens.Load())
	}
}

func TestNoToken(t *testing.T) {
	const secret = "s3cret-of-the-client"
	target := serve(t, say(okHead+"Content-Length: 0\r\n\r\n"))
	for name, c := range map[string]struct {
		script func(net.Conn, int, int) bool
		code   string
		class  core.Class
	}{
		"refused":        {say("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 37\r\n\r\n{\"error\":\"" + secret + "     \"}"), "token", core.Retryable},
		"failing":        {say("HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n"), "token", core.Retryable},
		"no JSON":        {say(okHead + "Content-Length: 5\r\n\r\nhello"), "token", core.Retryable},
		"no token":       {say(okHead + "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"), "token", core.Retryable},
		"redirect":       {say("HTTP/1.1 307 X\r\nLocation: " + target.url + "\r\nContent-Length: 0\r\n\r\n"), "token", core.Retryable},
		"header in it":   {say(okHead + "Content-Type: application/json\r\nContent-Length: 28\r\n\r\n{\"access_token\":\"a\\r\\nX: y\"} "), "token", core.Retryable},
		"long token":     {flood(okHead+"Content-Type: application/json\r\n\r\n{\"access_token\":\"", strings.Repeat("x", 4096)), "token", core.Retryable},
		"switching":      {say("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"), "malformed", core.Retryable},
		"silent":         {hang, "timeout", core.Retryable},
		"closes at once": {say(""), "eof", core.Retryable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, c.script)
			p := &Policy{MaxInFlight: 4, LookupEnv: environment(map[string]string{"S": secret})}
			e := compile(t, p, endpoints.Endpoint{URL: target.url, Auth: endpoints.Auth{OAuth2: &endpoints.OAuth2{
				TokenURL: f.url, ClientID: "vigil", ClientSecret: "env:S",
			}}})
			if e.timeout = patience; name == "silent" {
				e.timeout = testTimeout
			}
			a := deliver(t, senderOf(t, p), e)
			if a.Code != c.code || a.Class != c.class || strings.Contains(fmt.Sprint(a.Reason, a.Err), secret) {
				t.Errorf("got %+v (%v)", a, a.Err)
			}
			if again := deliver(t, senderOf(t, p), e); a.Code == "token" && (again.Code != "token" || f.posts.Load() != 1) {
				t.Errorf("a second attempt within the pause asked again: %+v, %d requests", again, f.posts.Load())
			}
		})
	}
	t.Cleanup(func() {
		if target.posts.Load() != 0 {
			t.Error("the receiver was reached without a token")
		}
	})
}

// TestCertificates: mTLS and an authority of one's own, and what happens without them.
func TestCertificates(t *testing.T) {
	a := newAuthority(t)
	var revoked atomic.Bool
	url := secureServer(t, &tls.Config{
		Certificates: []tls.Certificate{a.issue(t, nil)}, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert,
		VerifyConnection: func(tls.ConnectionState) error {
			if revoked.Load() {
				return errors.New("revoked")
			}
			return nil
		},
	}, func(_ http.ResponseWriter, r *http.Request) {
		if r.TLS.PeerCertificates[0].Subject.CommonName != "test" {
			panic(http.ErrAbortHandler)
		}
	})
	certificate, key := files(t, a.issue(t, nil))
	ca := file(t, "ca.pem", a.pem)
	p := &Policy{MaxInFlight: 4}
	s := senderOf(t, p)
	both := endpoints.TLS{Certificate: certificate, Key: key, CA: ca}
	if got := deliver(t, s, compile(t, p, endpoints.Endpoint{URL: url, TLS: both})); got.Status != 200 {
		t.Errorf("with a certificate: %+v (%v)", got, got.Err)
	}
	for name, settings := range map[string]endpoints.TLS{"no certificate": {CA: ca}, "no authority": {Certificate: certificate, Key: key}} {
		if got := deliver(t, s, compile(t, p, endpoints.Endpoint{URL: url, TLS: settings})); got.Code != "tls" || got.Class != core.Retryable {
			t.Errorf("%s: %+v (%v)", name, got, got.Err)
		}
	}
	revoked.Store(true)
	if got := deliver(t, senderOf(t, p), compile(t, p, endpoints.Endpoint{URL: url, TLS: both})); got.Code != "tls" || got.Class != core.Retryable {
		t.Errorf("revoked: %+v (%v)", got, got.Err)
	}
	for _, wrong := range []endpoints.TLS{
		{Certificate: certificate, Key: ca}, {Certificate: key, Key: key}, {CA: key}, {CA: "env:NONE"}, {Certificate: "file:/none", Key: key},
	} {
		if _, err := NewEndpoints(p, []endpoints.Endpoint{{Name: "e", URL: "https://example.com/", TLS: wrong}}); err == nil || strings.Contains(err.Error(), "PRIVATE KEY") {
			t.Errorf("%+v: %v", wrong, err)
		}
	}
}

// TestRoutesAreBounded: transports of endpoints with certificates of their own are kept up to a bound, connections with
// them; the one that was used last is never the one to go.
func TestRoutesAreBounded(t *testing.T) {
	a := newAuthority(t)
	var open atomic.Int32
	changed := make(chan struct{}, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{a.issue(t, nil)}}
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			open.Add(1)
		case http.StateClosed:
			open.Add(-1)
		}
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	server.StartTLS()
	defer server.Close()
	p := &Policy{MaxInFlight: 4, RootCAs: a.pool}
	s := senderOf(t, p)
	first := compile(t, p, endpoints.Endpoint{URL: server.URL})
	first.route.certs[0] = 1
	for i := range 3 * maxRoutes {
		e := *first
		e.route.certs[1] = byte(i)
		for _, one := range []*Endpoint{&e, first} {
			if got := deliver(t, s, one); got.Status != 200 {
				t.Fatalf("got %+v (%v)", got, got.Err)
			}
		}
	}
	if n := s.routes.recent.Len(); n != maxRoutes || len(s.routes.others) != n || s.routes.others[first.route] == nil {
		t.Errorf("%d routes kept", n)
	}
	for open.Load() > maxRoutes {
		select {
		case <-changed:
		case <-time.After(10 * time.Second):
			t.Fatalf("%d connections are open", open.Load())
		}
	}
}

// TestProtocol: HTTP/2 is spoken only where the endpoint says so.
func TestProtocol(t *testing.T) {
	a := newAuthority(t)
	var proto atomic.Value
	url := secureServer(t, &tls.Config{Certificates: []tls.Certificate{a.issue(t, nil)}}, func(_ http.ResponseWriter, r *http.Request) { proto.Store(r.Proto) })
	p := &Policy{MaxInFlight: 4, RootCAs: a.pool}
	s := senderOf(t, p)
	for _, two := range []bool{false, true, false} {
		want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[two]
		if got := deliver(t, s, compile(t, p, endpoints.Endpoint{URL: url, HTTP2: two})); got.Status != 200 || proto.Load() != want {
			t.Errorf("http2 %v: %d over %v", two, got.Status, proto.Load())
		}
	}
}
