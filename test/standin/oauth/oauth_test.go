// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package oauth_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/casebook-dev/casebook/test/standin"
	"github.com/casebook-dev/casebook/test/standin/oauth"
)

var options = oauth.Options{
	Clients: map[string]string{"casebook": "s%cret :é", "robot": "r"}, Unauthorized: map[string]bool{"robot": true},
	Scopes: []string{"users.read", "users.write"},
}

// reply is what a client saw.
type reply struct {
	status int
	header http.Header
	body   map[string]any
}

func ask(t *testing.T, handler http.Handler, method, target, form string, edit func(*http.Request)) reply {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, "https://login.example"+target, strings.NewReader(form))
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if edit != nil {
		edit(request)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request)
	got := reply{status: w.Code, header: w.Header()}
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(w.Body.Bytes(), &got.body); err != nil {
			t.Fatalf("%v in %s", err, w.Body)
		}
	}
	return got
}

func basic(id, secret string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(id, secret) }
}

func TestTokenRequests(t *testing.T) {
	const secret = "s%25cret+%3A%C3%A9" // form-encoded
	const body = "client_id=casebook&client_secret=" + secret
	grant := "grant_type=client_credentials"
	tests := map[string]struct {
		form   string
		edit   func(*http.Request)
		status int
		code   string
		scope  string
	}{
		"a client by Basic":                  {grant, basic("casebook", secret), 200, "", "users.read users.write"},
		"a client in the body":               {grant + "&" + body, nil, 200, "", "users.read users.write"},
		"less than all scopes":               {grant + "&scope=users.read", basic("casebook", secret), 200, "", "users.read"},
		"a secret that is not form-encoded":  {grant, basic("casebook", "s%cret :é"), 401, "invalid_client", ""},
		"a wrong secret":                     {grant, basic("casebook", "wrong"), 401, "invalid_client", ""},
		"a wrong secret in the body":         {grant + "&client_id=casebook&client_secret=wrong", nil, 401, "invalid_client", ""},
		"an unknown client":                  {grant, basic("nobody", ""), 401, "invalid_client", ""},
		"no client":                          {grant, nil, 401, "invalid_client", ""},
		"a client by another scheme":         {grant + "&" + body, func(r *http.Request) { r.Header.Set("Authorization", "Bearer x") }, 401, "invalid_client", ""},
		"a client that authenticates twice":  {grant + "&" + body, basic("casebook", secret), 400, "invalid_request", ""},
		"a client that may not":              {grant, basic("robot", "r"), 400, "unauthorized_client", ""},
		"an unknown scope":                   {grant + "&scope=users.read+all", basic("casebook", secret), 400, "invalid_scope", ""},
		"another grant":                      {"grant_type=password", basic("casebook", secret), 400, "unsupported_grant_type", ""},
		"no grant":                           {"", basic("casebook", secret), 400, "invalid_request", ""},
		"a parameter twice":                  {grant + "&" + grant, basic("casebook", secret), 400, "invalid_request", ""},
		"a form that cannot be read":         {grant + "&scope=%zz", basic("casebook", secret), 400, "invalid_request", ""},
		"a form that is too large":           {grant + "&scope=" + strings.Repeat("x", 1<<20), basic("casebook", secret), 400, "invalid_request", ""},
		"a body that is no form":             {`{"grant_type":"client_credentials"}`, func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }, 400, "invalid_request", ""},
		"credentials in the URI are refused": {grant, func(r *http.Request) { r.URL.RawQuery = body }, 400, "invalid_request", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := oauth.New(options)
			got := ask(t, server, http.MethodPost, oauth.TokenPath, tc.form, tc.edit)
			if code, _ := got.body["error"].(string); got.status != tc.status || code != tc.code {
				t.Errorf("got %d %v, want %d %s", got.status, got.body, tc.status, tc.code)
			}
			if got.header.Get("Cache-Control") != "no-store" || got.header.Get("Pragma") != "no-cache" {
				t.Errorf("the answer may be kept: %v", got.header)
			}
			// Section 5.2: a challenge where the client used the Authorization header.
			used := false
			if tc.edit != nil {
				request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
				tc.edit(request)
				used = request.Header.Get("Authorization") != ""
			}
			if challenged := got.header.Get("WWW-Authenticate") != ""; challenged != (tc.status == 401 && used) {
				t.Errorf("WWW-Authenticate %q", got.header.Get("WWW-Authenticate"))
			}
			token, _ := got.body["access_token"].(string)
			if server.Valid(token) != (tc.status == 200) {
				t.Errorf("the token %q is valid: %t", token, server.Valid(token))
			}
			if tc.status == 200 && (got.body["token_type"] != "Bearer" || got.body["expires_in"] != 3600.0 || got.body["scope"] != tc.scope) {
				t.Errorf("got %v", got.body)
			}
		})
	}
}

func TestTokensEnd(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	server := oauth.New(oauth.Options{Clients: map[string]string{"casebook": "a"}, Lifetime: time.Minute, Now: func() time.Time { return now }})
	issue := func(secret string) string {
		token, _ := ask(t, server, http.MethodPost, oauth.TokenPath, "grant_type=client_credentials", basic("casebook", secret)).body["access_token"].(string)
		return token
	}
	first := issue("a")
	if !server.Valid(first) || server.Valid(first+"x") || server.Valid("") {
		t.Error("a token is not what it was issued as")
	}
	now = now.Add(time.Minute)
	if server.Valid(first) {
		t.Error("the token outlived its time")
	}
	second := issue("a")
	server.Revoke()
	if server.Valid(second) {
		t.Error("the token outlived its revocation")
	}
	server.SetSecret("casebook", "b")
	if issue("a") != "" || issue("b") == "" {
		t.Error("the replaced secret is not the one that counts")
	}
}

func TestOtherRequests(t *testing.T) {
	server := oauth.New(options)
	if got := ask(t, server, http.MethodGet, oauth.TokenPath, "", nil); got.status != http.StatusMethodNotAllowed || got.header.Get("Allow") != http.MethodPost {
		t.Errorf("GET: %d, Allow %q", got.status, got.header.Get("Allow"))
	}
	if got := ask(t, server, http.MethodPost, "/authorize", "", nil); got.status != http.StatusNotFound {
		t.Errorf("another path: %d", got.status)
	}
}

func TestIssuingIsReported(t *testing.T) {
	recorder := standin.New(oauth.New(options))
	ask(t, recorder, http.MethodPost, oauth.TokenPath, "grant_type=client_credentials", basic("casebook", "wrong"))
	ask(t, recorder, http.MethodPost, oauth.TokenPath, "grant_type=client_credentials", basic("casebook", "s%25cret+%3A%C3%A9"))
	if effects := recorder.Effects(); len(effects) != 1 || effects[0].Kind != oauth.TokenIssued || effects[0].Target != "casebook" {
		t.Errorf("got %+v, want one token", effects)
	}
}
