package egress

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"vigil/config/endpoints"
	"vigil/sink/core"
)

const (
	maxTokenAnswer = 16 << 10         // bytes of a token answer
	maxToken       = 8 << 10          // bytes of a token
	tokenMargin    = 10 * time.Second // before its end a token is fetched anew
	tokenPause     = time.Second      // after a failure nobody asks again
)

const authorization = "Authorization"

// fixedAuth is the Authorization header of basic and bearer; empty where there is none.
func fixedAuth(a endpoints.Auth, p *Policy) (string, error) {
	value := ""
	switch {
	case a.Basic != nil:
		password, err := endpoints.Secret(a.Basic.Password, p.LookupEnv)
		if err != nil {
			return "", err
		}
		value = "Basic " + base64.StdEncoding.EncodeToString([]byte(a.Basic.User+":"+password))
	case a.Bearer != "":
		token, err := endpoints.Secret(a.Bearer, p.LookupEnv)
		if err != nil {
			return "", err
		}
		value = "Bearer " + token
	}
	if endpoints.HeaderProblem(authorization, value) != "" {
		return "", errors.New("auth: the secret has a character that a header cannot hold")
	}
	return value, nil
}

// tokens fetches and keeps the OAuth2 token of one endpoint. It is used by many attempts at a time; one of them fetches,
// the others wait for it no longer than their own deadline.
type tokens struct {
	config   clientcredentials.Config
	url      *url.URL
	fetching chan struct{} // holds 1: whoever fetches
	current  atomic.Pointer[oauth2.Token]
	failed   error     // of the last fetch; guarded by fetching
	failedAt time.Time // as failed
}

func newTokens(o *endpoints.OAuth2, p *Policy) (*tokens, error) {
	if o == nil {
		return nil, nil
	}
	u, err := url.Parse(o.TokenURL)
	if err != nil {
		return nil, &buildError{core.CodeURL, "token_url cannot be read"}
	}
	secret, err := endpoints.Secret(o.ClientSecret, p.LookupEnv)
	if err != nil {
		return nil, err
	}
	style, params := oauth2.AuthStyleInHeader, url.Values{}
	if o.InBody {
		style = oauth2.AuthStyleInParams
	}
	for name, value := range o.Params {
		params.Set(name, value)
	}
	return &tokens{
		config: clientcredentials.Config{
			ClientID: o.ClientID, ClientSecret: secret, TokenURL: o.TokenURL, Scopes: o.Scopes,
			EndpointParams: params, AuthStyle: style,
		},
		url: u, fetching: make(chan struct{}, 1),
	}, nil
}

// get is the token to send: the one that is kept, unless it is about to end or was refused. It errs with a *tokenError
// where there is none, and with what the guard or ctx says.
func (t *tokens) get(ctx context.Context, rt http.RoundTripper, refused string) (string, error) {
	if kept := t.current.Load(); usable(kept, refused) {
		return kept.AccessToken, nil
	}
	select {
	case t.fetching <- struct{}{}:
		defer func() { <-t.fetching }()
	case <-ctx.Done():
		return "", ctx.Err()
	}
	if kept := t.current.Load(); usable(kept, refused) { // another attempt was faster
		return kept.AccessToken, nil
	}
	if t.failed != nil && time.Since(t.failedAt) < tokenPause {
		return "", t.failed
	}
	fetched, err := t.fetch(ctx, rt)
	t.failed, t.failedAt = err, time.Now()
	if err != nil {
		if ctx.Err() != nil { // ours, or the deadline's: the next attempt may ask at once
			t.failed = nil
		}
		return "", err
	}
	t.current.Store(fetched)
	return fetched.AccessToken, nil
}

func usable(t *oauth2.Token, refused string) bool {
	return t != nil && t.AccessToken != refused && (t.Expiry.IsZero() || time.Until(t.Expiry) > tokenMargin)
}

// fetch asks for a token over the endpoint's own transport, hence under the same guard, without following a redirect.
func (t *tokens) fetch(ctx context.Context, rt http.RoundTripper) (*oauth2.Token, error) {
	asking := &http.Client{
		Transport:     bounded{rt},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	token, err := t.config.Token(context.WithValue(ctx, oauth2.HTTPClient, asking))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused):
		return nil, &tokenError{"token_url answers " + strconv.Itoa(refused.Response.StatusCode)} // its body may echo the secret
	case err != nil && isTransport(err):
		return nil, err
	case err != nil:
		return nil, &tokenError{"token_url answers with something that is no token"}
	case len(token.AccessToken) > maxToken || endpoints.HeaderProblem(authorization, token.AccessToken) != "" || strings.ContainsAny(token.AccessToken, " \t"):
		return nil, &tokenError{"token_url answers with a token that a header cannot hold"}
	}
	return token, nil
}

// isTransport tells whether the request itself failed, which is judged as that of a delivery is.
func isTransport(err error) bool {
	var failed *url.Error
	return errors.As(err, &failed)
}

// tokenError says that there is no token; its text quotes nothing that was sent or received.
type tokenError struct{ why string }

// Error implements error.
func (e *tokenError) Error() string { return e.why }

// bounded cuts the bodies of answers off, and drops those below 200 unread.
type bounded struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	once := req.WithContext(req.Context())
	once.GetBody = nil // a second request would be sent without telling
	resp, err := b.RoundTripper.RoundTrip(once)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode < 200 {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	resp.Body = cut{io.LimitReader(resp.Body, maxTokenAnswer), resp.Body}
	return resp, nil
}

// cut reads from one and closes the other.
type cut struct {
	io.Reader
	io.Closer
}
