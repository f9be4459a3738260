// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/smtp"
	"github.com/casebook-dev/casebook/internal/fault"
)

// offline is a connector to a server that no test may reach.
func offline(t *testing.T) connector.Connector {
	t.Helper()
	return open(t, v1alpha1.SMTPConnector{Host: "mail.example.invalid"})
}

func TestTheDeclarationIsWhole(t *testing.T) {
	operations := offline(t).Operations()
	if err := connector.CheckOperations(operations); err != nil {
		t.Error(err)
	}
	o, _ := connector.Find(operations, smtp.SendMail)
	if o.Effect != v1alpha1.EffectIrreversible || o.EffectiveSemantics() != v1alpha1.AtMostOnce || !o.AcknowledgedOnly || o.TargetType != "Mailbox" {
		t.Errorf("got %+v", o)
	}
	operations[0].Name = "changed"
	if offline(t).Operations()[0].Name != smtp.SendMail {
		t.Error("a caller can change another's declarations")
	}
}

func TestTarget(t *testing.T) {
	tests := map[string]struct {
		operation string
		edit      func(map[string]any)
		want      string
		reason    string
		names     string
	}{
		"the mailbox":                    {smtp.SendMail, to("ana@example.com"), "ana@example.com", "", ""},
		"the mailbox without its name":   {smtp.SendMail, to("Ana <ana@example.com>"), "ana@example.com", "", ""},
		"an unknown operation":           {"readMail", to("ana@example.com"), "", connector.UnknownOperationReason, "sendMail"},
		"no recipient":                   {smtp.SendMail, to(""), "", connector.InvalidInputReason, `"to"`},
		"two recipients":                 {smtp.SendMail, to("ana@example.com, bo@example.com"), "", connector.InvalidInputReason, `"to"`},
		"a recipient that is no text":    {smtp.SendMail, set2("to", []any{"ana@example.com"}), "", connector.InvalidInputReason, `"to"`},
		"another header in a recipient":  {smtp.SendMail, to("ana@example.com\nBcc: x@example.com"), "", connector.InvalidInputReason, `"to"`},
		"no subject":                     {smtp.SendMail, set("subject", ""), "", connector.InvalidInputReason, `"subject"`},
		"no text":                        {smtp.SendMail, func(in map[string]any) { delete(in, "text") }, "", connector.InvalidInputReason, `"text"`},
		"a text without end":             {smtp.SendMail, set("text", strings.Repeat("x", 64<<10+1)), "", connector.InvalidInputReason, `"text"`},
		"an input that it does not have": {smtp.SendMail, set("bcc", "x@example.com"), "", connector.InvalidInputReason, `"bcc"`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			request := letter(tc.edit)
			got, err := offline(t).Target(tc.operation, request.Input)
			if tc.reason == "" {
				if want := (v1alpha1.Target{Type: "Mailbox", Name: tc.want}); err != nil || got != want {
					t.Errorf("got %+v, %v, want %+v", got, err, want)
				}
				return
			}
			terminal, ok := errors.AsType[*fault.Terminal](err)
			if !ok || terminal.Reason != tc.reason || !strings.Contains(err.Error(), tc.names) {
				t.Errorf("got %v, want a Terminal %s that names %s", err, tc.reason, tc.names)
			}
		})
	}
}

func set2(name string, value any) func(map[string]any) {
	return func(input map[string]any) { input[name] = value }
}

