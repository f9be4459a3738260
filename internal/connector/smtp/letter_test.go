// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package smtp

import (
	"bytes"
	"io"
	"maps"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

func TestMailbox(t *testing.T) {
	tests := map[string]struct{ input, want string }{
		"an address":                          {"ana@example.com", "ana@example.com"},
		"an address in angle brackets":        {"<ana@example.com>", "ana@example.com"},
		"an address with a display name":      {"Ana Souza <ana@example.com>", "ana@example.com"},
		"a display name that is encoded":      {"=?utf-8?q?J=C3=B6rg?= <j@example.com>", "j@example.com"},
		"signs that are common in addresses":  {"o'neil+casebook@mail.example.com", "o'neil+casebook@mail.example.com"},
		"two addresses":                       {input: "ana@example.com, bo@example.com"},
		"a group":                             {input: "all: ana@example.com;"},
		"another header":                      {input: "ana@example.com\r\nBcc: eve@example.com"},
		"another header in the display name":  {input: "\"Ana\r\nBcc: eve@example.com\" <ana@example.com>"},
		"another command":                     {input: "ana@example.com>\nRCPT TO:<eve@example.com"},
		"a line feed at the end":              {input: "ana@example.com\n"},
		"a folded display name":               {input: "Ana\r\n Souza <ana@example.com>"},
		"a null byte":                         {input: "ana\x00@example.com"},
		"a name that turns the reading":       {input: "\"\u202emoc.elpmaxe@ana\" <eve@example.com>"},
		"an address that turns the reading":   {input: "ana\u202e@example.com"},
		"a local part that needs quotes":      {input: `"ana souza"@example.com`},
		"a local part with a line in quotes":  {input: "\"a\\\r\nb\"@example.com"},
		"an address in another script":        {input: "ana@bücher.example"},
		"a local part in another script":      {input: "jörg@example.com"},
		"an address literal":                  {input: "ana@[127.0.0.1]"},
		"a domain that ends in a hyphen":      {input: "ana@example-.com"},
		"no domain":                           {input: "ana"},
		"nothing":                             {input: ""},
		"a local part that is too long":       {input: strings.Repeat("a", 65) + "@example.com"},
		"an address that is too long":         {input: "a@" + strings.Repeat("a.", 127) + "aa"},
		"something that is no text":           {input: "\xff\xfe@example.com"},
		"template text, which means nothing":  {input: "${ana}@example.com", want: "${ana}@example.com"},
		"template text of another kind":       {input: "{{ana}}@example.com", want: "{{ana}}@example.com"},
		"template text with spaces is no one": {input: "{{ ana }}@example.com"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := mailbox(tc.input)
			if got != tc.want || (err == nil) != (tc.want != "") {
				t.Errorf("got %q, %v, want %q", got, err, tc.want)
			}
			if terminal, ok := err.(*fault.Terminal); err != nil && (!ok || terminal.Reason != connector.InvalidInputReason) { //nolint:errorlint // the very error is meant
				t.Errorf("got %v, want a Terminal %s", err, connector.InvalidInputReason)
			}
			if err != nil && strings.ContainsFunc(err.Error(), unprintable) {
				t.Errorf("the error shows the input as it is: %q", err)
			}
		})
	}
}

func TestMessageID(t *testing.T) {
	const from = "soc@example.com"
	tests := map[string]struct{ mark, want string }{
		"a name is the left part as it is":     {"ida-7f3k2-tell-9b1c0", "ida-7f3k2-tell-9b1c0@example.com"},
		"so is a name with dots":               {"a.b_c", "a.b_c@example.com"},
		"what may not stand there is a hyphen": {"a b", "a-b-c8687a08aa5d6ed2@example.com"},
		"a line and a bracket too":             {"a>\r\nBcc: x", "a---Bcc--x-1022f17ef4cd3881@example.com"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			if got := messageID(tc.mark, from); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.String().Draw(t, "a"), rapid.String().Draw(t, "b")
		left, right := messageID(a, from), messageID(b, from)
		if (a == b) != (left == right) {
			t.Fatalf("marks %q and %q are %s and %s", a, b, left, right)
		}
		if !plainAddress(left) && len(left) < 254 && strings.IndexByte(left, '@') <= 64 {
			t.Fatalf("%q became %q, which is no msg-id", a, left)
		}
		if len(left) > 220 {
			t.Fatalf("%q became %d bytes", a, len(left))
		}
	})
}

