// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"strings"
	"testing"
)

// heard passes on each line and tells of it.
type heard struct {
	to    io.Writer
	lines chan string
}

func (h heard) Write(line []byte) (int, error) {
	n, err := h.to.Write(line)
	h.lines <- string(line)
	return n, err
}

func TestWhatATargetSaysUnaskedIsNotLogged(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nX-Token: c4nary\r\nContent-Length: 0\r\n\r\n") // and then waits for no request
	}()
	var out bytes.Buffer
	lines := make(chan string, 1)
	defer log.SetOutput(log.Writer())
	log.SetOutput(heard{discreet{&out}, lines})

	conn, err := new(http.Transport).NewClientConn(t.Context(), "http", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	if line := <-lines; !strings.Contains(line, "c4nary") || out.Len() > 0 {
		t.Errorf("net/http logged %q, of which %q was written", line, out.String())
	}
	log.Print("something else")
	if <-lines; !strings.Contains(out.String(), "something else") {
		t.Errorf("of something else, %q was written", out.String())
	}
}
