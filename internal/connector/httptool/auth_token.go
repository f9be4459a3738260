// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"
	"k8s.io/utils/clock"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/redact"
)

const (
	// tokenLife is that of a token whose server does not say it.
	tokenLife = 5 * time.Minute
	// maxTokenLife bounds how long a token is believed in.
	maxTokenLife = 24 * time.Hour
	// tokenMargin is how long before its end a token is no longer used, so that it does not end on the way.
	tokenMargin = 30 * time.Second
	// maxToken bounds a token in bytes; a header holds no more.
	maxToken = 32 << 10
)

// tokens keeps the token of one endpoint, and has one request at a time ask for a new one.
type tokens struct {
	clock clock.PassiveClock
	turn  chan struct{} // holds one element while somebody asks

	mu     sync.Mutex
	token  string
	until  time.Time
	secret [sha256.Size]byte // digest of the client's secret that it was given for
	post   bool              // the server wants the client's secret in the body
}

func newTokens(clock clock.PassiveClock) *tokens {
	return &tokens{clock: clock, turn: make(chan struct{}, 1)}
}

// kept is the token that was given for a secret, if it is still good.
func (t *tokens) kept(secret [sha256.Size]byte) (string, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.token, t.token != "" && t.secret == secret && t.clock.Now().Before(t.until)
}

func (t *tokens) keep(token string, life time.Duration, secret [sha256.Size]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.token, t.secret, t.until = token, secret, t.clock.Now().Add(life-min(tokenMargin, life/10))
}

// drop forgets a token that the target did not accept, unless there is a newer one already.
func (t *tokens) drop(token string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token == token {
		t.token = ""
	}
}

// wantsPost tells, and setPost says, how the server takes the client's secret.
func (t *tokens) wantsPost() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.post
}

func (t *tokens) setPost(post bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.post = post
}

// authorize puts a token of the client credentials grant (RFC 6749, section 4.4) into the credentials.
func (e *endpoint) authorize(ctx context.Context, out *credentials, spec v1alpha1.OAuth2Credential) *exchangeError {
	secret, err := e.secret(ctx, out.secrets, spec.SecretRef)
	if err != nil {
		return refused(ctx, err)
	}
	digest := sha256.Sum256(secret)
	use := func(token string, kept bool) {
		out.secrets.Add([]byte(token))
		out.name, out.value, out.token, out.kept = "Authorization", "Bearer "+token, token, kept
	}
	if token, ok := e.tokens.kept(digest); ok {
		use(token, true)
		return nil
	}
	select {
	case e.tokens.turn <- struct{}{}:
		defer func() { <-e.tokens.turn }()
	case <-ctx.Done():
		return unreachable("could not obtain a token from %s: %s", e.tokenURL.Host, cause(ctx.Err()))
	}
	if token, ok := e.tokens.kept(digest); ok { // somebody else obtained it
		use(token, true)
		return nil
	}
	token, life, failure := e.askForToken(ctx, out, spec, string(secret)) // bounded by ctx, so the turn comes for everybody
	if failure != nil {
		return failure
	}
	e.tokens.keep(token, life, digest)
	use(token, false)
	return nil
}

// tokenAnswer is that of RFC 6749, sections 5.1 and 5.2.
type tokenAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   any    `json:"expires_in"`
	Error       string `json:"error"`
	Description string `json:"error_description"`
}

// askForToken sends the client's secret the way every server must understand
// (in the header), and if it does not, the other way (in the body).
func (e *endpoint) askForToken(ctx context.Context, creds *credentials, spec v1alpha1.OAuth2Credential, secret string) (string, time.Duration, *exchangeError) {
	post := e.tokens.wantsPost()
	in, answer, failure := e.sendTokenRequest(ctx, creds, spec, secret, post)
	if failure == nil && (in.Status == http.StatusUnauthorized || answer.Error == "invalid_client") {
		if in, answer, failure = e.sendTokenRequest(ctx, creds, spec, secret, !post); failure == nil && in.Status == http.StatusOK {
			e.tokens.setPost(!post)
		}
	}
	if failure != nil {
		return "", 0, failure
	}
	token, life, failure := e.tokenOf(in, answer, creds.secrets)
	if failure != nil {
		failure.own = true // it answered
	}
	return token, life, failure
}

