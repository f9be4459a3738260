// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/conntest"
)

// subject is one operation of a Connector of testdata at an office of its own.
type subject struct {
	file, operation string
	input           map[string]any
	change          func(*v1alpha1.Connector, *office)
	fixture         func(*office, *conntest.Fixture)
}

func (s subject) of() conntest.Subject {
	return conntest.Subject{Operation: s.operation, New: func(tb testing.TB) *conntest.Fixture {
		tb.Helper()
		target, wire := newOffice(), &conntest.Wire{}
		object := load(tb, s.file)
		object.Spec.HTTP.BaseURL = wire.Serve(tb, target)
		if s.change != nil {
			s.change(object, target)
		}
		opened, err := NewOpener(dependencies()).Open(object)
		if err != nil {
			tb.Fatal(err)
		}
		request := connector.Request{Operation: s.operation, Input: s.input, Mark: "ida-7f3k2-act", Key: "3f2a"}
		if request.Target, err = opened.Target(s.operation, s.input); err != nil {
			tb.Fatal(err)
		}
		f := &conntest.Fixture{Connector: opened, Wire: wire, Request: request, Forbid: func() { target.with(func() { target.forbidden = true }) }}
		s.fixture(target, f)
		return f
	}}
}

// under looks at the office under its lock.
func under[T any](o *office, look func() T) T {
	var out T
	o.with(func() { out = look() })
	return out
}

func ofActive(want bool) func(*office, *conntest.Fixture) {
	return func(o *office, f *conntest.Fixture) {
		o.with(func() { o.users[0]["active"] = !want })
		f.Holds = func() bool {
			return under(o, func() bool { return len(o.users) == 2 && o.users[0]["active"] == want })
		}
		f.Replace = func() func() error {
			o.with(func() { o.users = o.users[1:] })
			return func() error {
				return under(o, func() error {
					if o.users[0]["active"] != true {
						return fmt.Errorf("another user was touched: %v", o.users[0])
					}
					return nil
				})
			}
		}
	}
}

func ofSessions(o *office, f *conntest.Fixture) {
	f.Holds = func() bool { return under(o, func() bool { return o.sessions == 0 }) }
}

func ofPages(o *office, f *conntest.Fixture) {
	f.Holds = func() bool { return f.Effects() > 0 }
	f.Effects = func() int { return under(o, func() int { return len(o.pages) }) }
}

func ofTexts(o *office, f *conntest.Fixture) {
	f.Holds = func() bool { return f.Effects() > 0 }
	f.Effects = func() int { return under(o, func() int { return len(o.texts) }) }
}

func ofTickets(o *office, f *conntest.Fixture) {
	f.Effects = func() int { return under(o, func() int { return len(o.tickets) }) }
	f.Holds = func() bool {
		return under(o, func() bool { return len(o.tickets) > 0 && o.tickets[0]["state"] == "open" })
	}
	f.Rival = func() func() error {
		o.with(func() {
			if len(o.tickets) == 0 {
				o.tickets = append(o.tickets, map[string]any{"id": "0", "externalId": f.Request.Mark})
			}
			o.tickets[0]["state"] = "merged"
		})
		return func() error {
			return under(o, func() error {
				if len(o.tickets) != 1 || o.tickets[0]["state"] != "merged" {
					return fmt.Errorf("the rival's ticket was touched: %v", o.tickets)
				}
				return nil
			})
		}
	}
}

var subjects = map[string]subject{
	"idempotent, suspending a user": {file: "directory", operation: "suspendUser", input: ana, fixture: ofActive(false)},
	"idempotent, restoring a user":  {file: "directory", operation: "restoreUser", input: ana, fixture: ofActive(true)},
	"idempotent, only acknowledged": {file: "idp", operation: "revokeSessions", input: ana, fixture: ofSessions},
	"keyed":                         {file: "office", operation: "page", input: ana, fixture: ofPages},
	"read back":                     {file: "office", operation: "openTicket", input: map[string]any{"title": "Sign-ins from two places"}, fixture: ofTickets},
	"at most once":                  {file: "office", operation: "sendText", input: map[string]any{"to": "+491234567", "text": "Call us"}, fixture: ofTexts},
}

func TestDeclaredOperationsKeepThePromises(t *testing.T) {
	for name, s := range subjects {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // it waits as long as a 503 asks
			conntest.Run(t, s.of())
		})
	}
}

// TestWrongDeclarationsAreCaught declares what the office does not keep.
func TestWrongDeclarationsAreCaught(t *testing.T) {
	declare := func(change func(*v1alpha1.ConnectorOperation)) func(*v1alpha1.Connector, *office) {
		return func(object *v1alpha1.Connector, _ *office) {
			for i := range object.Spec.Operations {
				change(&object.Spec.Operations[i])
			}
		}
	}
	tests := map[string]struct {
		subject string
		change  func(*v1alpha1.Connector, *office)
		breaks  string
	}{
		"idempotent, where a repetition turns it round": {"idempotent, suspending a user", func(_ *v1alpha1.Connector, o *office) { o.toggles = true },
			"an answer lost after the effect is doubt"},
		"keyed, where the target knows no keys": {"keyed", func(_ *v1alpha1.Connector, o *office) { o.careless = true },
			"a write that arrives twice has one effect"},
		"read back, by what is not the mark": {"read back", declare(func(o *v1alpha1.ConnectorOperation) {
			if o.Verify != nil && o.Name == "openTicket" {
				o.Verify.Input.Raw = []byte(`{"marker":"another"}`)
			}
		}), "it does what it says and sees that it did"},
		"a server error taken for refusal": {"idempotent, only acknowledged", declare(func(o *v1alpha1.ConnectorOperation) { o.Refused = "response.status >= 400" }),
			"a server error after the effect is doubt and repeats nothing"},
		"a rollback that asks nobody": {"read back", declare(func(o *v1alpha1.ConnectorOperation) {
			if o.Name == "openTicket" {
				o.Rollback.OnlyIf = "true"
			}
		}), "a rival's change afterwards is seen, and not rolled back"},
		"already, that is never so": {"idempotent, suspending a user", declare(func(o *v1alpha1.ConnectorOperation) {
			if o.Already != "" {
				o.Already = "before.id == ''"
			}
		}), "it does what it says and sees that it did"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := subjects[tc.subject]
			s.change = tc.change
			broken := conntest.Check(t.Context(), t, s.of())
			if broken[tc.breaks] == nil {
				t.Errorf("broken: %q, want %q among them", slices.Sorted(maps.Keys(broken)), tc.breaks)
			}
		})
	}
}
