// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package idp is a stand-in for an identity provider: the part of the Okta API (developer.okta.com, Users and User
// Sessions) that a response to a stolen session needs. A user is named by id, by login, or by the part of the login
// before the @ where that is unambiguous.
//
//	GET    /api/v1/users/{user}            the user
//	DELETE /api/v1/users/{user}/sessions   ends the user's sessions: 204
//
// Requests carry an API token (Authorization: SSWS …). Errors have Okta's form and codes, and limits its headers.
package idp

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/casebook-dev/casebook/test/standin"
)

// SessionsRevoked is the kind of the effect of ending sessions; its target is the login. It is reported for each request
// that was acknowledged, and Changed tells whether there was a session to end.
const SessionsRevoked = "sessionsRevoked"

// usersPath begins the path of every resource there is.
const usersPath = "/api/v1/users/"

// User is a user of the provider.
type User struct {
	// ID is the provider's own, such as 00ub0oNGTSWTBKOLGLNR.
	ID string
	// Login is the unique name, usually a mail address.
	Login string
	// Status is Okta's: ACTIVE if empty, or STAGED, SUSPENDED, DEPROVISIONED, …
	Status string
	// FirstName, LastName, Email, Department and Manager go into the profile; Email is the login if empty.
	FirstName, LastName, Email, Department, Manager string
	// Sessions is how many sessions the user has.
	Sessions int
}

// Options say how the provider behaves.
type Options struct {
	// Token is the API token that is taken.
	Token string
	// Limit bounds the requests.
	Limit standin.Limit
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Provider is the identity provider. It is an http.Handler.
type Provider struct {
	meter *standin.Meter
	now   func() time.Time

	mu    sync.Mutex
	token string
	users []User
}

// New returns a provider with these users.
func New(options Options, users ...User) *Provider {
	if options.Now == nil {
		options.Now = time.Now
	}
	p := &Provider{meter: standin.NewMeter(options.Limit), now: options.Now, token: options.Token}
	for _, user := range users {
		p.Set(user)
	}
	return p
}

// Set adds a user, or replaces the one of its id.
func (p *Provider) Set(user User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.IndexFunc(p.users, func(have User) bool { return have.ID == user.ID }); i >= 0 {
		p.users[i] = user
		return
	}
	p.users = append(p.users, user)
}

// User returns the user that a name means, as a path would say it.
func (p *Provider) User(name string) (User, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := p.find(name); i >= 0 {
		return p.users[i], true
	}
	return User{}, false
}

// SetToken replaces the API token that is taken.
func (p *Provider) SetToken(token string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.token = token
}

// SetLimit replaces the limit and begins a new window.
func (p *Provider) SetLimit(limit standin.Limit) { p.meter.Set(limit) }

// find returns the index of a user by id, login or unambiguous short name; -1 if there is none. A login with a slash
// or a question mark is found by id alone. The caller holds the lock.
func (p *Provider) find(name string) int {
	if i := slices.IndexFunc(p.users, func(u User) bool { return u.ID == name }); i >= 0 || name == "" || strings.ContainsAny(name, "/?") {
		return i
	}
	if i := slices.IndexFunc(p.users, func(u User) bool { return strings.EqualFold(u.Login, name) }); i >= 0 {
		return i
	}
	found := -1
	for i, user := range p.users {
		if short, _, _ := strings.Cut(user.Login, "@"); strings.EqualFold(short, name) {
			if found >= 0 {
				return -1
			}
			found = i
		}
	}
	return found
}

// ServeHTTP implements http.Handler.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Okta-Request-Id", rand.Text())
	w.Header().Set("Date", p.now().UTC().Format(http.TimeFormat)) // what X-Rate-Limit-Reset is compared with
	if problem := p.admit(w, r); problem != nil {
		problem.write(w)
		return
	}
	name, rest, ok := route(r.URL.EscapedPath())
	switch {
	case !ok || rest != "" && rest != "sessions":
		notFound.write(w)
	case rest == "" && r.Method == http.MethodGet:
		p.get(w, name)
	case rest == "sessions" && r.Method == http.MethodDelete:
		p.revoke(w, r, name)
	default:
		methodNotAllowed.write(w)
	}
}

