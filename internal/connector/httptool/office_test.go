// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"

	"github.com/casebook-dev/casebook/internal/connector"
)

// office is the target of the Connectors of testdata: a SCIM directory (RFC 7644) with ETags, sessions, pages with
// idempotency keys, tickets with a field for a marker, and text messages that nobody can look up.
type office struct {
	mu        sync.Mutex
	forbidden bool
	users     []map[string]any
	version   int
	sessions  int
	pages     []map[string]any
	keys      map[string]bool
	tickets   []map[string]any
	texts     []string
	asked     http.Header // of the last request

	careless bool // it does not know idempotency keys
	toggles  bool // it turns active round, whatever it is told
}

func newOffice() *office {
	o := &office{keys: map[string]bool{}, sessions: 3}
	o.users = []map[string]any{o.user("2819", "ana@example.com"), o.user("2820", "bob@example.com")}
	return o
}

func (o *office) user(id, name string) map[string]any {
	o.version++
	return map[string]any{"id": id, "userName": name, "active": true, "meta": map[string]any{"version": fmt.Sprintf(`W/"%d"`, o.version)}}
}

// with looks at the office, or changes it, beside the connector.
func (o *office) with(do func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	do()
}

// header is that of the last request.
func (o *office) header() http.Header { return under(o, func() http.Header { return o.asked }) }

func (o *office) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.asked = r.Header.Clone()
	switch {
	case r.Header.Get("Authorization") != "Bearer "+canary && r.Header.Get("Authorization") != "SSWS "+canary:
		say(w, http.StatusUnauthorized, map[string]any{"detail": "Bad token " + r.Header.Get("Authorization")})
	case o.forbidden:
		say(w, http.StatusForbidden, map[string]any{"detail": "Not allowed."})
	case r.URL.Path == "/Users":
		o.findUsers(w, r)
	case strings.HasPrefix(r.URL.Path, "/Users/") && r.Method == http.MethodPatch:
		o.patchUser(w, r)
	case strings.HasSuffix(r.URL.Path, "/sessions") && r.Method == http.MethodDelete:
		o.sessions = 0
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == "/pages":
		o.page(w, r)
	case strings.HasPrefix(r.URL.Path, "/tickets"):
		o.ticket(w, r)
	case r.URL.Path == "/texts":
		o.texts = append(o.texts, r.URL.Path)
		say(w, http.StatusAccepted, map[string]any{})
	default:
		say(w, http.StatusNotFound, map[string]any{"detail": "no such endpoint"})
	}
}

func say(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/scim+json; charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // to a peer that may be gone
}

func (o *office) findUsers(w http.ResponseWriter, r *http.Request) {
	var name string
	literal, ok := strings.CutPrefix(r.URL.Query().Get("filter"), "userName eq ")
	if err := json.Unmarshal([]byte(literal), &name); !ok || err != nil {
		say(w, http.StatusBadRequest, map[string]any{"scimType": "invalidFilter", "detail": "bad filter"})
		return
	}
	found := []map[string]any{}
	for _, user := range o.users {
		if user["userName"] == name {
			found = append(found, user)
		}
	}
	answer := map[string]any{"totalResults": len(found)}
	if len(found) > 0 { // RFC 7644, section 3.4.2: Resources may be left out
		answer["Resources"] = found
	}
	say(w, http.StatusOK, answer)
}

func (o *office) patchUser(w http.ResponseWriter, r *http.Request) {
	var patch struct {
		Operations []struct {
			Op, Path string
			Value    bool
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&patch); err != nil || len(patch.Operations) != 1 || patch.Operations[0].Path != "active" {
		say(w, http.StatusBadRequest, map[string]any{"detail": "bad patch"})
		return
	}
	for _, user := range o.users {
		if "/Users/"+user["id"].(string) != r.URL.Path {
			continue
		}
		if match := r.Header.Get("If-Match"); match != "" && match != user["meta"].(map[string]any)["version"] {
			say(w, http.StatusPreconditionFailed, map[string]any{"detail": "Resource has changed on the server."})
			return
		}
		was := user["active"]
		user["active"] = patch.Operations[0].Value
		if o.toggles {
			user["active"] = was == false
		}
		if was != user["active"] {
			o.version++
			user["meta"] = map[string]any{"version": fmt.Sprintf(`W/"%d"`, o.version)}
		}
		say(w, http.StatusOK, user)
		return
	}
	say(w, http.StatusNotFound, map[string]any{"detail": "no such user"})
}

func (o *office) page(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		say(w, http.StatusOK, matching(o.pages, "user", r.URL.Query().Get("user")))
		return
	}
	var page map[string]any
	if err := json.NewDecoder(r.Body).Decode(&page); err != nil {
		say(w, http.StatusBadRequest, map[string]any{"error": "bad page"})
		return
	}
	key := r.Header.Get("Idempotency-Key")
	if !o.keys[key] || o.careless {
		o.keys[key] = true
		o.pages = append(o.pages, page)
	}
	say(w, http.StatusCreated, page)
}

func (o *office) ticket(w http.ResponseWriter, r *http.Request) {
	switch r.Method {
	case http.MethodGet:
		say(w, http.StatusOK, matching(o.tickets, "externalId", r.URL.Query().Get("externalId")))
	case http.MethodPost:
		ticket := map[string]any{}
		if err := json.NewDecoder(r.Body).Decode(&ticket); err != nil {
			say(w, http.StatusBadRequest, map[string]any{"message": "bad ticket"})
			return
		}
		for _, have := range matching(o.tickets, "externalId", ticket["externalId"]) {
			if have["state"] != "open" {
				say(w, http.StatusConflict, map[string]any{"message": "there is one already"})
				return
			}
		}
		ticket["id"], ticket["state"] = fmt.Sprint(len(o.tickets)), "open"
		o.tickets = append(o.tickets, ticket)
		say(w, http.StatusCreated, ticket)
	default:
		for _, ticket := range o.tickets {
			if fmt.Sprintf("/tickets/%s/state", ticket["id"]) == r.URL.Path {
				ticket["state"] = r.FormValue("state")
				say(w, http.StatusOK, ticket)
				return
			}
		}
		say(w, http.StatusNotFound, map[string]any{"message": "no such ticket"})
	}
}

func matching(all []map[string]any, name string, value any) []map[string]any {
	out := []map[string]any{}
	for _, one := range all {
		if one[name] == value {
			out = append(out, one)
		}
	}
	return out
}

// dependencies let a connector reach loopback with the canary for a secret.
func dependencies() Dependencies {
	return Dependencies{
		Values: &heldSecrets{values: map[string]string{"directory/token": canary, "idp/token": canary, "office/token": canary}},
		Policy: connector.AddressPolicy{Allow: loopback},
	}
}
