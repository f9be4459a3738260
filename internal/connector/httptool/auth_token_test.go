// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// authorizationServer gives out numbered tokens, which end after expires seconds.
type authorizationServer struct {
	*httptest.Server
	secret  string
	post    bool // it takes the client's secret in the body alone
	expires string
	given   atomic.Int64
	asked   atomic.Int64
	forms   sync.Map
}

func newAuthorizationServer(t *testing.T) *authorizationServer {
	t.Helper()
	a := &authorizationServer{secret: canary, expires: "3600"}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	t.Cleanup(a.Close)
	return a
}

func (a *authorizationServer) serve(rw http.ResponseWriter, r *http.Request) {
	a.asked.Add(1)
	if err := r.ParseForm(); err != nil {
		rw.WriteHeader(http.StatusBadRequest)
		return
	}
	id, secret := r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	if !a.post {
		escapedID, escapedSecret, _ := r.BasicAuth()
		id, secret = unquery(escapedID), unquery(escapedSecret)
	}
	if id != "casebook client" || secret != a.secret {
		rw.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprintf(rw, `{"error":"invalid_client","error_description":%q}`, "no client has the secret "+secret)
		return
	}
	a.forms.Store("last", r.PostForm.Encode())
	_, _ = fmt.Fprintf(rw, `{"access_token":"%s-%d","token_type":"bearer","expires_in":%s}`, tokenCanary, a.given.Add(1), a.expires)
}

// newTokenWorld has an endpoint whose target accepts tokens from a number on.
func newTokenWorld(t *testing.T, a *authorizationServer, from *atomic.Int64) (*world, *seen) {
	t.Helper()
	requests := &seen{}
	target := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		requests.add(r)
		var number int64
		if _, err := fmt.Sscanf(r.Header.Get("Authorization"), "Bearer "+tokenCanary+"-%d", &number); err != nil || number < from.Load() {
			rw.WriteHeader(http.StatusUnauthorized)
		}
		echo(rw, r)
	}))
	t.Cleanup(target.Close)
	w := newWorld(t, target.URL)
	w.spec.Authentication = &v1alpha1.HTTPAuthentication{OAuth2: &v1alpha1.OAuth2Credential{
		TokenURL: a.URL + "/token?tenant=a", ClientID: "casebook client", SecretRef: secret, Scopes: []string{"users.read", "users.manage"}, Audience: "https://api",
	}}
	return w, requests
}

func TestTokenIsKeptUntilShortlyBeforeItsEnd(t *testing.T) {
	a := newAuthorizationServer(t)
	w, _ := newTokenWorld(t, a, new(atomic.Int64))
	steps := []struct {
		after time.Duration
		given int64
		what  string
	}{
		{0, 1, "the first exchange"},
		{time.Hour - tokenMargin - time.Second, 1, "one that is in time"},
		{time.Second, 2, "one shortly before the end"},
		{time.Minute, 2, "one after it"},
	}
	for _, step := range steps {
		w.clock.SetTime(w.clock.Now().Add(step.after))
		if w.answered(get); a.given.Load() != step.given {
			t.Errorf("%s: %d tokens were given, not %d", step.what, a.given.Load(), step.given)
		}
	}
	if form, _ := a.forms.Load("last"); form != "audience=https%3A%2F%2Fapi&grant_type=client_credentials&scope=users.read+users.manage" {
		t.Errorf("the form was %v", form)
	}
}

func TestTokenFollowsTheSecret(t *testing.T) {
	a := newAuthorizationServer(t)
	w, _ := newTokenWorld(t, a, new(atomic.Int64))
	w.answered(get)
	a.secret = secondCanary
	w.secrets.set("tool/token", secondCanary)
	if w.answered(get); a.given.Load() != 2 {
		t.Errorf("%d tokens were given, not one for each secret", a.given.Load())
	}
}

func TestTokenIsObtainedOnceForAll(t *testing.T) {
	a := newAuthorizationServer(t)
	w, _ := newTokenWorld(t, a, new(atomic.Int64))
	e := w.endpoint()
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, failure := e.exchange(t.Context(), get); failure != nil {
				t.Error(failure)
			}
		})
	}
	if all.Wait(); a.asked.Load() != 1 {
		t.Errorf("it was asked %d times, not once", a.asked.Load())
	}
}

func TestTokenInTheBodyWhereTheServerWantsItThere(t *testing.T) {
	a := newAuthorizationServer(t)
	a.post = true
	w, _ := newTokenWorld(t, a, new(atomic.Int64))
	w.answered(get)
	w.clock.SetTime(w.clock.Now().Add(2 * time.Hour))
	if w.answered(get); a.asked.Load() != 3 { // refused and given, then given at once
		t.Errorf("it was asked %d times, want 3: how it wants it is remembered", a.asked.Load())
	}
}

