// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// write is an answer that is what it is, after which the connection is closed.
func write(parts ...string) func(net.Conn, *http.Request) {
	return func(conn net.Conn, _ *http.Request) {
		for _, part := range parts {
			_, _ = io.WriteString(conn, part)
		}
	}
}

// echoing is an answer with the caller's credentials in it.
func echoing(format string) func(net.Conn, *http.Request) {
	return func(conn net.Conn, r *http.Request) { _, _ = fmt.Fprintf(conn, format, r.Header.Get("Authorization")) }
}

func reset(conn net.Conn, _ *http.Request) { _ = conn.(*net.TCPConn).SetLinger(0) }

func zipped(text []byte) string {
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, _ = zip.Write(text)
	_ = zip.Close()
	return out.String()
}

// emptyMembers is gzip that goes on and on without a byte in it.
func emptyMembers() string {
	var out bytes.Buffer
	_ = gzip.NewWriter(&out).Close()
	return strings.Repeat(out.String(), (1<<20)/out.Len())
}

const ok = "HTTP/1.1 200 OK\r\n"

// TestExchangeFaults: whatever a target does to a request that it read, the
// request arrives once, its outcome is in doubt, and no secret comes back.
func TestExchangeFaults(t *testing.T) {
	bomb := zipped(make([]byte, 64<<20)) // in 64 KiB
	tests := map[string]struct {
		answer func(net.Conn, *http.Request)
		hangs  bool // after that, until the deadline
		reason string
		want   string // in the message
	}{
		"resets the connection": {answer: reset, want: "connection reset by peer"},
		"closes the connection": {answer: write(), want: "closed before the answer was complete"},
		"hangs":                 {answer: write(), hangs: true, want: "within the deadline"},
		"hangs in the header":   {answer: write("HTTP/1.1 200 OK\r\nX"), hangs: true, want: "within the deadline"},
		"hangs in the body":     {answer: write(ok, "Content-Length: 9\r\n\r\nabc"), hangs: true, want: "within the deadline"},
		"drips":                 {answer: write(ok, "Transfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n", "1\r\nb\r\n"), hangs: true},
		"resets in the body": {answer: func(conn net.Conn, r *http.Request) {
			write(ok, "Content-Length: 9\r\n\r\nabc")(conn, r)
			reset(conn, r)
		}, want: "read the answer"},
		"says less than it announced":          {answer: write(ok, "Content-Length: 9\r\n\r\nabc"), want: "closed before the answer was complete"},
		"breaks off between chunks":            {answer: write(ok, "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"), want: "closed before"},
		"sends a chunk that is none":           {answer: write(ok, "Transfer-Encoding: chunked\r\n\r\nzz\r\n")},
		"breaks off in the header":             {answer: write("HTTP/1.1 200 OK\r\nContent-Le")},
		"speaks another protocol":              {answer: write("220 mail.example.com ESMTP\r\n")},
		"echoes secrets in what is no HTTP":    {answer: echoing("%s\r\n\r\n")},
		"echoes secrets in a status":           {answer: echoing("HTTP/1.1 2xx %s\r\n\r\n")},
		"echoes secrets in a bad header":       {answer: echoing("HTTP/1.1 200 OK\r\nContent-Length: %s\r\n\r\n")},
		"echoes secrets in an odd encoding":    {answer: echoing("HTTP/1.1 200 OK\r\nTransfer-Encoding: %s\r\n\r\n")},
		"has a header without end":             {answer: write(ok, "X-A: ", strings.Repeat("a", 1<<20), "\r\n\r\n")},
		"has headers without end":              {answer: write(ok, strings.Repeat("X-A: b\r\n", 1<<17), "\r\n")},
		"has hints without end":                {answer: write(strings.Repeat("HTTP/1.1 103 Early Hints\r\nX-A: b\r\n\r\n", 1<<15))},
		"answers 5 MB":                         {answer: write(ok, "Content-Length: 5242880\r\n\r\n", strings.Repeat("a", 5<<20)), reason: connector.TooLargeReason, want: "raise spec.http.maxBytes"},
		"answers a byte too much":              {answer: write(ok, "\r\n", strings.Repeat("a", 64<<10+1)), reason: connector.TooLargeReason},
		"answers a bomb":                       {answer: write(ok, "Content-Encoding: gzip\r\n\r\n", bomb), reason: connector.TooLargeReason},
		"answers compressed nothing, for ever": {answer: write(ok, "Content-Encoding: gzip\r\n\r\n", emptyMembers()), reason: connector.TooLargeReason},
		"says gzip and does not mean it":       {answer: write(ok, "Content-Encoding: gzip\r\nContent-Length: 12\r\n\r\nplain, plain"), want: "decompress"},
		"breaks off in gzip":                   {answer: write(ok, "Content-Encoding: gzip\r\n\r\n", zipped([]byte("abcdefgh"))[:16])},
		"compresses as nobody asked":           {answer: write(ok, "Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc"), want: "compressed in a way that was not asked for"},
		"answers an error of 5 MB":             {answer: write("HTTP/1.1 500 Oops\r\n\r\n", strings.Repeat("a", 5<<20)), reason: connector.TooLargeReason},
		"wants to switch protocols":            {answer: write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")},
	}
	for name, tc := range tests {
		for verb, out := range map[string]outgoing{"a read": get, "a mutation": post, "a mutation without body": remove} {
			t.Run(verb+" whose target "+name, func(t *testing.T) {
				t.Parallel()
				ctx := newExpiring(t)
				url, requests := rawServer(t, func(conn net.Conn, r *http.Request) {
					tc.answer(conn, r)
					if tc.hangs {
						ctx.hangAt(conn, r)
					}
				})
				_, failure := newWorld(t, url).exchangeWithin(ctx, out)
				reason := cmp.Or(tc.reason, v1alpha1.OutcomeUnknownReason)
				if failure == nil || failure.Outcome != v1alpha1.OutcomeInDoubt || failure.Reason != reason || !strings.Contains(failure.Message, tc.want) {
					t.Errorf("exchange = %+v, want it in doubt with reason %s and %q", failure, reason, tc.want)
				}
				if got := requests.count(); got != 1 {
					t.Errorf("%d requests arrived, not one", got)
				}
			})
		}
	}
}

// TestExchangeThatWasNotSent: where no byte of a request can have arrived, that is what is said.
func TestExchangeThatWasNotSent(t *testing.T) {
	closed := listen(t, "127.0.0.1:0")
	_ = closed.Close()
	silent := listen(t, "127.0.0.1:0")
	var patience atomic.Pointer[expiring] // of the exchange under way
	accept(t, silent, func(conn net.Conn) { patience.Load().hangAt(conn, nil) })
	curt := listen(t, "127.0.0.1:0")
	accept(t, curt, func(conn net.Conn) { reset(conn, nil) })
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request arrived") }))
	server.Config.ErrorLog = discard
	defer server.Close()
	ancient := httptest.NewUnstartedServer(server.Config.Handler)
	ancient.Config.ErrorLog = discard
	ancient.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	ancient.StartTLS()
	defer ancient.Close()
	trusting := &v1alpha1.HTTPTLS{CABundle: pemOf(server)}
	tests := map[string]struct {
		baseURL string
		tls     *v1alpha1.HTTPTLS
		late    bool // the deadline has passed before it
		want    string
	}{
		"nobody listens":                    {baseURL: "http://" + closed.Addr().String(), want: "connection refused: check spec.http.baseURL"},
		"the name is not known":             {baseURL: "https://nowhere.invalid", want: "its name"},
		"the authority is not trusted":      {baseURL: server.URL, want: "its certificate is not to be trusted: x509: certificate signed by unknown authority: see spec.http.tls"},
		"the certificate is of another":     {baseURL: server.URL, tls: &v1alpha1.HTTPTLS{CABundle: pemOf(server), ServerName: "other.example.org"}, want: "valid for example.com"},
		"only TLS 1.1 is spoken":            {baseURL: ancient.URL, tls: trusting, want: "protocol version"},
		"the handshake hangs":               {baseURL: "https://" + silent.Addr().String(), want: "within the deadline"},
		"the handshake is cut off":          {baseURL: "https://" + curt.Addr().String(), want: "could not connect"},
		"the deadline has passed before it": {baseURL: server.URL, tls: trusting, late: true},
	}
	for name, tc := range tests {
		for verb, out := range map[string]outgoing{"read": get, "mutation": remove} {
			t.Run(name+", "+verb, func(t *testing.T) {
				w := newWorld(t, tc.baseURL)
				w.spec.TLS = tc.tls
				ctx := newExpiring(t)
				if patience.Store(ctx); tc.late {
					ctx.expire()
				}
				_, failure := w.exchangeWithin(ctx, out)
				if failure == nil || failure.Outcome != v1alpha1.OutcomeNotSent || !strings.Contains(failure.Message, tc.want) {
					t.Fatalf("exchange = %+v, want it not sent, with %q", failure, tc.want)
				}
				if tc.want != "" && failure.Reason != connector.UnreachableReason {
					t.Errorf("its reason is %s", failure.Reason)
				}
			})
		}
	}
}

// TestExchangeOfACallerWhoGaveUp: a cancelled context ends an exchange wherever it is.
func TestExchangeOfACallerWhoGaveUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	url, requests := rawServer(t, func(conn net.Conn, _ *http.Request) {
		cancel()
		_, _ = io.Copy(io.Discard, conn)
	})
	w := newWorld(t, url)
	if _, failure := w.exchangeWithin(ctx, post); failure == nil || failure.Outcome != v1alpha1.OutcomeInDoubt || requests.count() != 1 {
		t.Errorf("exchange = %+v with %d requests, want it in doubt", failure, requests.count())
	}
	if _, failure := w.exchangeWithin(ctx, post); failure == nil || failure.Outcome != v1alpha1.OutcomeNotSent || requests.count() != 1 {
		t.Errorf("exchange = %+v with %d requests, want it not sent", failure, requests.count())
	}
}

