// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/smtp"
	"github.com/casebook-dev/casebook/test/standin"
)

// TestOutcomes runs a message into each way that a conversation can end. What happened is known by the server's own log:
// a message took place if its end arrived.
func TestOutcomes(t *testing.T) {
	const (
		ack, not, refused, doubt = v1alpha1.OutcomeAcknowledged, v1alpha1.OutcomeNotSent, v1alpha1.OutcomeRefused, v1alpha1.OutcomeInDoubt
		unreachable, later       = connector.UnreachableReason, connector.RateLimitedReason
		no, unknown, rejected    = v1alpha1.RefusedReason, v1alpha1.OutcomeUnknownReason, connector.CredentialsRejectedReason
	)
	tests := map[string]struct {
		answers map[string]string
		outcome v1alpha1.AttemptOutcome
		reason  string
		says    string
	}{
		"all goes well":                           {nil, ack, "", "queued as 4F2A"},
		"a greeting of several lines":             {map[string]string{"greeting": "220-hello\r\n220 there"}, ack, "", "queued"},
		"no EHLO, but HELO":                       {map[string]string{"EHLO": "502 what"}, ack, "", "queued"},
		"a recipient that is forwarded":           {map[string]string{"RCPT": "251 forwarded"}, ack, "", "queued"},
		"a QUIT that is not answered":             {map[string]string{"QUIT": cut}, ack, "", "queued"},
		"a QUIT that is refused":                  {map[string]string{"QUIT": "500 never"}, ack, "", "queued"},
		"cut before the greeting":                 {map[string]string{"greeting": cut}, not, unreachable, "closed"},
		"a greeting that refuses":                 {map[string]string{"greeting": "554 no service"}, not, unreachable, "554 no service"},
		"a greeting that asks to come back":       {map[string]string{"greeting": "421 busy"}, not, unreachable, "421 busy"},
		"a greeting of another protocol":          {map[string]string{"greeting": "HTTP/1.1 400 Bad Request"}, not, unreachable, "could not be greeted"},
		"a greeting that never ends":              {map[string]string{"greeting": babble}, not, unreachable, "more than 262144 bytes"},
		"cut at EHLO":                             {map[string]string{"EHLO": cut}, not, unreachable, "introduce itself"},
		"a sender that is not taken now":          {map[string]string{"MAIL": "451 4.3.0 later"}, not, later, "451 4.3.0 later"},
		"a sender that is refused":                {map[string]string{"MAIL": "553 not yours"}, refused, no, "refused the sender: 553 not yours"},
		"a sender who must sign in":               {map[string]string{"MAIL": "530 5.7.0 sign in"}, refused, rejected, "530"},
		"cut at the sender":                       {map[string]string{"MAIL": cut}, not, unreachable, "closed"},
		"no answer at all to the sender":          {map[string]string{"MAIL": "what?"}, not, unreachable, "what?"},
		"greylisted":                              {map[string]string{"RCPT": "450 4.2.0 greylisted"}, not, later, "450 4.2.0 greylisted"},
		"full":                                    {map[string]string{"RCPT": "452 4.2.2 full"}, not, later, "452"},
		"shutting down":                           {map[string]string{"RCPT": "421 4.3.2 down"}, not, later, "421"},
		"no such mailbox":                         {map[string]string{"RCPT": "550 5.1.1 no such user"}, refused, no, "refused the recipient: 550 5.1.1 no such user"},
		"no such mailbox, in several lines":       {map[string]string{"RCPT": "550-5.1.1 no\r\n550 5.1.1 such user"}, refused, no, "5.1.1 no 5.1.1 such user"},
		"cut at the recipient":                    {map[string]string{"RCPT": cut}, not, unreachable, "closed"},
		"no data now":                             {map[string]string{"DATA": "451 later"}, not, later, "451"},
		"no data ever":                            {map[string]string{"DATA": "554 no valid recipients"}, refused, no, "554"},
		"an answer to DATA that may not be":       {map[string]string{"DATA": "250 ok"}, not, unreachable, "answered what it may not"},
		"cut at DATA":                             {map[string]string{"DATA": cut}, not, unreachable, "closed"},
		"a message that is refused":               {map[string]string{"end": "554 5.7.1 spam"}, refused, v1alpha1.TargetForbiddenReason, "does not allow the message: 554 5.7.1 spam"},
		"a recipient that is not allowed":         {map[string]string{"RCPT": "550 5.7.1 no relaying"}, refused, v1alpha1.TargetForbiddenReason, "does not allow the recipient"},
		"a message that is too large":             {map[string]string{"end": "552 5.3.4 too large"}, refused, no, "552"},
		"a message that is not taken now":         {map[string]string{"end": "451 4.3.0 no disk"}, not, later, "451"},
		"an answer that is lost after the end":    {map[string]string{"end": cut}, doubt, unknown, "all of it was sent"},
		"an answer that is nonsense":              {map[string]string{"end": "<html>502 Bad Gateway</html>"}, doubt, unknown, "Bad Gateway"},
		"an answer that is cut":                   {map[string]string{"end": half}, doubt, unknown, "all of it was sent"},
		"an answer of another kind of success":    {map[string]string{"end": "299 maybe"}, doubt, unknown, "299"},
		"an answer that asks for more":            {map[string]string{"end": "354 go on"}, doubt, unknown, "354"},
		"an answer that is no code":               {map[string]string{"end": "999 what"}, doubt, unknown, "999"},
		"an answer that never ends":               {map[string]string{"end": babble}, doubt, unknown, "more than 262144 bytes"},
		"an answer with what nobody should see":   {map[string]string{"RCPT": "550 \x1b[2J\u202e no\x00"}, refused, no, "550 \uFFFD[2J\uFFFD no\uFFFD"},
		"an answer that is longer than a message": {map[string]string{"RCPT": "550 " + strings.Repeat("no ", 2000)}, refused, no, "…"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := scripted(t, tc.answers, nil)
			result := open(t, server.spec).Do(t.Context(), letter())
			if result.Outcome != tc.outcome || result.Reason != tc.reason || !strings.Contains(result.Message, tc.says) {
				t.Errorf("got %+v, want %s, %s, %q", result, tc.outcome, tc.reason, tc.says)
			}
			if len(result.Message) > connector.MaxMessage || strings.ContainsAny(result.Message, "\r\n\x00\x1b") {
				t.Errorf("the message is %q", result.Message)
			}
			server.stop()
			commands, messages := server.seen()
			mayHave := tc.outcome == ack || tc.outcome == doubt || tc.answers["end"] != ""
			if len(messages) > 1 || len(messages) == 1 && !mayHave || tc.outcome == ack && len(messages) != 1 {
				t.Errorf("%d messages arrived", len(messages))
			}
			if n := len(slices.DeleteFunc(commands, func(c string) bool { return c != "MAIL" && c != "DATA" })); n > 2 {
				t.Errorf("it tried again by itself: %d of MAIL and DATA", n)
			}
		})
	}
}