// TestTokenThatTheTargetNoLongerTakes: a read is sent again with a new one, a
// mutation is not, and the next one has a new one.
func TestTokenThatTheTargetNoLongerTakes(t *testing.T) {
	a, from := newAuthorizationServer(t), new(atomic.Int64)
	w, requests := newTokenWorld(t, a, from)
	w.answered(get)
	from.Store(2)
	if in := w.answered(get); in.Status != http.StatusOK || a.given.Load() != 2 || requests.count() != 3 {
		t.Errorf("a read: %d, %d tokens, %d requests", in.Status, a.given.Load(), requests.count())
	}
	from.Store(3)
	if in := w.answered(post); in.Status != http.StatusUnauthorized || !in.Stale || requests.count() != 4 {
		t.Errorf("a mutation: %d, stale %t, %d requests", in.Status, in.Stale, requests.count())
	}
	if in := w.answered(post); in.Status != http.StatusOK || a.given.Load() != 3 || requests.count() != 5 {
		t.Errorf("the next mutation: %d, %d tokens, %d requests", in.Status, a.given.Load(), requests.count())
	}
	from.Store(1000)
	if in := w.answered(get); in.Status != http.StatusUnauthorized || requests.count() != 7 {
		t.Errorf("a read that no token helps: %d, %d requests", in.Status, requests.count())
	}
	if in := w.answered(post); in.Status != http.StatusUnauthorized || in.Stale || requests.count() != 8 {
		t.Errorf("a mutation whose new token is not taken: %d, stale %t, %d requests", in.Status, in.Stale, requests.count())
	}
}

func TestNoToken(t *testing.T) {
	answer := func(code int, body string) http.HandlerFunc {
		return func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", "7")
			status(code, body)(rw, nil)
		}
	}
	var patience atomic.Pointer[expiring] // of the exchange under way
	tests := map[string]struct {
		serve  http.HandlerFunc
		reason string
		want   string
	}{
		"the client is not known": {answer(401, `{"error":"invalid_client","error_description":"`+jsonOf(canary)+` is wrong"}`), connector.CredentialsRejectedReason,
			"answered 401 invalid_client [secret] is wrong: check spec.http.authentication.oauth2 and renew its Secret"},
		"the scope is not allowed":   {answer(400, `{"error":"invalid_scope"}`), connector.CredentialsRejectedReason, "invalid_scope"},
		"it may not":                 {answer(403, `<html>`), connector.CredentialsRejectedReason, "answered 403 Forbidden"},
		"too many ask":               {answer(429, ``), connector.RateLimitedReason, "answered 429 Too Many Requests: it is tried again later"},
		"the server is busy":         {answer(503, ``), connector.RateLimitedReason, "answered 503 Service Unavailable: it is tried again later"},
		"the request took too long":  {answer(408, ``), connector.UnreachableReason, "answered 408 Request Timeout: it is tried again later"},
		"the request came too early": {answer(425, ``), connector.UnreachableReason, "answered 425 Too Early: it is tried again later"},
		"the server fails":           {answer(500, canary), connector.UnreachableReason, "answered 500 Internal Server Error: it is tried again later"},
		"what is behind it fails":    {answer(502, `{"error":"server_error"}`), connector.UnreachableReason, "answered 502 server_error: it is tried again later"},
		"what is behind it is late":  {answer(504, ``), connector.UnreachableReason, "answered 504 Gateway Timeout: it is tried again later"},
		"it redirects":               {answer(302, ``), connector.UnreachableReason, "answered 302 Found, which is not how a token is given: check spec.http.authentication.oauth2.tokenURL"},
		"a secret where words are cut": {answer(401, `{"error":"invalid_client","error_description":"`+strings.Repeat("x", saidLength-30)+jsonOf(canary)+`"}`),
			connector.CredentialsRejectedReason, "xx[secret]: check"},
		"the answer is nonsense":        {answer(200, `<html>`+canary), connector.UnreachableReason, "holds none that can be sent"},
		"the answer has no token":       {answer(200, `{"token_type":"Bearer"}`), connector.UnreachableReason, "holds none"},
		"the token is too short":        {answer(200, `{"access_token":"abc"}`), connector.UnreachableReason, "holds none"},
		"the token has a line end":      {answer(200, `{"access_token":"abcdef\r\nX: y"}`), connector.UnreachableReason, "holds none"},
		"the token does not fit":        {answer(200, `{"access_token":"`+strings.Repeat("a", maxToken+1)+`"}`), connector.UnreachableReason, "holds none"},
		"the token is of another type":  {answer(200, `{"access_token":"abcdef","token_type":"mac"}`), connector.CredentialsRejectedReason, `of type "mac"`},
		"the answer is too large":       {answer(200, `{"access_token":"`+strings.Repeat("a", 64<<10)+`"}`), connector.UnreachableReason, "larger than"},
		"the connection is closed":      {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, connector.UnreachableReason, "closed before"},
		"it does not answer in time":    {func(_ http.ResponseWriter, r *http.Request) { patience.Load().expire(); <-r.Context().Done() }, connector.UnreachableReason, "within the deadline"},
		"the answer begins as it ought": {answer(200, `{"access_token":"abcdef","expires_in":`), connector.UnreachableReason, "holds none"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			a := newAuthorizationServer(t)
			a.Config.Handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { _ = r.ParseForm(); tc.serve(rw, r) })
			w, requests := newTokenWorld(t, a, new(atomic.Int64))
			ctx := newExpiring(t)
			patience.Store(ctx)
			_, failure := w.exchangeWithin(ctx, post)
			if failure == nil || failure.Outcome != v1alpha1.OutcomeNotSent || failure.Reason != tc.reason || !strings.Contains(failure.Message, tc.want) {
				t.Errorf("exchange = %+v, want it not sent, with %s and %q", failure, tc.reason, tc.want)
			}
			if later := strings.Contains(tc.want, "tried again later"); failure != nil && (failure.RetryAfter == 7*time.Second) != later {
				t.Errorf("it is to be tried again after %s", failure.RetryAfter)
			}
			if requests.count() != 0 {
				t.Error("a request arrived without a token")
			}
		})
	}
}

