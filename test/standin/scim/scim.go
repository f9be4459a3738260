// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package scim is a stand-in for a directory: the part of SCIM 2.0 (RFC 7643, RFC 7644) that looking up and suspending
// users needs.
//
//	GET   /scim/v2/Users?filter=userName eq "ana@example.com"   also without a filter, with startIndex and count
//	GET   /scim/v2/Users/{id}
//	PATCH /scim/v2/Users/{id}    PatchOp: add, replace, remove; paths without value filters
//	PUT   /scim/v2/Users/{id}
//	GET   /scim/v2/ServiceProviderConfig
//
// Resources have versions: an ETag, If-Match on changes (412), If-None-Match on reads (304). What it does not do, such as
// POST and DELETE, it answers with 501; the parameters attributes, excludedAttributes and sortBy it ignores.
package scim

import (
	"crypto/rand"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/casebook-dev/casebook/test/standin"
)

// BasePath begins every path.
const BasePath = "/scim/v2"

const (
	usersPath  = BasePath + "/Users"
	configPath = BasePath + "/ServiceProviderConfig"
)

// The kinds of the effects; their target is the userName. A repeated change that changes nothing is reported with
// Changed false.
const (
	// UserDeactivated: a change set active to false.
	UserDeactivated = "userDeactivated"
	// UserActivated: a change set active to true.
	UserActivated = "userActivated"
	// UserChanged: a change of anything else.
	UserChanged = "userChanged"
)

// Options say how the directory behaves.
type Options struct {
	// Accepts judges a bearer token; nil asks for none.
	Accepts func(token string) bool
	// Limit bounds the requests.
	Limit standin.Limit
	// NoContent answers PATCH with 204 in place of the changed resource, which RFC 7644 (section 3.5.2) allows too.
	NoContent bool
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Directory is the directory. It is an http.Handler.
type Directory struct {
	options Options
	meter   *standin.Meter

	mu       sync.Mutex
	order    []string // ids
	records  map[string]*record
	versions int // how many there were in all
}

// record is one resource.
type record struct {
	document          map[string]any // without id and meta
	version           int
	created, modified time.Time
}

// New returns a directory with these users.
func New(options Options, users ...User) *Directory {
	if options.Now == nil {
		options.Now = time.Now
	}
	d := &Directory{options: options, meter: standin.NewMeter(options.Limit), records: map[string]*record{}}
	for _, user := range users {
		d.Set(user)
	}
	return d
}

// Set adds a user, or replaces the one of its id, and returns the id: a new one if the user has none. It is how someone
// else changes the directory: there is no effect, but a new version. It minds no uniqueness, so that a userName can be
// there twice.
func (d *Directory) Set(user User) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if user.ID == "" {
		user.ID = rand.Text()
	}
	now := d.options.Now()
	have, ok := d.records[user.ID]
	if !ok {
		have = &record{created: now}
		d.records[user.ID] = have
		d.order = append(d.order, user.ID)
	}
	d.change(have, user.document(), now)
	return user.ID
}

// Remove removes a user, as someone else would.
func (d *Directory) Remove(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.records, id)
	d.order = slices.DeleteFunc(d.order, func(have string) bool { return have == id })
}

// User returns the user of an id.
func (d *Directory) User(id string) (User, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	have, ok := d.records[id]
	if !ok {
		return User{}, false
	}
	return userOf(id, have.document), true
}

// Named returns the users of a userName, whatever the case of letters.
func (d *Directory) Named(userName string) []User {
	d.mu.Lock()
	defer d.mu.Unlock()
	var users []User
	for _, id := range d.named(userName) {
		users = append(users, userOf(id, d.records[id].document))
	}
	return users
}

// SetLimit replaces the limit and begins a new window.
func (d *Directory) SetLimit(limit standin.Limit) { d.meter.Set(limit) }

func (d *Directory) named(userName string) []string {
	var ids []string
	for _, id := range d.order {
		if name, _ := d.records[id].document["userName"].(string); strings.EqualFold(name, userName) {
			ids = append(ids, id)
		}
	}
	return ids
}

// change gives a record another document and a new version. The caller holds the lock.
func (d *Directory) change(have *record, document map[string]any, now time.Time) {
	d.versions++
	have.document, have.version, have.modified = document, d.versions, now
}

// ServeHTTP implements http.Handler.
func (d *Directory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if problem := d.admit(w, r); problem != nil {
		problem.write(w)
		return
	}
	id, single := strings.CutPrefix(r.URL.Path, usersPath+"/")
	var problem *problem
	switch {
	case r.URL.Path == configPath && r.Method == http.MethodGet:
		write(w, http.StatusOK, d.config(r))
	case r.URL.Path == usersPath && r.Method == http.MethodGet:
		problem = d.list(w, r)
	case single && r.Method == http.MethodGet:
		problem = d.get(w, r, id)
	case single && r.Method == http.MethodPatch:
		problem = d.mutate(w, r, id, patched)
	case single && r.Method == http.MethodPut:
		problem = d.mutate(w, r, id, replaced)
	case single || r.URL.Path == usersPath || r.URL.Path == configPath:
		problem = failure(http.StatusNotImplemented, "", "%s is not supported here", r.Method)
	default:
		problem = failure(http.StatusNotFound, "", "there is no endpoint %s", r.URL.Path)
	}
	if problem != nil {
		problem.write(w)
	}
}