// TestTheEndOfTime runs out of time at each point of a conversation: before the end of the message was sent nothing
// happened, after it nobody knows.
func TestTheEndOfTime(t *testing.T) {
	tests := map[string]struct {
		at      string
		outcome v1alpha1.AttemptOutcome
		reason  string
	}{
		"at the greeting":  {"greeting", v1alpha1.OutcomeNotSent, v1alpha1.DeadlinePassedReason},
		"at EHLO":          {"EHLO", v1alpha1.OutcomeNotSent, v1alpha1.DeadlinePassedReason},
		"at the sender":    {"MAIL", v1alpha1.OutcomeNotSent, v1alpha1.DeadlinePassedReason},
		"at the recipient": {"RCPT", v1alpha1.OutcomeNotSent, v1alpha1.DeadlinePassedReason},
		"at DATA":          {"DATA", v1alpha1.OutcomeNotSent, v1alpha1.DeadlinePassedReason},
		"after the end":    {"end", v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := scripted(t, map[string]string{tc.at: hang}, nil)
			request := letter()
			request.Deadline = time.Now().Add(200 * time.Millisecond)
			result := open(t, server.spec).Do(t.Context(), request)
			if result.Outcome != tc.outcome || result.Reason != tc.reason || result.Message == "" {
				t.Errorf("got %+v, want %s, %s", result, tc.outcome, tc.reason)
			}
		})
	}
	t.Run("before anything", func(t *testing.T) {
		server := scripted(t, nil, nil)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		result := open(t, server.spec).Do(over, letter())
		server.stop()
		if commands, _ := server.seen(); result.Outcome != v1alpha1.OutcomeNotSent || result.Reason != v1alpha1.DeadlinePassedReason || len(commands) != 0 {
			t.Errorf("got %+v after %q, want NotSent and no command", result, commands)
		}
	})
	t.Run("when who asks goes away", func(t *testing.T) {
		server := scripted(t, map[string]string{"end": hang}, nil)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-server.arrived
			cancel()
		}()
		if result := open(t, server.spec).Do(ctx, letter()); result.Outcome != v1alpha1.OutcomeInDoubt {
			t.Errorf("got %+v, want InDoubt", result)
		}
	})
}

