// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/smtp"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/test/standin"
	"github.com/casebook-dev/casebook/test/standin/mailpit"
)

// secured is the server that most tests send to.
var secured = mailpit.Options{Security: mailpit.StartTLS, Username: username, Password: password}

// to has the message go to an address that only one test uses.
func to(address string) func(map[string]any) {
	return func(input map[string]any) { input["to"] = address }
}

func set(name, value string) func(map[string]any) {
	return func(input map[string]any) { input[name] = value }
}

// send sends one message and returns the result.
func send(t *testing.T, conn connector.Connector, request connector.Request) connector.Result {
	t.Helper()
	target, err := conn.Target(request.Operation, request.Input)
	if err != nil {
		t.Fatal(err)
	}
	request.Target = target
	result := conn.Do(t.Context(), request)
	if leaks(result.Message) {
		t.Errorf("the message has the password: %s", result.Message)
	}
	return result
}

// inbox are the messages to an address.
func inbox(t *testing.T, running *mailpit.Server, address string) []mailpit.Message {
	t.Helper()
	all, err := running.Messages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []mailpit.Message
	for _, message := range all {
		for _, recipient := range message.To {
			if recipient == address {
				out = append(out, message)
			}
		}
	}
	return out
}

func TestAMessageArrivesAsItWasWritten(t *testing.T) {
	for name, options := range map[string]mailpit.Options{
		"over STARTTLS, signed in": secured,
		"over TLS, signed in":      {Security: mailpit.TLS, Username: username, Password: password},
		"without either":           {Security: mailpit.None},
	} {
		t.Run(name, func(t *testing.T) {
			running, spec := server(t, options)
			conn := open(t, spec)
			const text = "Olá Ana,\n\nwe ended your sessions. 東京\n.\n..two dots\n\ttab \n${inputs.user} {{ .Case }}\n" + "a long line: "
			request := letter(to("Ana Souza <written@example.com>"), set("subject", "Conta protegida: São Paulo → Berlin, 10.204 km em 41 min (identity-anomaly)"),
				set("text", text+strings.Repeat("word ", 300)+"end"))
			if result := send(t, conn, request); result.Outcome != v1alpha1.OutcomeAcknowledged || !strings.HasPrefix(result.Message, "accepted by 127.0.0.1:") {
				t.Fatalf("got %+v, want Acknowledged, with what the server said", result)
			}
			got := inbox(t, running, "written@example.com")
			if len(got) != 1 {
				t.Fatalf("%d messages arrived, want 1", len(got))
			}
			message := got[0]
			want := mailpit.Message{
				MessageID: mark + "@example.com", From: "soc@example.com", FromName: "Casebook", To: []string{"written@example.com"},
				Subject: "Conta protegida: São Paulo → Berlin, 10.204 km em 41 min (identity-anomaly)", Date: now,
			}
			read := message
			read.Header, read.Raw, read.Text = nil, nil, ""
			if diff := cmp.Diff(want, read); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(text+strings.Repeat("word ", 300)+"end", strings.TrimSpace(strings.ReplaceAll(message.Text, "\r\n", "\n"))); diff != "" {
				t.Error(diff)
			}
			for header, want := range map[string]string{
				"Auto-Submitted": "auto-generated", "Content-Type": "text/plain; charset=UTF-8", "Message-Id": "<" + mark + "@example.com>",
			} {
				if got := message.Header.Get(header); got != want {
					t.Errorf("%s: %q, want %q", header, got, want)
				}
			}
		})
	}
}

func TestHostileTextStaysText(t *testing.T) {
	running, spec := server(t, secured)
	request := letter(to("hostile@example.com"),
		set("subject", "a\r\nBcc: hostile-bcc@example.com\r\n\r\nbody\x00\u202egpj.exe =?utf-8?q?=0D=0AX-Evil:_1?= ${x} {{y}}"),
		set("text", "first\r\n.\r\nMAIL FROM:<eve@example.com>\r\nRCPT TO:<hostile-bcc@example.com>\r\nDATA\r\nSubject: x\r\n\r\n\x00\x1b[2J\u202e"))
	if result := send(t, open(t, spec), request); result.Outcome != v1alpha1.OutcomeAcknowledged {
		t.Fatalf("got %+v", result)
	}
	got := inbox(t, running, "hostile@example.com")
	if len(got) != 1 || len(inbox(t, running, "hostile-bcc@example.com")) != 0 {
		t.Fatalf("%d messages arrived, and %d for another", len(got), len(inbox(t, running, "hostile-bcc@example.com")))
	}
	const subject = "a Bcc: hostile-bcc@example.com  body��gpj.exe =?utf-8?q?=0D=0AX-Evil:_1?= ${x} {{y}}"
	if got[0].Subject != subject || got[0].Header.Get("Bcc") != "" || got[0].Header.Get("X-Evil") != "" {
		t.Errorf("the subject is %q, the headers %v", got[0].Subject, got[0].Header)
	}
	const text = "first\n.\nMAIL FROM:<eve@example.com>\nRCPT TO:<hostile-bcc@example.com>\nDATA\nSubject: x\n\n��[2J�"
	if diff := cmp.Diff(text, strings.TrimSpace(strings.ReplaceAll(got[0].Text, "\r\n", "\n"))); diff != "" {
		t.Error(diff)
	}
}

