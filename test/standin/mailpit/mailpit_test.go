// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package mailpit_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/smtp"
	"strconv"
	"testing"

	"github.com/casebook-dev/casebook/test/standin/mailpit"
)

// submit sends a message as the standard library does.
func submit(t *testing.T, server *mailpit.Server, auth smtp.Auth, to string) error {
	t.Helper()
	client, err := smtp.Dial(net.JoinHostPort(server.Host, strconv.Itoa(int(server.Port))))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close() //nolint:errcheck // after QUIT it is closed
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(server.CABundle))
	if err := client.StartTLS(&tls.Config{ServerName: server.Host, RootCAs: roots, MinVersion: tls.VersionTLS12}); err != nil {
		t.Fatal(err)
	}
	if auth != nil {
		if err := client.Auth(auth); err != nil {
			return err
		}
	}
	if err := client.Mail("soc@example.com"); err != nil {
		return err
	}
	if err := client.Rcpt(to); err != nil {
		return err
	}
	data, err := client.Data()
	if err != nil {
		return err
	}
	fmt.Fprintf(data, "Message-ID: <m-1@example.com>\r\nFrom: soc@example.com\r\nTo: %s\r\nSubject: =?utf-8?q?Ol=C3=A1?=\r\n\r\nhello\r\n", to)
	if err := data.Close(); err != nil {
		return err
	}
	return client.Quit()
}

func TestServer(t *testing.T) {
	server, err := mailpit.Start(mailpit.Options{Username: "casebook", Password: `a "pass" word:é`})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	auth := smtp.PlainAuth("", "casebook", `a "pass" word:é`, server.Host)
	if err := submit(t, server, nil, "ana@example.com"); err == nil {
		t.Error("a message was taken from someone who did not sign in")
	}
	if err := submit(t, server, smtp.PlainAuth("", "casebook", "wrong", server.Host), "ana@example.com"); err == nil {
		t.Error("a wrong password was taken")
	}
	if err := server.Inject(t.Context(), mailpit.Fault{Recipient: 550}); err != nil {
		t.Fatal(err)
	}
	if err := submit(t, server, auth, "ana@example.com"); err == nil {
		t.Error("a recipient was taken that the fault refuses")
	}
	if messages, err := server.Messages(t.Context()); err != nil || len(messages) != 0 {
		t.Errorf("got %d messages, %v, want none yet", len(messages), err)
	}
	if err := server.Inject(t.Context(), mailpit.Fault{}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{"ana@example.com", "bo@example.com"} {
		if err := submit(t, server, auth, to); err != nil {
			t.Fatal(err)
		}
	}
	got, err := server.Await(t.Context(), func(m mailpit.Message) bool { return m.To[0] == "bo@example.com" })
	if err != nil || got.Subject != "Olá" || got.MessageID != "m-1@example.com" || got.From != "soc@example.com" || got.Header.Get("Subject") != "=?utf-8?q?Ol=C3=A1?=" {
		t.Errorf("got %+v, %v", got, err)
	}
	messages, err := server.Messages(t.Context())
	if err != nil || len(messages) != 2 || messages[0].To[0] != "ana@example.com" {
		t.Errorf("got %+v, %v, want the older one first", messages, err)
	}
	if err := server.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := server.Messages(t.Context()); err == nil {
		t.Error("a stopped server answers")
	}
}