// hostile draws text with what breaks headers, lines and readers.
func hostile() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		parts := rapid.SliceOf(rapid.OneOf(
			rapid.String(),
			rapid.SampledFrom([]string{
				"\r\n", "\n", "\r", "\x00", "\x1b[31m", "\u202e", "\u2066", "\u200f", "\u0085", "\u2028", "Bcc: eve@example.com", ".", "\r\n.\r\n", "=", "=?utf-8?q?x?=",
				"${inputs.user}", "{{ .Secret }}", "é", "東京", "\xff", " ", "\t", strings.Repeat("x", 1200), "MAIL FROM:<eve@example.com>",
			}),
		)).Draw(t, "parts")
		return strings.Join(parts, "")
	})
}

// TestNoTextLeavesItsPlace writes letters of any subject and text, and reads them as a mail program would.
func TestNoTextLeavesItsPlace(t *testing.T) {
	at := time.Date(2026, 11, 24, 10, 4, 11, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		subject, text := oneLine(hostile().Draw(t, "subject")), plainText(hostile().Draw(t, "text"))
		l := &letter{
			from: mail.Address{Name: oneLine(hostile().Filter(func(name string) bool { return len(name) <= 300 }).Draw(t, "name")), Address: "soc@example.com"}, to: "ana@example.com", id: "m@example.com",
			date: at, subject: subject, text: text,
		}
		raw, err := l.bytes()
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := l.bytes(); !bytes.Equal(raw, again) {
			t.Fatal("the same letter is other bytes")
		}
		checkLines(t, raw)
		message, err := mail.ReadMessage(bytes.NewReader(raw))
		if err != nil {
			t.Fatalf("%v in\n%q", err, raw)
		}
		want := []string{"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Subject", "To"}
		if diff := cmp.Diff(want, slices.Sorted(maps.Keys(message.Header))); diff != "" {
			t.Fatalf("headers: %s", diff)
		}
		decoded, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
		if err != nil || strings.TrimSpace(decoded) != strings.TrimSpace(subject) {
			t.Fatalf("the subject is %q, %v, want %q", decoded, err, subject)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(message.Body))
		if got := strings.TrimRight(strings.ReplaceAll(string(body), "\r\n", "\n"), "\n"); err != nil || got != strings.TrimRight(text, "\n") {
			t.Fatalf("the text is %q, %v, want %q", got, err, text)
		}
		if strings.ContainsFunc(subject, unprintable) || strings.ContainsFunc(strings.NewReplacer("\n", "", "\t", "").Replace(text), unprintable) {
			t.Fatalf("something that nobody sees is left in %q or %q", subject, text)
		}
	})
}

// checkLines checks that every line ends in CR LF, is ASCII and not longer than RFC 5322 allows.
func checkLines(t *rapid.T, raw []byte) {
	for line := range bytes.SplitSeq(raw, []byte("\r\n")) {
		if bytes.ContainsAny(line, "\r\n\x00") || len(line) > 998 || bytes.ContainsFunc(line, func(r rune) bool { return r > 126 || r < 32 && r != '\t' }) {
			t.Fatalf("a line is %q", line)
		}
	}
}

func TestALetterReadsAsItWasWritten(t *testing.T) {
	l := &letter{
		from: mail.Address{Name: "Casebook", Address: "soc@example.com"}, to: "ana@example.com", id: "ida-1-tell@example.com",
		date: time.Date(2026, 11, 24, 10, 4, 11, 0, time.UTC), subject: "Your account was protected", text: "Hello.\n\nWe ended your sessions.\n",
	}
	raw, err := l.bytes()
	if err != nil {
		t.Fatal(err)
	}
	want := strings.ReplaceAll(`Auto-Submitted: auto-generated
Date: Tue, 24 Nov 2026 10:04:11 +0000
MIME-Version: 1.0
Message-ID: <ida-1-tell@example.com>
Subject: Your account was protected
From: "Casebook" <soc@example.com>
To: <ana@example.com>
Content-Transfer-Encoding: quoted-printable
Content-Type: text/plain; charset=UTF-8

Hello.

We ended your sessions.
`, "\n", "\r\n")
	if diff := cmp.Diff(want, string(raw)); diff != "" {
		t.Error(diff)
	}
}
