// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package scim_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/test/standin"
	"github.com/casebook-dev/casebook/test/standin/scim"
)

func ana() scim.User {
	return scim.User{
		ID: "u-1", UserName: "ana@example.com", DisplayName: "Ana", GivenName: "Ana", FamilyName: "Souza", Email: "ana@example.com", Active: true,
		Department: "Finance", ManagerID: "u-9", ManagerDisplayName: "Mia", Location: "Berlin", EmploymentStatus: scim.Employed, ManagerEmail: "mia@example.com",
	}
}

// reply is what a client saw.
type reply struct {
	status int
	header http.Header
	body   map[string]any
}

func ask(t *testing.T, handler http.Handler, method, target, body string, header ...string) reply {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, "http://directory.example"+target, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/scim+json")
	for i := 0; i < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request)
	got := reply{status: w.Code, header: w.Header()}
	if w.Body.Len() > 0 {
		if contentType := w.Header().Get("Content-Type"); contentType != "application/scim+json" {
			t.Errorf("%s %s: Content-Type %q", method, target, contentType)
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got.body); err != nil {
			t.Fatalf("%s %s: %v in %s", method, target, err, w.Body)
		}
	}
	return got
}

// isError checks the form of an error answer (RFC 7644, section 3.12).
func (r reply) isError(t *testing.T, status int, scimType string) {
	t.Helper()
	got, _ := r.body["scimType"].(string)
	schemas, _ := r.body["schemas"].([]any)
	if r.status != status || r.body["status"] != strconv.Itoa(status) || got != scimType || r.body["detail"] == "" ||
		len(schemas) != 1 || schemas[0] != "urn:ietf:params:scim:api:messages:2.0:Error" {
		t.Errorf("got %d %v, want an error %d of scimType %q", r.status, r.body, status, scimType)
	}
}

func patch(operations string) string {
	return `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":` + operations + `}`
}

func TestGetShowsTheUserAndItsExtensions(t *testing.T) {
	got := ask(t, scim.New(scim.Options{}, ana()), http.MethodGet, "/scim/v2/Users/u-1", "")
	meta, _ := got.body["meta"].(map[string]any)
	if got.status != http.StatusOK || got.header.Get("ETag") == "" || meta["version"] != got.header.Get("ETag") || meta["resourceType"] != "User" ||
		meta["location"] != "http://directory.example/scim/v2/Users/u-1" || meta["created"] == "" {
		t.Errorf("got %d, ETag %q, meta %v", got.status, got.header.Get("ETag"), meta)
	}
	delete(got.body, "meta")
	want := map[string]any{
		"schemas": []any{scim.CoreSchema, scim.WorkforceSchema, scim.EnterpriseSchema},
		"id":      "u-1", "userName": "ana@example.com", "displayName": "Ana", "active": true,
		"name":                map[string]any{"givenName": "Ana", "familyName": "Souza"},
		"emails":              []any{map[string]any{"value": "ana@example.com", "type": "work", "primary": true}},
		scim.EnterpriseSchema: map[string]any{"department": "Finance", "manager": map[string]any{"value": "u-9", "displayName": "Mia"}},
		scim.WorkforceSchema:  map[string]any{"privileged": false, "location": "Berlin", "employmentStatus": "Employed", "managerEmail": "mia@example.com"},
	}
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Error(diff)
	}
}

