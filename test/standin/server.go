// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package standin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// server is where a Recorder listens.
type server struct {
	http   *http.Server
	served chan struct{}
	url    string
}

// Start listens on a free port of 127.0.0.1 and serves over plain HTTP until Close.
func (r *Recorder) Start() error { return r.listen("http", nil) }

// StartTLS is Start with TLS, by a certificate of the authority for 127.0.0.1 and localhost.
func (r *Recorder) StartTLS(authority *Authority) error {
	certificate, err := authority.Issue("localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	return r.listen("https", &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
}

func (r *Recorder) listen(scheme string, config *tls.Config) error {
	if r.server.http != nil {
		return errors.New("start a stand-in: it was started before")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start a stand-in: %w", err)
	}
	r.server.url = scheme + "://" + listener.Addr().String()
	r.server.served = make(chan struct{})
	r.server.http = &http.Server{Handler: r, ReadHeaderTimeout: 10 * time.Second, TLSConfig: config, ErrorLog: silent()}
	// HTTP/1.1 alone: a connection of HTTP/2 cannot be cut for one request.
	r.server.http.Protocols = new(http.Protocols)
	r.server.http.Protocols.SetHTTP1(true)
	go func() {
		defer close(r.server.served)
		if config == nil {
			_ = r.server.http.Serve(listener) // ends by Close, and says so
		} else {
			_ = r.server.http.ServeTLS(listener, "", "")
		}
	}()
	return nil
}

// URL is where the stand-in is served, without a final slash; empty before Start.
func (r *Recorder) URL() string { return r.server.url }

// Close stops serving, ends every wait of a fault, and returns when nothing of it runs. Again is no harm.
func (r *Recorder) Close() {
	r.closing.Do(func() {
		close(r.closed)
		if r.server.http != nil {
			_ = r.server.http.Close() // what it says is that connections were open
			<-r.server.served
		}
		r.handling.Wait()
	})
}

// abort closes a connection with a reset rather than in good order.
func abort(conn net.Conn) {
	inner := conn
	if secured, ok := conn.(*tls.Conn); ok {
		inner = secured.NetConn()
	}
	if tcp, ok := inner.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // where it cannot be set the peer sees an end instead of a reset: a lost connection either way
	}
	_ = inner.Close()
}
