// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package conntest

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
)

// Serve puts the wire between two sockets, for a connector whose transport is its
// own: it serves the target on loopback and returns the URL. What the wire loses
// then is lost as on a network: the connection is reset.
func (w *Wire) Serve(tb testing.TB, target http.Handler) (url string) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	w.door = &door{tb: tb, address: listener.Addr().String(), handler: w.front(target)}
	w.door.serve(listener)
	tb.Cleanup(w.door.shut)
	return "http://" + w.door.address
}

// door is where connections come in; it can be shut and opened again at the same address.
type door struct {
	tb      testing.TB
	address string
	handler http.Handler
	server  *http.Server // nil while it is shut
	done    chan struct{}
}

func (d *door) open() {
	if d.server != nil {
		return
	}
	listener, err := net.Listen("tcp", d.address)
	if err != nil {
		d.tb.Errorf("the wire could not open its door again: %v", err)
		return
	}
	d.serve(listener)
}

func (d *door) serve(listener net.Listener) {
	server, done := &http.Server{Handler: d.handler}, make(chan struct{}) //nolint:gosec // a test's own peer needs no timeouts
	d.server, d.done = server, done
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			d.tb.Errorf("the wire ended: %v", err)
		}
	}()
}

func (d *door) shut() {
	if d.server == nil {
		return
	}
	if err := d.server.Close(); err != nil {
		d.tb.Errorf("the wire could not shut its door: %v", err)
	}
	<-d.done
	d.server = nil
}

// front carries what comes in over the wire to the target.
func (w *Wire) front(target http.Handler) http.Handler {
	next := roundTripper(func(request *http.Request) (*http.Response, error) {
		recorder := httptest.NewRecorder()
		target.ServeHTTP(recorder, request)
		return recorder.Result(), nil
	})
	return http.HandlerFunc(func(out http.ResponseWriter, in *http.Request) {
		body, err := io.ReadAll(in.Body)
		if err != nil {
			reset(out)
			return
		}
		in.Body = io.NopCloser(bytes.NewReader(body))
		response, err := w.pass(in, next)
		if err != nil {
			reset(out)
			return
		}
		maps.Copy(out.Header(), response.Header)
		out.WriteHeader(response.StatusCode)
		_, _ = io.Copy(out, response.Body) // to a peer that may be gone
		_ = response.Body.Close()          // of a recorder, which cannot fail
	})
}

// reset ends the connection as a crash or a broken network does.
func reset(out http.ResponseWriter) {
	conn, _, err := http.NewResponseController(out).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close() // there is nobody to tell
}