// TestABrokenOffMessageIsNotSent has the server go away while a long message is on its way.
func TestABrokenOffMessageIsNotSent(t *testing.T) {
	server := scripted(t, map[string]string{"end": early}, nil)
	result := open(t, server.spec).Do(t.Context(), letter(set("text", strings.Repeat("a long message\n", 4000))))
	server.stop()
	_, messages := server.seen()
	if len(messages) != 0 {
		t.Fatal("the end of the message arrived")
	}
	// The machine may have taken all of it before it knew: then nobody can tell.
	if result.Outcome != v1alpha1.OutcomeNotSent && result.Outcome != v1alpha1.OutcomeInDoubt {
		t.Errorf("got %+v, want NotSent or InDoubt", result)
	}
}

func TestNobodyListens(t *testing.T) {
	server := scripted(t, nil, nil)
	server.stop()
	conn := open(t, server.spec)
	result := conn.Do(t.Context(), letter())
	if result.Outcome != v1alpha1.OutcomeNotSent || result.Reason != connector.UnreachableReason || !strings.Contains(result.Message, "connection refused") {
		t.Errorf("got %+v, want NotSent, %s", result, connector.UnreachableReason)
	}
	first, second := conn.Probe(t.Context()), conn.Probe(t.Context())
	if first == nil || second == nil || first.Error() != second.Error() {
		t.Errorf("the probes say %v and %v, want the same", first, second)
	}
}

// TestThePasswordStaysHere has a server say back what it was sent, in every form.
func TestThePasswordStaysHere(t *testing.T) {
	authority, err := standin.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	echo := "5.7.8 " + password + " " + base64.StdEncoding.EncodeToString([]byte("\x00"+username+"\x00"+password)) + " " + base64.StdEncoding.EncodeToString([]byte(password))
	for name, answers := range map[string]map[string]string{
		"at AUTH, for good":   {"AUTH": "535 " + echo},
		"at AUTH, for now":    {"AUTH": "454 " + echo},
		"at the sender":       {"MAIL": "553 " + echo},
		"at the recipient":    {"RCPT": "450 " + echo},
		"at the end":          {"end": "554 " + echo},
		"at the end, lost":    {"end": "<html>" + echo},
		"when it accepts":     {"end": "250 " + echo},
		"in several lines":    {"RCPT": "550-" + echo + "\r\n550 " + echo},
		"as another protocol": {"MAIL": echo},
	} {
		t.Run(name, func(t *testing.T) {
			server := scripted(t, answers, authority)
			conn := open(t, withPassword(server.spec))
			if result := conn.Do(t.Context(), letter()); leaks(result.Message) || !strings.Contains(result.Message, "[secret]") {
				t.Errorf("got %+v, want [secret] in place of the password", result)
			}
			if err := conn.Probe(t.Context()); answers["AUTH"] != "" && (err == nil || leaks(err.Error())) {
				t.Errorf("the probe says %v", err)
			}
		})
	}
}