// TestMutationIsSentOnceOverAClosedConnection: a server that keeps connections
// open, and closes them as the next request arrives on one, is what net/http
// answers with a second request.
func TestMutationIsSentOnceOverAClosedConnection(t *testing.T) {
	mutations := &seen{}
	listener := listen(t, "127.0.0.1:0")
	accept(t, listener, func(conn net.Conn) {
		for first := true; ; first = false {
			request, err := readRequest(conn)
			if err != nil {
				return
			}
			if request.Method != http.MethodGet {
				mutations.add(request)
			}
			if !first || request.Method != http.MethodGet {
				reset(conn, nil)
				return
			}
			write(ok, "Content-Length: 2\r\n\r\n{}")(conn, request)
		}
	})
	w := newWorld(t, "http://"+listener.Addr().String())
	for i, out := range []outgoing{remove, {Method: http.MethodPut, Target: "/", Header: http.Header{"X-Idempotency-Key": {"1"}}}, post} {
		w.answered(get)
		if _, failure := w.exchange(out); failure == nil || failure.Outcome != v1alpha1.OutcomeInDoubt || mutations.count() != i+1 {
			t.Errorf("%s: %+v with %d mutations, want it in doubt and sent once", out.Method, failure, mutations.count())
		}
	}
}

// TestMutationIsSentOnceOverHTTP2: a stream that is reset with PROTOCOL_ERROR or
// REFUSED_STREAM, and a connection that is said to go away, are what HTTP/2
// clients answer with a second request.
func TestMutationIsSentOnceOverHTTP2(t *testing.T) {
	certificates := httptest.NewTLSServer(nil)
	defer certificates.Close()
	for name, end := range map[string]func(*http2.Framer, uint32) error{
		"protocol error": func(f *http2.Framer, stream uint32) error { return f.WriteRSTStream(stream, http2.ErrCodeProtocol) },
		"refused stream": func(f *http2.Framer, stream uint32) error {
			return f.WriteRSTStream(stream, http2.ErrCodeRefusedStream)
		},
		"going away": func(f *http2.Framer, _ uint32) error { return f.WriteGoAway(0, http2.ErrCodeNo, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			requests := &seen{}
			listener := listen(t, "127.0.0.1:0")
			accept(t, listener, func(conn net.Conn) {
				wire := tls.Server(conn, &tls.Config{Certificates: certificates.TLS.Certificates, NextProtos: []string{"h2"}})
				serveHTTP2(wire, func(f *http2.Framer, stream uint32) error {
					requests.add(&http.Request{})
					return end(f, stream)
				})
			})
			w := newWorld(t, "https://"+listener.Addr().String())
			w.spec.TLS = &v1alpha1.HTTPTLS{CABundle: pemOf(certificates)}
			_, failure := w.exchange(remove)
			if failure == nil || failure.Outcome != v1alpha1.OutcomeInDoubt || requests.count() != 1 {
				t.Errorf("exchange = %+v with %d requests, want it in doubt and sent once", failure, requests.count())
			}
		})
	}
}
