// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package smtp_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/smtp"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector/conntest"
	casebooksmtp "github.com/casebook-dev/casebook/internal/connector/smtp"
	"github.com/casebook-dev/casebook/test/standin/mailpit"
)

// relay carries the messages of a scripted server over a conntest.Wire, as HTTP requests, to a real mail server. What
// the wire does to a request happens to the message at its end: before that, nothing of it can have an effect.
type relay struct{ url string }

// reachable tells whether the wire lets connections through.
func (r *relay) reachable() bool {
	parsed, err := url.Parse(r.url)
	if err != nil {
		return false
	}
	conn, err := net.Dial("tcp", parsed.Host)
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// pass sends a message on and returns the answer to its end. It gives up when the sender does.
func (r *relay) pass(sender net.Conn, message string) string {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = sender.Read(make([]byte, 1)) // a sender that waits says nothing, so this is its end, or a QUIT that comes too late
		cancel()
	}()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url, strings.NewReader(message))
	if err != nil {
		return cut
	}
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return cut
	}
	defer response.Body.Close() //nolint:errcheck // it was read as far as it goes
	body, err := io.ReadAll(response.Body)
	switch {
	case err != nil:
		return cut
	case response.StatusCode == http.StatusOK && string(body) == "taken":
		return "250 2.0.0 taken"
	case response.StatusCode == http.StatusUnprocessableEntity:
		return "554 5.6.0 " + string(body)
	default:
		return fmt.Sprintf("<%d %s", response.StatusCode, body) // no answer that a mail server gives
	}
}

// deliver is the end of the wire: it hands messages to the real server.
func deliver(running *mailpit.Server, to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		message, err := io.ReadAll(r.Body)
		if err == nil {
			err = smtp.SendMail(net.JoinHostPort(running.Host, strconv.Itoa(int(running.Port))), nil, "soc@example.com", []string{to}, message)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "taken")
	})
}

// TestSendMailKeepsThePromises runs sendMail through all that conntest has, into a real mail server.
func TestSendMailKeepsThePromises(t *testing.T) {
	var number atomic.Int64
	running, _ := server(t, mailpit.Options{Security: mailpit.None})
	conntest.Run(t, conntest.Subject{Operation: casebooksmtp.SendMail, New: func(tb testing.TB) *conntest.Fixture {
		address := fmt.Sprintf("promise-%d@example.com", number.Add(1))
		wire := &conntest.Wire{}
		front := scripted(tb, map[string]string{}, nil)
		front.relay = &relay{url: wire.Serve(tb, deliver(running, address))}
		request := letter(to(address))
		request.Target = v1alpha1.Target{Type: "Mailbox", Name: address}
		arrived := func() int {
			messages, err := running.Messages(context.WithoutCancel(tb.Context()))
			if err != nil {
				tb.Fatal(err)
			}
			n := 0
			for _, message := range messages {
				if message.To[0] == address {
					n++
				}
			}
			return n
		}
		return &conntest.Fixture{
			Connector: open(tb, front.spec), Wire: wire, Request: request,
			Holds: func() bool { return arrived() > 0 }, Effects: arrived,
			Forbid: func() { front.tell("MAIL", "550 5.7.1 not allowed") },
		}
	}})
}