func TestListFilters(t *testing.T) {
	twin := ana()
	twin.ID, twin.UserName = "u-2", "ANA@example.com"
	odd := scim.User{ID: "u-3", UserName: `o"dd\na me`, Active: true}
	directory := scim.New(scim.Options{}, ana(), twin, odd)
	tests := map[string]struct {
		filter   string
		want     []string
		scimType string
	}{
		"a name finds every user of it, whatever the case":        {filter: `userName eq "ana@EXAMPLE.com"`, want: []string{"u-1", "u-2"}},
		"attribute and operator are read in any case":             {filter: `USERNAME Eq "ana@example.com"`, want: []string{"u-1", "u-2"}},
		"the attribute may be qualified":                          {filter: scim.CoreSchema + `:userName eq "ana@example.com"`, want: []string{"u-1", "u-2"}},
		"a value is a JSON string, with its escapes":              {filter: `userName eq "o\"dd\\na me"`, want: []string{"u-3"}},
		"escapes by code point too":                               {filter: `userName eq "\u0061na@example.com"`, want: []string{"u-1", "u-2"}},
		"nobody is an empty list":                                 {filter: `userName eq "nobody"`},
		"a quote that is not escaped does not end in a wider one": {filter: `userName eq "x" or userName pr`, scimType: "invalidFilter"},
		"nor with a value after it":                               {filter: `userName eq "x" or userName eq "ana@example.com"`, scimType: "invalidFilter"},
		"another attribute is not supported":                      {filter: `active eq true`, scimType: "invalidFilter"},
		"nor another operator":                                    {filter: `userName sw "a"`, scimType: "invalidFilter"},
		"nor a value without quotes":                              {filter: `userName eq ana`, scimType: "invalidFilter"},
		"nor a string that JSON does not know":                    {filter: `userName eq "\x"`, scimType: "invalidFilter"},
		"nor an empty filter":                                     {filter: ``, scimType: "invalidFilter"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := ask(t, directory, http.MethodGet, "/scim/v2/Users?filter="+url.QueryEscape(tc.filter), "")
			if tc.scimType != "" {
				got.isError(t, http.StatusBadRequest, tc.scimType)
				return
			}
			if diff := cmp.Diff(tc.want, ids(got.body)); diff != "" || got.body["totalResults"] != float64(len(tc.want)) {
				t.Errorf("totalResults %v, ids: %s", got.body["totalResults"], diff)
			}
		})
	}
}

func ids(list map[string]any) []string {
	var out []string
	resources, _ := list["Resources"].([]any)
	for _, each := range resources {
		resource, _ := each.(map[string]any)
		id, _ := resource["id"].(string)
		out = append(out, id)
	}
	return out
}

func TestListPages(t *testing.T) {
	directory := scim.New(scim.Options{}, scim.User{ID: "a"}, scim.User{ID: "b"}, scim.User{ID: "c"})
	tests := map[string]struct {
		query string
		want  []string
	}{
		"all":                       {"", []string{"a", "b", "c"}},
		"from the second":           {"startIndex=2", []string{"b", "c"}},
		"one of them":               {"startIndex=2&count=1", []string{"b"}},
		"below the first is first":  {"startIndex=-4&count=1", []string{"a"}},
		"a count of zero only adds": {"count=0", nil},
		"past the end":              {"startIndex=9", nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := ask(t, directory, http.MethodGet, "/scim/v2/Users?"+tc.query, "")
			if diff := cmp.Diff(tc.want, ids(got.body)); diff != "" || got.body["totalResults"] != 3.0 || got.body["itemsPerPage"] != float64(len(tc.want)) {
				t.Errorf("got %v: %s", got.body, diff)
			}
		})
	}
	ask(t, directory, http.MethodGet, "/scim/v2/Users?count=x", "").isError(t, http.StatusBadRequest, "invalidValue")
}

