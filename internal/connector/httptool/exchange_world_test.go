// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// canary is the secret of every test. It has something to escape for each way to write it.
const canary = `c4nary/S3cr+t=42%&"<x`

// heldSecrets are a tenant's Secrets, by name and key. They can change.
type heldSecrets struct {
	mu     sync.Mutex
	values map[string]string
	err    error
}

func (h *heldSecrets) Secret(ctx context.Context, namespace string, ref v1alpha1.SecretKeyRef) ([]byte, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.err != nil {
		return nil, h.err
	}
	value, ok := h.values[ref.Name+"/"+ref.Key]
	if !ok {
		return nil, fault.Terminalf(v1alpha1.SecretNotFoundReason, "could not read Secret %s/%s: there is none with key %s: create it", namespace, ref.Name, ref.Key)
	}
	return []byte(value), ctx.Err()
}

func (h *heldSecrets) ConfigMap(context.Context, string, v1alpha1.ConfigMapKeyRef) ([]byte, error) {
	return nil, fault.Terminalf(v1alpha1.ConfigMapNotFoundReason, "there is none")
}

func (h *heldSecrets) set(name, value string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.values[name] = value
}

// world is what an endpoint under test lives in.
type world struct {
	t       *testing.T
	secrets *heldSecrets
	clock   *clocktesting.FakePassiveClock
	made    *endpoints
	spec    v1alpha1.HTTPConnector
}

var (
	loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}
	secret   = v1alpha1.SecretKeyRef{Name: "tool", Key: "token"}
)

// newWorld has an endpoint at a URL with the canary as its bearer token.
func newWorld(t *testing.T, baseURL string) *world {
	t.Helper()
	w := &world{
		t: t, secrets: &heldSecrets{values: map[string]string{"tool/token": canary}},
		clock: clocktesting.NewFakePassiveClock(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)),
		spec: v1alpha1.HTTPConnector{
			BaseURL: baseURL, MaxBytes: 64 << 10, Limits: &v1alpha1.HTTPLimits{RequestsPerMinute: 60000, Concurrent: 64},
			Authentication: &v1alpha1.HTTPAuthentication{Bearer: &v1alpha1.BearerAuthentication{SecretRef: secret}},
		},
	}
	w.made = newEndpoints(Dependencies{Values: w.secrets, Policy: connector.AddressPolicy{Allow: loopback}, Clock: w.clock})
	return w
}

func (w *world) object() *v1alpha1.Connector {
	spec := w.spec
	return &v1alpha1.Connector{ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "tool", UID: "1"}, Spec: v1alpha1.ConnectorSpec{HTTP: &spec}}
}

func (w *world) endpoint() *endpoint {
	w.t.Helper()
	e, err := w.made.get(w.object())
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// exchange sends a request and sees to it that no secret comes back.
func (w *world) exchange(out outgoing) (*incoming, *exchangeError) {
	w.t.Helper()
	return w.exchangeWithin(w.t.Context(), out)
}

func (w *world) exchangeWithin(ctx context.Context, out outgoing) (*incoming, *exchangeError) {
	w.t.Helper()
	if out.Header == nil {
		out.Header = http.Header{}
	}
	in, failure := w.endpoint().exchange(ctx, out)
	if (in == nil) == (failure == nil) {
		w.t.Fatalf("exchange = %v and %v, want one of them", in, failure)
	}
	w.clean(in, failure)
	return in, failure
}

// answered is exchange for when there must be an answer.
func (w *world) answered(out outgoing) *incoming {
	w.t.Helper()
	in, failure := w.exchange(out)
	if failure != nil {
		w.t.Fatalf("exchange failed: %s %s: %s", failure.Outcome, failure.Reason, failure.Message)
	}
	return in
}

// clean fails the test if a canary is in what came of an exchange, in whichever form.
func (w *world) clean(in *incoming, failure *exchangeError) {
	w.t.Helper()
	var seen string
	if in != nil {
		seen = fmt.Sprintf("%v %s", in.Header, in.Body)
	} else {
		seen = failure.Message
		if failure.Message == "" || failure.Reason == "" || len(failure.Message) > connector.MaxMessage {
			w.t.Errorf("failure without reason or message, or with one too long: %+v", failure)
		}
	}
	for _, secret := range []string{canary, secondCanary, tokenCanary} {
		for _, form := range []string{
			secret, url.QueryEscape(secret), url.PathEscape(secret), jsonOf(secret), fmt.Sprintf("%x", secret),
			base64.RawStdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
			base64.RawStdEncoding.EncodeToString([]byte("casebook:" + secret)),
		} {
			if strings.Contains(seen, form) {
				w.t.Errorf("the secret left the exchange as %q: %s", form, seen)
			}
		}
	}
}

const (
	secondCanary = "an0ther-canary" // what a secret is rotated to
	tokenCanary  = "t0ken.canary"   // how every token begins that an authorization server gives
)

// get and remove are a read and a mutation.
var (
	get    = outgoing{Method: http.MethodGet, Target: "/users/ana?x=1", Read: true}
	remove = outgoing{Method: http.MethodDelete, Target: "/users/ana", Header: http.Header{"Idempotency-Key": {"0123"}}}
	post   = outgoing{Method: http.MethodPost, Target: "/users", Body: []byte(`{"a":1}`), Header: http.Header{"Content-Type": {"application/json"}}}
)

// seen are the requests that arrived at a server.
type seen struct {
	mu   sync.Mutex
	list []string
}

func (s *seen) add(r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, r.Method+" "+r.RequestURI)
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.list)
}