func TestTokenLife(t *testing.T) {
	tests := map[string]struct {
		expiresIn any
		want      time.Duration
	}{
		"a number":         {float64(60), time.Minute},
		"a string":         {"60", time.Minute},
		"a fraction":       {1.5, 1500 * time.Millisecond},
		"not said":         {nil, tokenLife},
		"nonsense":         {"soon", tokenLife},
		"no number at all": {"NaN", tokenLife},
		"nothing":          {float64(0), tokenLife},
		"less":             {float64(-1), tokenLife},
		"for ever":         {1e300, maxTokenLife},
		"a list":           {[]any{1.0}, tokenLife},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := tokenLifeOf(tc.expiresIn); got != tc.want {
				t.Errorf("tokenLifeOf = %s, want %s", got, tc.want)
			}
		})
	}
}

// TestActionsOutliveATokenThatEndsEarly: a mutation that is answered 401 because its token ended before its time was not
// looked at, so it may be sent again; one whose new token is not taken either is refused.
func TestActionsOutliveATokenThatEndsEarly(t *testing.T) {
	a, from := newAuthorizationServer(t), new(atomic.Int64)
	w, requests := newTokenWorld(t, a, from)
	object := operations(t, find+act(""))
	object.Spec.HTTP = &w.spec
	opened, err := NewOpener(w.made.dependencies).Open(object)
	if err != nil {
		t.Fatal(err)
	}
	request := connector.Request{Operation: "act", Input: ana, Target: v1alpha1.Target{Type: "User", Name: "ana@example.com"}, Mark: "m"}
	for _, step := range []struct {
		what    string
		from    int64 // the first token that the target takes
		outcome v1alpha1.AttemptOutcome
		reason  string
	}{
		{"the first", 0, v1alpha1.OutcomeAcknowledged, ""},
		{"one whose token has ended", 2, v1alpha1.OutcomeNotSent, connector.CredentialsRejectedReason},
		{"the same again", 2, v1alpha1.OutcomeAcknowledged, ""},
		{"one whose token has ended, for good", 1000, v1alpha1.OutcomeNotSent, connector.CredentialsRejectedReason},
		{"that one again", 1000, v1alpha1.OutcomeRefused, connector.CredentialsRejectedReason},
	} {
		from.Store(step.from)
		before := requests.count()
		if result := opened.Do(t.Context(), request); result.Outcome != step.outcome || result.Reason != step.reason || requests.count() != before+1 {
			t.Errorf("%s: Do = %+v after %d requests, want %s %s after one", step.what, result, requests.count()-before, step.outcome, step.reason)
		}
	}
	a.secret = secondCanary // of which we know nothing: no token is given any more
	_, err = opened.Read(t.Context(), "find", ana)
	tells(t, err, connector.CredentialsRejectedReason, "")
}