// TestRequestsThatAreWrongAreRefusedUnsent asks a server that would take anything.
func TestRequestsThatAreWrongAreRefusedUnsent(t *testing.T) {
	server := scripted(t, nil, nil)
	conn := open(t, server.spec)
	tests := map[string]func(*connector.Request){
		"another mailbox than planned":   func(r *connector.Request) { r.Target.Name = "bo@example.com" },
		"no mark":                        func(r *connector.Request) { r.Mark = "" },
		"an unknown operation":           func(r *connector.Request) { r.Operation = "readMail" },
		"an input that is wrong":         func(r *connector.Request) { r.Input["to"] = "ana@example.com\r\nX: y" },
		"an input that is not there":     func(r *connector.Request) { delete(r.Input, "subject") },
		"an input that is no longer so":  func(r *connector.Request) { r.Input["to"] = "bo@example.com" },
		"an input that it does not have": func(r *connector.Request) { r.Input["cc"] = "bo@example.com" },
		"an input of another type":       func(r *connector.Request) { r.Input["text"] = 7 },
	}
	for name, edit := range tests {
		t.Run(name, func(t *testing.T) {
			request := letter()
			request.Input = maps.Clone(request.Input)
			edit(&request)
			if got := conn.Do(t.Context(), request); got.Outcome != v1alpha1.OutcomeRefused || got.Reason == "" || got.Message == "" {
				t.Errorf("got %+v, want Refused, with a reason", got)
			}
			if _, err := conn.Before(t.Context(), request); err == nil {
				t.Error("Before takes it")
			}
			if _, err := conn.Verify(t.Context(), request); err == nil {
				t.Error("Verify takes it")
			}
		})
	}
	server.stop()
	if commands, _ := server.seen(); len(commands) != 0 {
		t.Errorf("the server heard %q", commands)
	}
}

func TestReadsAskNothing(t *testing.T) {
	conn := offline(t)
	before, err := conn.Before(t.Context(), letter())
	if diff := cmp.Diff(connector.Observation{}, before); diff != "" || err != nil {
		t.Errorf("got %v, %v, want something to do", diff, err)
	}
	after, err := conn.Verify(t.Context(), letter())
	if err != nil || after.Desired || after.Message == "" {
		t.Errorf("got %+v, %v, want that nothing can be said", after, err)
	}
	if _, err := conn.Read(t.Context(), smtp.SendMail, nil); err == nil {
		t.Error("sendMail was read")
	}
}

func TestANameThatDoesNotResolveIsNotSent(t *testing.T) {
	result := offline(t).Do(t.Context(), letter())
	if result.Outcome != v1alpha1.OutcomeNotSent || result.Reason != connector.UnreachableReason {
		t.Errorf("got %+v, want NotSent, %s", result, connector.UnreachableReason)
	}
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	good := v1alpha1.SMTPConnector{Host: "mail.example.com"}
	tests := map[string]struct {
		edit func(*v1alpha1.SMTPConnector)
		says string
	}{
		"a sender that is no address":    {func(s *v1alpha1.SMTPConnector) { s.From = "Casebook" }, "spec.smtp.from"},
		"a sender that is two":           {func(s *v1alpha1.SMTPConnector) { s.From = "a@example.com, b@example.com" }, "spec.smtp.from"},
		"a sender with another command":  {func(s *v1alpha1.SMTPConnector) { s.From = "a@example.com>\r\nRCPT TO:<b@example.com" }, "spec.smtp.from"},
		"credentials in clear":           {func(s *v1alpha1.SMTPConnector) { *s = withPassword(*s); s.TLS = v1alpha1.SMTPNone }, "TLS"},
		"a username without a password":  {func(s *v1alpha1.SMTPConnector) { s.Username = "casebook" }, "passwordRef"},
		"a password without a username":  {func(s *v1alpha1.SMTPConnector) { *s = withPassword(*s); s.Username = "" }, "username"},
		"a bundle with a broken block":   {func(s *v1alpha1.SMTPConnector) { s.CABundle = "-----BEGIN CERTIFICATE-----\n" }, "spec.smtp.caBundle: block 1 is no PEM"},
		"a bundle without a certificate": {func(s *v1alpha1.SMTPConnector) { s.CABundle = "none" }, "spec.smtp.caBundle"},
		"a protection that nobody knows": {func(s *v1alpha1.SMTPConnector) { s.TLS = "SSL3" }, "spec.smtp.tls"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			spec := good
			tc.edit(&spec)
			_, err := smtp.NewOpener(dependencies()).Open(object(spec))
			terminal, ok := errors.AsType[*fault.Terminal](err)
			if !ok || terminal.Reason != v1alpha1.InvalidSpecReason || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want a Terminal %s that names %s", err, v1alpha1.InvalidSpecReason, tc.says)
			}
		})
	}
	if _, err := smtp.NewOpener(smtp.Dependencies{}).Open(&v1alpha1.Connector{}); err == nil {
		t.Error("a connector of another kind was opened")
	}
}