func TestTheSameMarkIsTheSameMessage(t *testing.T) {
	running, spec := server(t, secured)
	conn := open(t, spec)
	for range 2 {
		if result := send(t, conn, letter(to("twice@example.com"))); result.Outcome != v1alpha1.OutcomeAcknowledged {
			t.Fatalf("got %+v", result)
		}
	}
	got := inbox(t, running, "twice@example.com")
	if len(got) != 2 || got[0].MessageID != got[1].MessageID {
		t.Errorf("got %d messages, %+v, want two of one Message-ID", len(got), got)
	}
}

func TestServersThatCannotBeTrustedGetNothing(t *testing.T) {
	running, spec := server(t, secured)
	plain, plainSpec := server(t, mailpit.Options{Security: mailpit.None})
	other, err := standin.NewAuthority()
	if err != nil {
		t.Fatal(err)
	}
	edit := func(change func(*v1alpha1.SMTPConnector)) v1alpha1.SMTPConnector {
		edited := spec
		change(&edited)
		return edited
	}
	tests := map[string]struct {
		spec    v1alpha1.SMTPConnector
		outcome v1alpha1.AttemptOutcome
		reason  string
		says    string
	}{
		"a certificate of another authority": {edit(func(s *v1alpha1.SMTPConnector) { s.CABundle = string(other.PEM()) }), v1alpha1.OutcomeNotSent,
			connector.UnreachableReason, "spec.smtp.caBundle"},
		"a certificate of the public authorities": {edit(func(s *v1alpha1.SMTPConnector) { s.CABundle = "" }), v1alpha1.OutcomeNotSent,
			connector.UnreachableReason, "certificate signed by unknown authority"},
		"a server that offers no STARTTLS": {withPassword(v1alpha1.SMTPConnector{Host: plainSpec.Host, Port: plainSpec.Port}), v1alpha1.OutcomeNotSent,
			connector.UnreachableReason, "does not offer STARTTLS"},
		"a server that speaks no TLS at once": {edit(func(s *v1alpha1.SMTPConnector) { s.TLS = v1alpha1.SMTPTLS }), v1alpha1.OutcomeNotSent,
			connector.UnreachableReason, "TLS connection"},
		"a server that wants to know who sends": {edit(func(s *v1alpha1.SMTPConnector) { s.Username, s.PasswordRef = "", nil }), v1alpha1.OutcomeRefused,
			connector.CredentialsRejectedReason, "530"},
		"a server that wants TLS first": {v1alpha1.SMTPConnector{Host: spec.Host, Port: spec.Port, TLS: v1alpha1.SMTPNone}, v1alpha1.OutcomeRefused,
			connector.CredentialsRejectedReason, "STARTTLS"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			conn := open(t, tc.spec)
			result := send(t, conn, letter(to("distrust@example.com")))
			if result.Outcome != tc.outcome || result.Reason != tc.reason || !strings.Contains(result.Message, tc.says) {
				t.Errorf("got %+v, want %s, %s, %q", result, tc.outcome, tc.reason, tc.says)
			}
			if tc.outcome != v1alpha1.OutcomeNotSent {
				return // a probe sends nothing, so it is not told
			}
			if err := conn.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("the probe says %v, want %q", err, tc.says)
			}
		})
	}
	for _, have := range []*mailpit.Server{running, plain} {
		if got := inbox(t, have, "distrust@example.com"); len(got) != 0 {
			t.Errorf("%d messages arrived", len(got))
		}
	}
}

// A Secret made from a file ends in a line end, which is not of the password.
func TestAPasswordFromAFileSignsIn(t *testing.T) {
	_, spec := server(t, secured)
	for _, end := range []string{"\n", "\r\n"} {
		d := dependencies()
		d.Values = secrets{"soc/smtp/password": password + end}
		conn, err := smtp.NewOpener(d).Open(object(spec))
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.Probe(t.Context()); err != nil {
			t.Errorf("with %q after it: %v", end, err)
		}
	}
}