func (e *endpoint) sendTokenRequest(ctx context.Context, creds *credentials, spec v1alpha1.OAuth2Credential, secret string, post bool) (*incoming, tokenAnswer, *exchangeError) {
	form := url.Values{"grant_type": {"client_credentials"}}
	if len(spec.Scopes) > 0 {
		form.Set("scope", strings.Join(spec.Scopes, " "))
	}
	if spec.Audience != "" {
		form.Set("audience", spec.Audience)
	}
	header := http.Header{"Accept": {"application/json"}, "Content-Type": {"application/x-www-form-urlencoded"}, "User-Agent": {userAgent}}
	if post {
		form.Set("client_id", spec.ClientID)
		form.Set("client_secret", secret)
	} else { // section 2.3.1 has both encoded as in a form first
		header.Set("Authorization", basic(creds.secrets, url.QueryEscape(spec.ClientID), url.QueryEscape(secret)))
	}
	body := form.Encode()
	request := (&http.Request{
		Method: http.MethodPost, URL: e.tokenURL, Host: e.tokenURL.Host, Header: header,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}).WithContext(ctx)
	config := creds.tls.Clone()
	if e.tokenURL.Hostname() != e.base.Hostname() {
		config.ServerName = "" // spec.http.tls.serverName is that of baseURL
	}
	in, lost := e.dialer(e.tokenURL, true).send(request, config, e.spec.MaxBytes)
	if lost != nil {
		return nil, tokenAnswer{}, e.noToken(lost)
	}
	var answer tokenAnswer
	if err := json.NewDecoder(bytes.NewReader(in.Body)).Decode(&answer); err != nil {
		answer = tokenAnswer{}
	}
	return in, answer, nil
}

// noToken says why there is no answer of the token endpoint. Whatever became of
// that request, none was sent to the target.
func (e *endpoint) noToken(l *lost) *exchangeError {
	failure := e.classify(l, e.tokenURL.Host, "spec.http.authentication.oauth2.tokenURL")
	if failure.Outcome == v1alpha1.OutcomeInDoubt {
		failure.Outcome, failure.Reason = v1alpha1.OutcomeNotSent, connector.UnreachableReason
	}
	failure.Message = "could not obtain a token: " + failure.Message
	return failure
}

// tokenOf takes the token from an answer.
func (e *endpoint) tokenOf(in *incoming, answer tokenAnswer, secrets *redact.Redactor) (string, time.Duration, *exchangeError) {
	host := e.tokenURL.Host
	switch {
	case in.Status != http.StatusOK:
		said := cmp.Or(strings.TrimSpace(answer.Error+" "+answer.Description), http.StatusText(in.Status))
		return "", 0, e.refusedToken(in, legible(secrets.Text(said)))
	case len(answer.AccessToken) < redact.MinLength || len(answer.AccessToken) > maxToken, !httpguts.ValidHeaderFieldValue(answer.AccessToken):
		return "", 0, unreachable("could not obtain a token: the answer of %s holds none that can be sent: check spec.http.authentication.oauth2.tokenURL", host)
	case answer.TokenType != "" && !strings.EqualFold(answer.TokenType, "Bearer"):
		secrets.Add([]byte(answer.AccessToken))
		return "", 0, rejected("could not obtain a token: that of %s is of type %q, not Bearer", host, answer.TokenType)
	}
	return answer.AccessToken, tokenLifeOf(answer.ExpiresIn), nil
}

// refusedToken says what an answer without a token means. Only a status of 400 to 499 speaks of the client, and of these
// not those that ask for patience; whatever else a server says may be otherwise later, when it says so.
func (e *endpoint) refusedToken(in *incoming, said string) *exchangeError {
	failure := unreachable("could not obtain a token: %s answered %d %s: it is tried again later", e.tokenURL.Host, in.Status, said)
	switch status := in.Status; {
	case status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable:
		failure.Reason = connector.RateLimitedReason
	case status == http.StatusRequestTimeout || status == http.StatusTooEarly || status >= 500:
	case status >= 400:
		return rejected("could not obtain a token: %s answered %d %s: check spec.http.authentication.oauth2 and renew its Secret", e.tokenURL.Host, status, said)
	default:
		return unreachable("could not obtain a token: %s answered %d %s, which is not how a token is given: check spec.http.authentication.oauth2.tokenURL",
			e.tokenURL.Host, status, said)
	}
	failure.RetryAfter = retryAfter(in.Header, e.Clock.Now())
	return failure
}

// tokenLifeOf reads expires_in, which some servers write as a string.
func tokenLifeOf(expiresIn any) time.Duration {
	var seconds float64
	switch v := expiresIn.(type) {
	case float64:
		seconds = v
	case string:
		seconds, _ = strconv.ParseFloat(v, 64) // none counts as not said
	}
	if !(seconds > 0) { // not a number is not either
		return tokenLife
	}
	return time.Duration(min(seconds, maxTokenLife.Seconds()) * float64(time.Second))
}
