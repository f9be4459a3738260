// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
)

// stage is how far a request got that has no answer.
type stage int

const (
	inDial   stage = iota // there was no connection
	unsent                // there was one, but the head of the request was not begun
	atTarget              // it may have arrived
	inAnswer              // the answer began
)

// lost is a request without an answer that could be read.
type lost struct {
	stage stage
	cause error
}

var (
	errTooLarge = errors.New("the answer is larger than spec.http.maxBytes")
	errSwitched = errors.New("it switched to another protocol, which nobody asked for")
	errEncoding = errors.New("the answer is compressed in a way that was not asked for")
)

// send sends a request on a connection of its own, once, and reads its answer.
//
// A connection of its own is what makes "once" true: net/http repeats requests
// whose reused connection turned out closed (a DELETE too, where it carries an
// Idempotency-Key), and HTTP/2 ones whose stream was reset. A [http.ClientConn]
// does neither, follows no redirect and keeps no cookies. It also has credentials
// and addresses take effect at the next exchange.
func (d dialer) send(request *http.Request, config *tls.Config, maxBytes int64) (*incoming, *lost) {
	ctx := request.Context()
	conn, l := d.open(ctx, request.URL, config)
	if l != nil {
		return nil, l
	}
	defer func() { _ = conn.Close() }() // whatever it says, the answer is read or not
	begun := &atomic.Bool{}             // a byte of the request may have been written
	trace := &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { begun.Store(true) },
		WroteHeaders:     func() { begun.Store(true) },
	}
	if err := ctx.Err(); err != nil {
		return nil, &lost{unsent, err}
	}
	answer, err := conn.RoundTrip(request.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		_ = conn.Close() // first: from here on nothing can be written behind our back
		if begun.Load() {
			return nil, &lost{atTarget, firstOf(ctx, err)}
		}
		return nil, &lost{unsent, firstOf(ctx, err)}
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode == http.StatusSwitchingProtocols {
		return nil, &lost{inAnswer, errSwitched}
	}
	body, err := readBody(answer, maxBytes)
	if err != nil {
		return nil, &lost{inAnswer, firstOf(ctx, err)}
	}
	return &incoming{Status: answer.StatusCode, Header: answer.Header, Body: body}, nil
}

func (d dialer) open(ctx context.Context, to *url.URL, config *tls.Config) (*http.ClientConn, *lost) {
	conn, err := d.transport(config).NewClientConn(ctx, to.Scheme, hostPort(to))
	if err != nil {
		return nil, &lost{inDial, firstOf(ctx, err)}
	}
	return conn, nil
}

// connect makes a connection and closes it.
func (d dialer) connect(ctx context.Context, to *url.URL, config *tls.Config) *lost {
	conn, l := d.open(ctx, to, config)
	if l == nil {
		_ = conn.Close() // nothing was written
	}
	return l
}

// firstOf is the end of the context where that is why something failed, whatever it looks like.
func firstOf(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// readBody reads a body as it is meant, up to maxBytes of it. What comes over the
// wire is bounded too, for what is compressed may hold nothing for ever.
func readBody(answer *http.Response, maxBytes int64) ([]byte, error) {
	wire := io.Reader(&bounded{from: answer.Body, left: maxBytes + 64<<10})
	switch encoding := strings.ToLower(strings.TrimSpace(answer.Header.Get("Content-Encoding"))); {
	case encoding == "" || encoding == "identity" || answer.StatusCode == http.StatusNoContent || answer.Request.Method == http.MethodHead:
	case encoding == "gzip" || encoding == "x-gzip":
		plain, err := gzip.NewReader(wire)
		if errors.Is(err, io.EOF) { // no body at all
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("decompress the answer: %w", err)
		}
		wire = plain
		answer.Header.Del("Content-Encoding")
		answer.Header.Del("Content-Length")
	default:
		return nil, errEncoding
	}
	return io.ReadAll(&bounded{from: wire, left: maxBytes})
}

// bounded fails with errTooLarge at the first byte beyond what is left.
type bounded struct {
	from io.Reader
	left int64
}

func (b *bounded) Read(into []byte) (int, error) {
	if int64(len(into)) > b.left+1 {
		into = into[:b.left+1]
	}
	n, err := b.from.Read(into)
	if int64(n) > b.left {
		n = int(b.left)
		err = errTooLarge
	}
	b.left -= int64(n)
	return n, err
}