// admit checks the token and the limit.
func (d *Directory) admit(w http.ResponseWriter, r *http.Request) *problem {
	if d.options.Accepts != nil {
		scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") || token == "" { // RFC 6750, section 3: no error code without credentials
			w.Header().Set("WWW-Authenticate", `Bearer realm="SCIM"`)
			return failure(http.StatusUnauthorized, "", "Authorization is missing or no bearer token")
		}
		if !d.options.Accepts(token) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="SCIM", error="invalid_token"`)
			return failure(http.StatusUnauthorized, "", "the token is expired, revoked or not one of ours")
		}
	}
	now := d.options.Now()
	if reading := d.meter.Take(now); !reading.OK {
		w.Header().Set("Retry-After", strconv.Itoa(reading.RetryAfter(now)))
		return failure(http.StatusTooManyRequests, "", "more than %d requests: try again later", reading.Limit)
	}
	return nil
}

func (d *Directory) list(w http.ResponseWriter, r *http.Request) *problem {
	query := r.URL.Query()
	start, count, problem := page(query)
	if problem != nil {
		return problem
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ids := d.order
	if query.Has("filter") {
		userName, problem := parseFilter(query.Get("filter"))
		if problem != nil {
			return problem
		}
		ids = d.named(userName)
	}
	resources := []any{}
	for i := start - 1; i < len(ids) && len(resources) < count; i++ {
		resources = append(resources, d.resource(r, ids[i]))
	}
	write(w, http.StatusOK, map[string]any{
		"schemas": []string{listSchema}, "totalResults": len(ids), "startIndex": start, "itemsPerPage": len(resources), "Resources": resources,
	})
	return nil
}

func (d *Directory) get(w http.ResponseWriter, r *http.Request, id string) *problem {
	d.mu.Lock()
	defer d.mu.Unlock()
	have, ok := d.records[id]
	if !ok {
		return missing(id)
	}
	if match := r.Header.Get("If-None-Match"); match != "" && anyETag(match, have.etag()) {
		w.Header().Set("ETag", have.etag())
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	d.answer(w, r, id)
	return nil
}

// mutation makes the next document of a resource, and tells whether it speaks of active.
type mutation func(body, document map[string]any) (next map[string]any, active bool, _ *problem)

func (d *Directory) mutate(w http.ResponseWriter, r *http.Request, id string, mutate mutation) *problem {
	body, problem := readBody(w, r)
	if problem != nil {
		return problem
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	have, ok := d.records[id]
	if !ok {
		return missing(id)
	}
	if match := r.Header.Get("If-Match"); match != "" && !anyETag(match, have.etag()) {
		return failure(http.StatusPreconditionFailed, "", "the resource is at version %s", have.etag())
	}
	next, active, problem := mutate(body, clone(have.document))
	if problem != nil {
		return problem
	}
	name, _ := next["userName"].(string)
	if others := d.named(name); slices.ContainsFunc(others, func(other string) bool { return other != id }) && have.document["userName"] != name {
		return failure(http.StatusConflict, "uniqueness", "userName %s is taken", name)
	}
	changed := !reflect.DeepEqual(next, have.document)
	if changed { // section 3.5.2: what changes nothing makes no new version
		d.change(have, next, d.options.Now())
	}
	standin.Report(r.Context(), standin.Effect{Kind: kindOf(next, active), Target: name, Changed: changed})
	if r.Method == http.MethodPatch && d.options.NoContent {
		w.Header().Set("ETag", have.etag())
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	d.answer(w, r, id)
	return nil
}

func kindOf(document map[string]any, active bool) string {
	switch {
	case !active:
		return UserChanged
	case document["active"] == true:
		return UserActivated
	default:
		return UserDeactivated
	}
}

// answer sends a resource with its version. The caller holds the lock.
func (d *Directory) answer(w http.ResponseWriter, r *http.Request, id string) {
	w.Header().Set("ETag", d.records[id].etag())
	w.Header().Set("Location", location(r, usersPath+"/"+id))
	write(w, http.StatusOK, d.resource(r, id))
}

// resource is the representation of a user. The caller holds the lock.
func (d *Directory) resource(r *http.Request, id string) map[string]any {
	have := d.records[id]
	out := maps.Clone(have.document)
	out["id"] = id
	out["schemas"] = schemasOf(have.document)
	out["meta"] = map[string]any{
		"resourceType": "User", "location": location(r, usersPath+"/"+id), "version": have.etag(),
		"created": have.created.UTC().Format(time.RFC3339Nano), "lastModified": have.modified.UTC().Format(time.RFC3339Nano),
	}
	return out
}

func (d *Directory) config(r *http.Request) map[string]any {
	supported := func(yes bool) map[string]any { return map[string]any{"supported": yes} }
	return map[string]any{
		"schemas": []string{configSchema}, "patch": supported(true), "changePassword": supported(false), "sort": supported(false), "etag": supported(true),
		"bulk":   map[string]any{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter": map[string]any{"supported": true, "maxResults": maxResults},
		"authenticationSchemes": []any{map[string]any{
			"type": "oauthbearertoken", "name": "OAuth bearer token", "description": "A bearer token (RFC 6750)", "primary": true,
		}},
		"meta": map[string]any{"resourceType": "ServiceProviderConfig", "location": location(r, configPath)},
	}
}

func (r *record) etag() string { return fmt.Sprintf(`W/"%d"`, r.version) }

// anyETag tells whether a header of entity tags names the version. Versions are compared weakly (RFC 7644, section 3.14).
func anyETag(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimSpace(tag)
		if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}

func location(r *http.Request, path string) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + r.Host + path
}