// route takes a path apart into the user's name and what follows it.
func route(escaped string) (name, rest string, ok bool) {
	escaped, ok = strings.CutPrefix(escaped, usersPath)
	if !ok {
		return "", "", false
	}
	escaped, rest, _ = strings.Cut(escaped, "/")
	name, err := url.PathUnescape(escaped)
	return name, rest, err == nil && name != ""
}

// admit checks the limit and the token.
func (p *Provider) admit(w http.ResponseWriter, r *http.Request) *problem {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	p.mu.Lock()
	want := p.token
	p.mu.Unlock()
	switch {
	case token == "":
		return &invalidSession
	case !strings.EqualFold(scheme, "SSWS") || subtle.ConstantTimeCompare([]byte(token), []byte(want)) != 1:
		return &invalidToken
	}
	reading := p.meter.Take(p.now())
	if reading.Limited {
		w.Header().Set("X-Rate-Limit-Limit", strconv.Itoa(reading.Limit))
		w.Header().Set("X-Rate-Limit-Remaining", strconv.Itoa(reading.Remaining))
		w.Header().Set("X-Rate-Limit-Reset", strconv.FormatInt(reading.Resets.Unix(), 10))
	}
	if !reading.OK {
		return &tooMany
	}
	return nil
}

func (p *Provider) get(w http.ResponseWriter, name string) {
	user, ok := p.User(name)
	if !ok {
		noUser(name).write(w)
		return
	}
	write(w, http.StatusOK, user.resource())
}

func (p *Provider) revoke(w http.ResponseWriter, r *http.Request, name string) {
	p.mu.Lock()
	i := p.find(name)
	if i < 0 {
		p.mu.Unlock()
		noUser(name).write(w)
		return
	}
	effect := standin.Effect{Kind: SessionsRevoked, Target: p.users[i].Login, Changed: p.users[i].Sessions > 0}
	p.users[i].Sessions = 0
	p.mu.Unlock()
	standin.Report(r.Context(), effect)
	w.WriteHeader(http.StatusNoContent)
}

func (u User) resource() map[string]any {
	status, email := u.Status, u.Email
	if status == "" {
		status = "ACTIVE"
	}
	if email == "" {
		email = u.Login
	}
	return map[string]any{
		"id": u.ID, "status": status,
		"profile": map[string]any{
			"login": u.Login, "email": email, "firstName": u.FirstName, "lastName": u.LastName, "department": u.Department, "manager": u.Manager,
		},
	}
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that is gone
}

// problem is an error of the API.
type problem struct {
	status        int
	code, summary string
}

// The errors, with the codes and summaries of developer.okta.com/docs/reference/error-codes.
var (
	invalidSession   = problem{http.StatusForbidden, "E0000005", "Invalid session"}
	notFound         = problem{http.StatusNotFound, "E0000008", "The requested path was not found"}
	invalidToken     = problem{http.StatusUnauthorized, "E0000011", "Invalid token provided"}
	methodNotAllowed = problem{http.StatusMethodNotAllowed, "E0000022", "The endpoint does not support the provided HTTP method"}
	tooMany          = problem{http.StatusTooManyRequests, "E0000047", "API call exceeded rate limit due to too many requests."}
)

func noUser(name string) problem {
	return problem{http.StatusNotFound, "E0000007", fmt.Sprintf("Not found: Resource not found: %s (User)", name)}
}

func (p problem) write(w http.ResponseWriter) {
	write(w, p.status, map[string]any{
		"errorCode": p.code, "errorSummary": p.summary, "errorLink": p.code, "errorId": "oae" + rand.Text(), "errorCauses": []any{},
	})
}