// rawServer reads a request from each connection and then does what it is told
// to with the connection, which is closed afterwards.
func rawServer(t *testing.T, answer func(net.Conn, *http.Request)) (string, *seen) {
	t.Helper()
	listener := listen(t, "127.0.0.1:0")
	requests := &seen{}
	accept(t, listener, func(conn net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, request.Body)
		requests.add(request)
		answer(conn, request)
	})
	return "http://" + listener.Addr().String(), requests
}

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// accept serves each connection until the listener is closed, and waits for them all.
func accept(t *testing.T, listener net.Listener, serve func(net.Conn)) {
	t.Helper()
	var all sync.WaitGroup
	t.Cleanup(func() { _ = listener.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			})
		}
	})
}

// echo answers with everything that it was sent, in every form that it can be written in.
func echo(rw http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	authorization := r.Header.Get("Authorization")
	bare := strings.TrimPrefix(authorization, "Bearer ")
	rw.Header().Set("X-Echo", authorization)
	rw.Header().Set("Location", "https://elsewhere.example.com/?token="+url.QueryEscape(bare))
	_ = json.NewEncoder(rw).Encode(map[string]any{
		"method": r.Method, "uri": r.RequestURI, "proto": r.Proto, "header": r.Header, "body": string(body), "bare": bare,
		"base64": base64.StdEncoding.EncodeToString([]byte(bare)), "hex": fmt.Sprintf("%x", bare), "path": url.PathEscape(bare),
	})
}

// pemOf is the certificate of a TLS server, to be trusted.
func pemOf(server *httptest.Server) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
}

// within is a context that ends soon, for exchanges that would not end by themselves.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// expiring is a context whose deadline passes when the test says so.
type expiring struct {
	context.Context
	passed chan struct{}
	once   sync.Once
}

func newExpiring(t *testing.T) *expiring {
	t.Helper()
	return &expiring{Context: t.Context(), passed: make(chan struct{})}
}

func (e *expiring) Done() <-chan struct{} { return e.passed }

func (e *expiring) Err() error {
	select {
	case <-e.passed:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func (e *expiring) expire() { e.once.Do(func() { close(e.passed) }) }

// hangAt lets the deadline pass and then goes on until the other side gives up.
func (e *expiring) hangAt(conn net.Conn, _ *http.Request) {
	e.expire()
	_, _ = io.Copy(io.Discard, conn)
}

// discard is for servers whose complaints are expected.
var discard = log.New(io.Discard, "", 0)

// readRequest reads one request, body included, and nothing beyond it.
func readRequest(conn net.Conn) (*http.Request, error) {
	request, err := http.ReadRequest(bufio.NewReaderSize(oneByOne{conn}, 16))
	if err != nil {
		return nil, err
	}
	_, err = io.Copy(io.Discard, request.Body)
	return request, err
}

// oneByOne keeps a buffered reader from reading ahead.
type oneByOne struct{ from io.Reader }

func (o oneByOne) Read(into []byte) (int, error) { return o.from.Read(into[:min(1, len(into))]) }

// serveHTTP2 reads frames and does what it is told to with each request, once its header is there.
func serveHTTP2(conn net.Conn, answer func(*http2.Framer, uint32) error) {
	defer func() { _ = conn.Close() }()
	if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(conn, conn)
	if framer.WriteSettings() != nil {
		return
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				err = framer.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			err = answer(framer, frame.StreamID)
		}
		if err != nil {
			return
		}
	}
}

// remoteError is how crypto/tls says that the other side sent an alert.
func remoteError(text string) error { return &net.OpError{Op: "remote error", Err: errors.New(text)} }

func unquery(text string) string {
	plain, err := url.QueryUnescape(text)
	if err != nil {
		return "not escaped: " + text
	}
	return plain
}

// jsonOf is text as a string of JSON holds it.
func jsonOf(text string) string {
	raw, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string always has a form in JSON
	}
	return string(raw[1 : len(raw)-1])
}
