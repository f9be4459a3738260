// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package idp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/test/standin"
	"github.com/casebook-dev/casebook/test/standin/idp"
)

const token = "00QCjAl4MlV-WPXM"

func people() []idp.User {
	return []idp.User{
		{ID: "00u1", Login: "ana@example.com", FirstName: "Ana", LastName: "Souza", Department: "Finance", Manager: "mia@example.com", Sessions: 3},
		{ID: "00u2", Login: "bo@example.com"},
		{ID: "00u3", Login: "bo@example.org"},
		{ID: "00u4", Login: "a/b@example.com", Sessions: 1},
		{ID: "00u5", Login: "o+d d%@example.com", Sessions: 1},
	}
}

// reply is what a client saw.
type reply struct {
	status int
	header http.Header
	body   map[string]any
}

func ask(t *testing.T, handler http.Handler, method, target, authorization string) reply {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, "https://okta.example"+target, http.NoBody)
	if authorization != "" {
		request.Header.Set("Authorization", authorization)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, request)
	got := reply{status: w.Code, header: w.Header()}
	if w.Body.Len() > 0 {
		if err := json.Unmarshal(w.Body.Bytes(), &got.body); err != nil {
			t.Fatalf("%s %s: %v in %s", method, target, err, w.Body)
		}
	}
	if got.header.Get("X-Okta-Request-Id") == "" {
		t.Errorf("%s %s: no X-Okta-Request-Id", method, target)
	}
	return got
}

func TestRequests(t *testing.T) {
	const sessions = "/api/v1/users/ana@example.com/sessions"
	tests := map[string]struct {
		method, target, authorization string
		status                        int
		code, summary                 string
		id                            string // of the user that is shown
	}{
		"a user by login":                   {http.MethodGet, "/api/v1/users/ana@example.com", "SSWS " + token, 200, "", "", "00u1"},
		"a user by id":                      {http.MethodGet, "/api/v1/users/00u1", "SSWS " + token, 200, "", "", "00u1"},
		"a user by a short name":            {http.MethodGet, "/api/v1/users/ana", "SSWS " + token, 200, "", "", "00u1"},
		"logins have no case":               {http.MethodGet, "/api/v1/users/ANA@example.com", "SSWS " + token, 200, "", "", "00u1"},
		"a login that must be escaped":      {http.MethodGet, "/api/v1/users/o+d%20d%25@example.com", "SSWS " + token, 200, "", "", "00u5"},
		"a short name of two users":         {http.MethodGet, "/api/v1/users/bo", "SSWS " + token, 404, "E0000007", "Not found: Resource not found: bo (User)", ""},
		"nobody":                            {http.MethodGet, "/api/v1/users/eve@example.com", "SSWS " + token, 404, "E0000007", "Not found: Resource not found: eve@example.com (User)", ""},
		"a login with a slash":              {http.MethodGet, "/api/v1/users/a%2Fb@example.com", "SSWS " + token, 404, "E0000007", "Not found: Resource not found: a/b@example.com (User)", ""},
		"ending sessions":                   {http.MethodDelete, sessions, "SSWS " + token, 204, "", "", ""},
		"ending sessions of nobody":         {http.MethodDelete, "/api/v1/users/eve@example.com/sessions", "SSWS " + token, 404, "E0000007", "Not found: Resource not found: eve@example.com (User)", ""},
		"a slash that is no part of a name": {http.MethodDelete, "/api/v1/users/a/b@example.com/sessions", "SSWS " + token, 404, "E0000008", "The requested path was not found", ""},
		"no token":                          {http.MethodDelete, sessions, "", 403, "E0000005", "Invalid session", ""},
		"a wrong token":                     {http.MethodDelete, sessions, "SSWS nonsense", 401, "E0000011", "Invalid token provided", ""},
		"a token of another scheme":         {http.MethodDelete, sessions, "Bearer " + token, 401, "E0000011", "Invalid token provided", ""},
		"another path":                      {http.MethodGet, "/api/v2/users/00u1", "SSWS " + token, 404, "E0000008", "The requested path was not found", ""},
		"no user":                           {http.MethodGet, "/api/v1/users/", "SSWS " + token, 404, "E0000008", "The requested path was not found", ""},
		"another method":                    {http.MethodPost, sessions, "SSWS " + token, 405, "E0000022", "The endpoint does not support the provided HTTP method", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			provider := idp.New(idp.Options{Token: token}, people()...)
			got := ask(t, provider, tc.method, tc.target, tc.authorization)
			if got.status != tc.status {
				t.Errorf("got %d %v, want %d", got.status, got.body, tc.status)
			}
			if id, _ := got.body["id"].(string); id != tc.id {
				t.Errorf("got the user %q, want %q", id, tc.id)
			}
			if tc.code == "" {
				return
			}
			if id, _ := got.body["errorId"].(string); id == "" {
				t.Error("the error has no errorId")
			}
			delete(got.body, "errorId")
			want := map[string]any{"errorCode": tc.code, "errorSummary": tc.summary, "errorLink": tc.code, "errorCauses": []any{}}
			if diff := cmp.Diff(want, got.body); diff != "" {
				t.Error(diff)
			}
			if user, _ := provider.User("00u1"); user.Sessions != 3 {
				t.Error("a refused request ended sessions")
			}
		})
	}
}

