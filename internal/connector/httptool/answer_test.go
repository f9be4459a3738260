// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"net/http"
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// FuzzAnswers gives what any target may say to a read and to a mutation: neither may panic, success needs what was
// declared, and what is said of it can be shown.
func FuzzAnswers(f *testing.F) {
	for _, body := range []string{anaActive, anaTwice, nobody, notReplaced, "", "null", "[]", `{"kind":`, "<html>", "\x00\u202e", `{"detail":{"a":[1e999999]}}`, strings.Repeat("[", 20000)} {
		f.Add(200, "application/json", body)
		f.Add(404, "text/plain; charset=\"", body)
	}
	object := load(f, "directory")
	f.Fuzz(func(t *testing.T, status int, kind, body string) {
		answers := func(sent Sent) (int, http.Header, []byte) {
			if sent.Method == http.MethodGet {
				return 200, http.Header{"Content-Type": {"application/json"}}, []byte(anaActive)
			}
			return status, http.Header{"Content-Type": {kind}}, []byte(body)
		}
		tried, err := Try(t.Context(), object, ask("suspendUser", ana), answers)
		if err != nil {
			t.Fatal(err)
		}
		if tried.Result.Outcome == v1alpha1.OutcomeAcknowledged && status != 204 && (status != 200 || !strings.Contains(body, "active")) {
			t.Errorf("%d with %q is taken for success", status, body)
		}
		if message := tried.Result.Message; len(message) > connector.MaxMessage || strings.ContainsAny(message, "\x00\x1b\n\u202e") {
			t.Errorf("the message cannot be shown: %q", message)
		}
		_, err = Try(t.Context(), object, ask("findUser", ana), inTurn(reply{status, body, kind}))
		if err != nil && strings.ContainsAny(err.Error(), "\x00\x1b\u202e") {
			t.Errorf("the error cannot be shown: %q", err)
		}
	})
}