func TestAWrongPasswordIsRejected(t *testing.T) {
	_, spec := server(t, secured)
	const wrong = "canary-wr0ng"
	d := dependencies()
	d.Values = secrets{"soc/smtp/password": wrong}
	conn, err := smtp.NewOpener(d).Open(object(spec))
	if err != nil {
		t.Fatal(err)
	}
	result := send(t, conn, letter())
	if result.Outcome != v1alpha1.OutcomeNotSent || result.Reason != connector.CredentialsRejectedReason || !strings.Contains(result.Message, "535") {
		t.Errorf("got %+v, want NotSent, with the server's words", result)
	}
	err = conn.Probe(t.Context())
	terminal, ok := err.(*fault.Terminal) //nolint:errorlint // the very error is meant
	if !ok || terminal.Reason != connector.CredentialsRejectedReason || !strings.Contains(err.Error(), "Secret smtp") {
		t.Errorf("the probe says %v, want a Terminal %s that names the Secret", err, connector.CredentialsRejectedReason)
	}
	if strings.Contains(result.Message+err.Error(), wrong) {
		t.Errorf("the password is in %q or %q", result.Message, err)
	}
}

// A password that is too short to be cut out of an answer is not sent.
func TestAShortPasswordIsARefusal(t *testing.T) {
	_, spec := server(t, secured)
	d := dependencies()
	d.Values = secrets{"soc/smtp/password": "abc\n"}
	conn, err := smtp.NewOpener(d).Open(object(spec))
	if err != nil {
		t.Fatal(err)
	}
	if result := send(t, conn, letter()); result.Outcome != v1alpha1.OutcomeRefused || result.Reason != connector.SecretUnusableReason {
		t.Errorf("got %+v, want Refused, %s", result, connector.SecretUnusableReason)
	}
	if err := conn.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "use one of at least 4") {
		t.Errorf("the probe says %v", err)
	}
}

func TestAMissingSecretIsARefusal(t *testing.T) {
	_, spec := server(t, secured)
	d := dependencies()
	d.Values = secrets{}
	conn, err := smtp.NewOpener(d).Open(object(spec))
	if err != nil {
		t.Fatal(err)
	}
	if result := send(t, conn, letter()); result.Outcome != v1alpha1.OutcomeRefused || result.Reason != v1alpha1.SecretNotFoundReason {
		t.Errorf("got %+v, want Refused, %s", result, v1alpha1.SecretNotFoundReason)
	}
	if err := conn.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "create it") {
		t.Errorf("the probe says %v", err)
	}
}

func TestProbeSendsNothing(t *testing.T) {
	running, spec := server(t, secured)
	before, err := running.Messages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := open(t, spec).Probe(t.Context()); err != nil {
		t.Error(err)
	}
	if after, err := running.Messages(t.Context()); err != nil || len(after) != len(before) {
		t.Errorf("there are %d messages after %d, %v", len(after), len(before), err)
	}
}

// TestRefusalsOfARealServer has the server refuse what it would take.
func TestRefusalsOfARealServer(t *testing.T) {
	running, err := mailpit.Start(secured) // one of its own: it refuses other tests their messages too
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = running.Stop() })
	conn := open(t, withPassword(v1alpha1.SMTPConnector{Host: running.Host, Port: running.Port, CABundle: running.CABundle}))
	tests := map[string]struct {
		fault   mailpit.Fault
		outcome v1alpha1.AttemptOutcome
		reason  string
		says    string
	}{
		"a sender that is not taken now":     {mailpit.Fault{Sender: 451}, v1alpha1.OutcomeNotSent, connector.RateLimitedReason, "451"},
		"a sender that is refused":           {mailpit.Fault{Sender: 550}, v1alpha1.OutcomeRefused, v1alpha1.RefusedReason, "550"},
		"a mailbox that is busy":             {mailpit.Fault{Recipient: 450}, v1alpha1.OutcomeNotSent, connector.RateLimitedReason, "450"},
		"a mailbox that does not exist":      {mailpit.Fault{Recipient: 550}, v1alpha1.OutcomeRefused, v1alpha1.RefusedReason, "550"},
		"a password that cannot be checked":  {mailpit.Fault{Authentication: 454}, v1alpha1.OutcomeNotSent, connector.UnreachableReason, "454"},
		"a password that is refused all day": {mailpit.Fault{Authentication: 535}, v1alpha1.OutcomeNotSent, connector.CredentialsRejectedReason, "535"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if err := running.Inject(t.Context(), tc.fault); err != nil {
				t.Fatal(err)
			}
			result := send(t, conn, letter())
			if result.Outcome != tc.outcome || result.Reason != tc.reason || !strings.Contains(result.Message, tc.says) {
				t.Errorf("got %+v, want %s, %s, %q", result, tc.outcome, tc.reason, tc.says)
			}
		})
	}
	if err := running.Inject(t.Context(), mailpit.Fault{}); err != nil {
		t.Fatal(err)
	}
	request := letter()
	request.Deadline = time.Now().Add(20 * time.Second)
	if result := send(t, conn, request); result.Outcome != v1alpha1.OutcomeAcknowledged {
		t.Errorf("got %+v once nothing is refused", result)
	}
	if got, err := running.Messages(t.Context()); err != nil || len(got) != 1 {
		t.Errorf("%d messages arrived, %v, want the last alone", len(got), err)
	}
}