func TestTheUserHasAProfile(t *testing.T) {
	provider := idp.New(idp.Options{Token: token}, people()...)
	got := ask(t, provider, http.MethodGet, "/api/v1/users/00u1", "SSWS "+token)
	want := map[string]any{"id": "00u1", "status": "ACTIVE", "profile": map[string]any{
		"login": "ana@example.com", "email": "ana@example.com", "firstName": "Ana", "lastName": "Souza", "department": "Finance", "manager": "mia@example.com",
	}}
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Error(diff)
	}
}

func TestEndingSessionsIsReportedEachTime(t *testing.T) {
	provider := idp.New(idp.Options{Token: token}, people()...)
	recorder := standin.New(provider)
	for range 2 {
		if got := ask(t, recorder, http.MethodDelete, "/api/v1/users/00u1/sessions?oauthTokens=true", "SSWS "+token); got.status != http.StatusNoContent {
			t.Errorf("got %d, want 204", got.status)
		}
	}
	ask(t, recorder, http.MethodDelete, "/api/v1/users/nobody/sessions", "SSWS "+token)
	var changed []bool
	for _, effect := range recorder.Effects() {
		if effect.Kind != idp.SessionsRevoked || effect.Target != "ana@example.com" {
			t.Errorf("got %+v", effect)
		}
		changed = append(changed, effect.Changed)
	}
	if diff := cmp.Diff([]bool{true, false}, changed); diff != "" {
		t.Error(diff)
	}
	if user, _ := provider.User("ana"); user.Sessions != 0 {
		t.Errorf("%d sessions are left", user.Sessions)
	}
}

func TestLimitSaysWhenItResets(t *testing.T) {
	now := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	provider := idp.New(idp.Options{Token: token, Limit: standin.Limit{Max: 2, Per: time.Minute}, Now: func() time.Time { return now }}, people()...)
	var statuses []int
	var remaining []string
	var last reply
	for range 3 {
		last = ask(t, provider, http.MethodGet, "/api/v1/users/00u1", "SSWS "+token)
		statuses = append(statuses, last.status)
		remaining = append(remaining, last.header.Get("X-Rate-Limit-Remaining"))
	}
	if diff := cmp.Diff([]int{200, 200, 429}, statuses); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1", "0", "0"}, remaining); diff != "" {
		t.Error(diff)
	}
	if last.body["errorCode"] != "E0000047" || last.header.Get("X-Rate-Limit-Limit") != "2" ||
		last.header.Get("X-Rate-Limit-Reset") != strconv.FormatInt(now.Add(time.Minute).Unix(), 10) || last.header.Get("Date") != now.Format(http.TimeFormat) {
		t.Errorf("got %v, %v", last.body, last.header)
	}
	if ask(t, provider, http.MethodGet, "/api/v1/users/00u1", "SSWS wrong").status != http.StatusUnauthorized {
		t.Error("a wrong token is limited before it is refused")
	}
	now = now.Add(time.Minute)
	if got := ask(t, provider, http.MethodGet, "/api/v1/users/00u1", "SSWS "+token); got.status != http.StatusOK {
		t.Errorf("when the window is over: %d", got.status)
	}
}

func TestATokenCanBeReplaced(t *testing.T) {
	provider := idp.New(idp.Options{Token: token}, people()...)
	provider.SetToken("next")
	if got := ask(t, provider, http.MethodGet, "/api/v1/users/00u1", "SSWS "+token); got.status != http.StatusUnauthorized {
		t.Errorf("the old token: %d", got.status)
	}
	if got := ask(t, provider, http.MethodGet, "/api/v1/users/00u1", "SSWS next"); got.status != http.StatusOK {
		t.Errorf("the new token: %d", got.status)
	}
}