func TestPatch(t *testing.T) {
	tests := map[string]struct {
		operations string
		scimType   string
		change     func(*scim.User)
	}{
		"replace of active suspends":               {operations: `[{"op":"replace","path":"active","value":false}]`, change: func(u *scim.User) { u.Active = false }},
		"names in any case":                        {operations: `[{"op":"replace","path":"Active","value":false}]`, change: func(u *scim.User) { u.Active = false }},
		"add of active does too":                   {operations: `[{"op":"add","path":"active","value":false}]`, change: func(u *scim.User) { u.Active = false }},
		"a qualified path":                         {operations: `[{"op":"replace","path":"` + scim.CoreSchema + `:active","value":false}]`, change: func(u *scim.User) { u.Active = false }},
		"without a path the value's members":       {operations: `[{"op":"replace","value":{"active":false,"title":"CFO"}}]`, change: func(u *scim.User) { u.Active, u.Title = false, "CFO" }},
		"several operations":                       {operations: `[{"op":"remove","path":"displayName"},{"op":"add","path":"name.givenName","value":"A"}]`, change: func(u *scim.User) { u.DisplayName, u.GivenName = "", "A" }},
		"an extension's attribute":                 {operations: `[{"op":"replace","path":"` + scim.EnterpriseSchema + `:department","value":"Legal"}]`, change: func(u *scim.User) { u.Department = "Legal" }},
		"an extension's sub-attribute":             {operations: `[{"op":"replace","path":"` + scim.EnterpriseSchema + `:manager.value","value":"u-8"}]`, change: func(u *scim.User) { u.ManagerID = "u-8" }},
		"an extension's members, the rest stays":   {operations: `[{"op":"add","value":{"` + scim.WorkforceSchema + `":{"employmentStatus":"Leaver"}}}]`, change: func(u *scim.User) { u.EmploymentStatus = scim.Leaver }},
		"an unknown path":                          {operations: `[{"op":"replace","path":"aktive","value":false}]`, scimType: "invalidPath"},
		"an unknown sub-attribute":                 {operations: `[{"op":"replace","path":"active.value","value":false}]`, scimType: "invalidPath"},
		"an unknown attribute without a path":      {operations: `[{"op":"replace","value":{"aktive":false}}]`, scimType: "invalidPath"},
		"a value filter in a path":                 {operations: `[{"op":"replace","path":"emails[type eq \"work\"].value","value":"x"}]`, scimType: "invalidPath"},
		"a path that is no string":                 {operations: `[{"op":"replace","path":1,"value":"x"}]`, scimType: "invalidPath"},
		"a value of the wrong type":                {operations: `[{"op":"replace","path":"active","value":"false"}]`, scimType: "invalidValue"},
		"no value":                                 {operations: `[{"op":"replace","path":"active"}]`, scimType: "invalidValue"},
		"no object without a path":                 {operations: `[{"op":"replace","value":false}]`, scimType: "invalidValue"},
		"remove without a path":                    {operations: `[{"op":"remove"}]`, scimType: "noTarget"},
		"a read-only attribute":                    {operations: `[{"op":"replace","path":"id","value":"x"}]`, scimType: "mutability"},
		"a read-only attribute's member":           {operations: `[{"op":"replace","path":"meta.version","value":"x"}]`, scimType: "mutability"},
		"remove of what is required":               {operations: `[{"op":"remove","path":"userName"}]`, scimType: "mutability"},
		"an unknown operation":                     {operations: `[{"op":"Replace","path":"active","value":false}]`, scimType: "invalidSyntax"},
		"no operations":                            {operations: `[]`, scimType: "invalidSyntax"},
		"a good operation with a bad one after it": {operations: `[{"op":"replace","path":"active","value":false},{"op":"replace","path":"aktive","value":1}]`, scimType: "invalidPath"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			directory := scim.New(scim.Options{}, ana())
			got := ask(t, directory, http.MethodPatch, "/scim/v2/Users/u-1", patch(tc.operations))
			want := ana()
			if tc.scimType != "" {
				got.isError(t, http.StatusBadRequest, tc.scimType)
			} else {
				tc.change(&want)
				if got.status != http.StatusOK || got.body["id"] != "u-1" {
					t.Errorf("got %d %v, want the resource", got.status, got.body)
				}
			}
			have, _ := directory.User("u-1")
			if diff := cmp.Diff(want, have); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPatchMayAnswerWithoutContent(t *testing.T) {
	directory := scim.New(scim.Options{NoContent: true}, ana())
	got := ask(t, directory, http.MethodPatch, "/scim/v2/Users/u-1", patch(`[{"op":"replace","path":"active","value":false}]`))
	if user, _ := directory.User("u-1"); got.status != http.StatusNoContent || got.body != nil || user.Active {
		t.Errorf("got %d %v, active %t", got.status, got.body, user.Active)
	}
}

func TestVersionsGuardChanges(t *testing.T) {
	directory := scim.New(scim.Options{}, ana())
	first := ask(t, directory, http.MethodGet, "/scim/v2/Users/u-1", "").header.Get("ETag")
	if got := ask(t, directory, http.MethodGet, "/scim/v2/Users/u-1", "", "If-None-Match", first); got.status != http.StatusNotModified {
		t.Errorf("a read of the version that is known: %d, want 304", got.status)
	}
	suspend := patch(`[{"op":"replace","path":"active","value":false}]`)
	second := ask(t, directory, http.MethodPatch, "/scim/v2/Users/u-1", suspend, "If-Match", first)
	if second.status != http.StatusOK || second.header.Get("ETag") == first {
		t.Errorf("a change of the version that is there: %d, ETag %s after %s", second.status, second.header.Get("ETag"), first)
	}
	ask(t, directory, http.MethodPatch, "/scim/v2/Users/u-1", suspend, "If-Match", first).isError(t, http.StatusPreconditionFailed, "")
	again := ask(t, directory, http.MethodPatch, "/scim/v2/Users/u-1", suspend, "If-Match", `W/"x", `+second.header.Get("ETag"))
	if again.status != http.StatusOK || again.header.Get("ETag") != second.header.Get("ETag") {
		t.Errorf("a change that changes nothing: %d, ETag %s after %s, want none new", again.status, again.header.Get("ETag"), second.header.Get("ETag"))
	}
	if got := ask(t, directory, http.MethodPatch, "/scim/v2/Users/u-1", suspend, "If-Match", "*"); got.status != http.StatusOK {
		t.Errorf("any version: %d", got.status)
	}
	user, _ := directory.User("u-1")
	user.Title = "someone else was here"
	directory.Set(user)
	ask(t, directory, http.MethodPut, "/scim/v2/Users/u-1", `{}`, "If-Match", second.header.Get("ETag")).isError(t, http.StatusPreconditionFailed, "")
}

func TestPut(t *testing.T) {
	directory := scim.New(scim.Options{}, ana(), scim.User{ID: "u-2", UserName: "bo@example.com"})
	put := func(body string) reply {
		return ask(t, directory, http.MethodPut, "/scim/v2/Users/u-1", `{"schemas":["`+scim.CoreSchema+`"],`+body+`}`)
	}
	put(`"userName":"BO@example.com"`).isError(t, http.StatusConflict, "uniqueness")
	put(`"active":false`).isError(t, http.StatusBadRequest, "invalidValue")
	put(`"userName":""`).isError(t, http.StatusBadRequest, "invalidValue")
	put(`"userName":"ana@example.com","nickname":"x"`).isError(t, http.StatusBadRequest, "invalidSyntax")
	ask(t, directory, http.MethodPut, "/scim/v2/Users/u-1", `{"userName":"a"}`).isError(t, http.StatusBadRequest, "invalidSyntax")
	if user, _ := directory.User("u-1"); !cmp.Equal(ana(), user) {
		t.Errorf("refused requests changed the user: %s", cmp.Diff(ana(), user))
	}
	got := put(`"id":"u-7","userName":"ana@example.com","active":false,"emails":[{"value":"a@example.com","type":"work"}]`)
	want := scim.User{ID: "u-1", UserName: "ana@example.com", Email: "a@example.com"}
	if user, _ := directory.User("u-1"); got.status != http.StatusOK || !cmp.Equal(want, user) {
		t.Errorf("got %d, %s", got.status, cmp.Diff(want, user))
	}
}

func TestRequestsThatAreRefused(t *testing.T) {
	directory := scim.New(scim.Options{Accepts: func(token string) bool { return token == "good" }}, ana())
	none := ask(t, directory, http.MethodGet, "/scim/v2/Users/u-1", "")
	none.isError(t, http.StatusUnauthorized, "")
	if got := none.header.Get("WWW-Authenticate"); got != `Bearer realm="SCIM"` {
		t.Errorf("without a token: WWW-Authenticate %q", got)
	}
	bad := ask(t, directory, http.MethodGet, "/scim/v2/Users/u-1", "", "Authorization", "Bearer bad")
	bad.isError(t, http.StatusUnauthorized, "")
	if got := bad.header.Get("WWW-Authenticate"); !strings.Contains(got, `error="invalid_token"`) {
		t.Errorf("with a bad token: WWW-Authenticate %q", got)
	}
	as := func(method, target, body string, header ...string) reply {
		return ask(t, directory, method, target, body, append(header, "Authorization", "bearer good")...)
	}
	as(http.MethodGet, "/scim/v2/Users/none", "").isError(t, http.StatusNotFound, "")
	as(http.MethodPatch, "/scim/v2/Users/none", patch(`[]`)).isError(t, http.StatusNotFound, "")
	as(http.MethodGet, "/scim/v2/Groups", "").isError(t, http.StatusNotFound, "")
	as(http.MethodPost, "/scim/v2/Users", "{}").isError(t, http.StatusNotImplemented, "")
	as(http.MethodDelete, "/scim/v2/Users/u-1", "").isError(t, http.StatusNotImplemented, "")
	as(http.MethodPatch, "/scim/v2/Users/u-1", "{}", "Content-Type", "text/plain").isError(t, http.StatusUnsupportedMediaType, "")
	for _, body := range []string{"", "null", "[]", "{", "{}{}", `{"Operations":[]}`, strings.Repeat("x", 2<<20)} {
		as(http.MethodPatch, "/scim/v2/Users/u-1", body).isError(t, http.StatusBadRequest, "invalidSyntax")
	}
}

func TestLimit(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	directory := scim.New(scim.Options{Limit: standin.Limit{Max: 1, Per: 30 * time.Second}, Now: func() time.Time { return now }}, ana())
	if got := ask(t, directory, http.MethodGet, "/scim/v2/Users/u-1", ""); got.status != http.StatusOK {
		t.Errorf("the first request: %d", got.status)
	}
	now = now.Add(10 * time.Second)
	limited := ask(t, directory, http.MethodGet, "/scim/v2/Users/u-1", "")
	limited.isError(t, http.StatusTooManyRequests, "")
	if got := limited.header.Get("Retry-After"); got != "20" {
		t.Errorf("Retry-After %q, want 20", got)
	}
	now = now.Add(20 * time.Second)
	if got := ask(t, directory, http.MethodGet, "/scim/v2/Users/u-1", ""); got.status != http.StatusOK {
		t.Errorf("when the window is over: %d", got.status)
	}
}

func TestServiceProviderConfig(t *testing.T) {
	got := ask(t, scim.New(scim.Options{}), http.MethodGet, "/scim/v2/ServiceProviderConfig", "")
	for _, feature := range []string{"patch", "filter", "etag"} {
		if about, _ := got.body[feature].(map[string]any); about["supported"] != true {
			t.Errorf("%s: %v, want supported", feature, about)
		}
	}
	for _, feature := range []string{"bulk", "sort", "changePassword"} {
		if about, _ := got.body[feature].(map[string]any); about["supported"] != false {
			t.Errorf("%s: %v, want not supported", feature, about)
		}
	}
}

func TestEffectsAreReported(t *testing.T) {
	directory := scim.New(scim.Options{}, ana())
	recorder := standin.New(directory)
	suspend := patch(`[{"op":"replace","path":"active","value":false}]`)
	restore := patch(`[{"op":"replace","value":{"active":true}}]`)
	for _, body := range []string{suspend, suspend, restore, patch(`[{"op":"add","path":"title","value":"CFO"}]`), patch(`[]`)} {
		ask(t, recorder, http.MethodPatch, "/scim/v2/Users/u-1", body)
	}
	type effect struct {
		Kind    string
		Changed bool
	}
	var got []effect
	for _, e := range recorder.Effects() {
		if e.Target != "ana@example.com" {
			t.Errorf("the target is %s", e.Target)
		}
		got = append(got, effect{e.Kind, e.Changed})
	}
	want := []effect{{scim.UserDeactivated, true}, {scim.UserDeactivated, false}, {scim.UserActivated, true}, {scim.UserChanged, true}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestSetAndRemove(t *testing.T) {
	directory := scim.New(scim.Options{})
	id := directory.Set(scim.User{UserName: "Bo", Active: true})
	other := directory.Set(scim.User{UserName: "bo"})
	if named := directory.Named("BO"); len(named) != 2 || id == other || id == "" {
		t.Errorf("got %v, ids %q and %q, want two users of one name", named, id, other)
	}
	directory.Remove(other)
	if named := directory.Named("bo"); len(named) != 1 || named[0].ID != id {
		t.Errorf("got %v after one was removed", named)
	}
	if _, ok := directory.User(other); ok {
		t.Error("the removed user is there")
	}
}