// TestCredentialsGoOverTLSAlone has servers that would like to have them earlier.
func TestCredentialsGoOverTLSAlone(t *testing.T) {
	authority, err := standin.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		answers map[string]string
		want    []string
	}{
		"a server that hides STARTTLS": {map[string]string{"EHLO": "250-mail\r\n250 AUTH PLAIN LOGIN"}, []string{"EHLO"}},
		"one that refuses STARTTLS":    {map[string]string{"STARTTLS": "454 not now"}, []string{"EHLO", "STARTTLS"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			server := scripted(t, tc.answers, authority)
			result := open(t, withPassword(server.spec)).Do(t.Context(), letter())
			server.stop()
			commands, _ := server.seen()
			if result.Outcome != v1alpha1.OutcomeNotSent {
				t.Errorf("got %+v, want NotSent", result)
			}
			if diff := cmp.Diff(tc.want, commands); diff != "" {
				t.Error(diff)
			}
		})
	}
	t.Run("one that speaks on in clear is heard anew under TLS", func(t *testing.T) {
		server := scripted(t, map[string]string{"STARTTLS": "220 go on\r\n250 AUTH LOGIN"}, authority)
		open(t, withPassword(server.spec)).Do(t.Context(), letter())
		server.stop()
		want := []string{"EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "QUIT"}
		if commands, _ := server.seen(); len(commands) > 2 && !cmp.Equal(want, commands) { // or TLS does not begin at all
			t.Error(cmp.Diff(want, commands))
		}
	})
	t.Run("a server that offers no way to sign in", func(t *testing.T) {
		server := scripted(t, map[string]string{"EHLO": "250-mail\r\n250-STARTTLS\r\n250 AUTH CRAM-MD5"}, authority)
		if result := open(t, withPassword(server.spec)).Do(t.Context(), letter()); result.Outcome != v1alpha1.OutcomeNotSent || !strings.Contains(result.Message, "PLAIN") {
			t.Errorf("got %+v, want NotSent", result)
		}
	})
	t.Run("a server that offers LOGIN alone", func(t *testing.T) {
		server := scripted(t, map[string]string{"EHLO": "250-mail\r\n250-STARTTLS\r\n250 AUTH LOGIN"}, authority)
		if result := open(t, withPassword(server.spec)).Do(t.Context(), letter()); result.Outcome != v1alpha1.OutcomeAcknowledged {
			t.Errorf("got %+v, want Acknowledged", result)
		}
	})
}

func TestAddressesAreJudgedWhenTheyAreDialled(t *testing.T) {
	server := scripted(t, nil, nil)
	for _, host := range []string{"127.0.0.1", "localhost", "::ffff:127.0.0.1"} {
		t.Run(host, func(t *testing.T) {
			d := dependencies()
			d.Policy = connector.AddressPolicy{}
			spec := server.spec
			spec.Host = host
			conn, err := smtp.NewOpener(d).Open(object(spec))
			if err != nil {
				t.Fatal(err)
			}
			result := conn.Do(t.Context(), letter())
			if result.Outcome != v1alpha1.OutcomeRefused || result.Reason != connector.AddressRefusedReason {
				t.Errorf("got %+v, want Refused, %s", result, connector.AddressRefusedReason)
			}
		})
	}
	server.stop()
	if commands, _ := server.seen(); len(commands) != 0 {
		t.Errorf("the server heard %q", commands)
	}
}
