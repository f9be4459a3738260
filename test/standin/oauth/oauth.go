// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package oauth is a stand-in for an OAuth 2.0 authorization server: the token endpoint of RFC 6749 with the client
// credentials grant (section 4.4), clients that authenticate by HTTP Basic or in the body (section 2.3.1), and errors as
// in section 5.2.
package oauth

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/casebook-dev/casebook/test/standin"
)

// TokenPath is the path of the token endpoint.
const TokenPath = "/token"

// TokenIssued is the kind of the effect of a token that was issued; its target is the client.
const TokenIssued = "tokenIssued"

// maxForm bounds the form of a request, in bytes.
const maxForm = 64 << 10

// Options say how the server behaves.
type Options struct {
	// Clients are the secrets of the clients, by their identifier.
	Clients map[string]string
	// Unauthorized are clients that may not use the grant, by their identifier.
	Unauthorized map[string]bool
	// Scopes are what may be asked for. A request without scope gets them all.
	Scopes []string
	// Lifetime is how long a token is valid; an hour if zero.
	Lifetime time.Duration
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Server is the authorization server. It is an http.Handler.
type Server struct {
	mu      sync.Mutex
	options Options
	tokens  map[string]time.Time // when each ends
}

// New returns a server that has issued nothing.
func New(options Options) *Server {
	if options.Lifetime == 0 {
		options.Lifetime = time.Hour
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Server{options: options, tokens: map[string]time.Time{}}
}

// Valid tells whether a token was issued here and is neither expired nor revoked.
func (s *Server) Valid(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	ends, ok := s.tokens[token]
	return ok && s.options.Now().Before(ends)
}

// Revoke ends every token that was issued so far.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// SetSecret gives a client another secret, or makes it known.
func (s *Server) SetSecret(client, secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	clients := map[string]string{client: secret}
	for name, have := range s.options.Clients {
		if name != client {
			clients[name] = have
		}
	}
	s.options.Clients = clients
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path != TokenPath:
		http.NotFound(w, r)
		return
	case r.Method != http.MethodPost: // section 3.2: the client MUST use POST
		w.Header().Set("Allow", http.MethodPost)
		http.Error(w, "the token endpoint takes POST", http.StatusMethodNotAllowed)
		return
	}
	client, scope, problem := s.check(w, r)
	if problem != nil {
		problem.write(w)
		return
	}
	token := s.issue()
	standin.Report(r.Context(), standin.Effect{Kind: TokenIssued, Target: client, Changed: true})
	write(w, http.StatusOK, map[string]any{
		"access_token": token, "token_type": "Bearer", "expires_in": int(s.options.Lifetime / time.Second), "scope": scope,
	})
}

// check judges a request: the client that asks, and the scope it gets.
func (s *Server) check(w http.ResponseWriter, r *http.Request) (client, scope string, _ *problem) {
	form, bad := readForm(w, r)
	if bad != nil {
		return "", "", bad
	}
	client, bad = s.authenticate(r, form)
	if bad != nil {
		return "", "", bad
	}
	switch grant := form.Get("grant_type"); {
	case grant == "":
		return "", "", invalid("grant_type is missing")
	case grant != "client_credentials":
		return "", "", &problem{http.StatusBadRequest, "unsupported_grant_type", "only client_credentials is supported", false}
	case s.options.Unauthorized[client]:
		return "", "", &problem{http.StatusBadRequest, "unauthorized_client", "the client may not use this grant", false}
	}
	asked := strings.Fields(form.Get("scope"))
	for _, scope := range asked {
		if !slices.Contains(s.options.Scopes, scope) {
			return "", "", &problem{http.StatusBadRequest, "invalid_scope", "an unknown scope was asked for", false}
		}
	}
	if len(asked) == 0 {
		asked = s.options.Scopes
	}
	return client, strings.Join(asked, " "), nil
}

// readForm reads the parameters, none of which may be given twice (section 3.2).
func readForm(w http.ResponseWriter, r *http.Request) (url.Values, *problem) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return nil, invalid("the parameters must be a form in the body")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return nil, invalid("the form cannot be read")
	}
	for _, values := range r.PostForm {
		if len(values) > 1 {
			return nil, invalid("a parameter is given twice")
		}
	}
	if r.URL.Query().Has("client_secret") { // section 2.3.1: never in the URI
		return nil, invalid("client_secret is in the URI")
	}
	return r.PostForm, nil
}

// authenticate returns the client. A request uses one way to authenticate, never both (section 2.3).
func (s *Server) authenticate(r *http.Request, form url.Values) (string, *problem) {
	id, secret, basic := r.BasicAuth()
	if r.Header.Get("Authorization") != "" && !basic {
		return "", &problem{http.StatusUnauthorized, "invalid_client", "the scheme of the Authorization header is not supported", true}
	}
	if basic && form.Has("client_secret") {
		return "", invalid("the client authenticates in two ways")
	}
	if basic {
		var errID, errSecret error // section 2.3.1: both are form-encoded first
		id, errID = url.QueryUnescape(id)
		secret, errSecret = url.QueryUnescape(secret)
		if errID != nil || errSecret != nil {
			return "", &problem{http.StatusUnauthorized, "invalid_client", "the credentials are not form-encoded", true}
		}
	} else {
		id, secret = form.Get("client_id"), form.Get("client_secret")
	}
	s.mu.Lock()
	want, known := s.options.Clients[id]
	s.mu.Unlock()
	if !known || subtle.ConstantTimeCompare([]byte(secret), []byte(want)) != 1 {
		return "", &problem{http.StatusUnauthorized, "invalid_client", "client authentication failed", basic}
	}
	return id, nil
}

func (s *Server) issue() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	token := "at-" + rand.Text()
	s.tokens[token] = s.options.Now().Add(s.options.Lifetime)
	return token
}

// problem is an error answer of section 5.2.
type problem struct {
	status            int
	code, description string
	challenge         bool // the client used the Authorization header
}

func invalid(description string) *problem {
	return &problem{http.StatusBadRequest, "invalid_request", description, false}
}

func (p *problem) write(w http.ResponseWriter) {
	if p.challenge {
		w.Header().Set("WWW-Authenticate", `Basic realm="token"`)
	}
	write(w, p.status, map[string]any{"error": p.code, "error_description": p.description})
}

func write(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	w.Header().Set("Cache-Control", "no-store") // section 5.1
	w.Header().Set("Pragma", "no-cache")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone
}
