// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package conntest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
)

// Wire is the way between a connector and its target, on which writes can be
// lost, doubled, delayed, answered by others or held. Reads pass, except after a
// Crash, and a Cut of a wire over a socket. It is put around a transport with
// Wrap, or between two sockets with Serve. A write is any request whose method is not GET, HEAD or OPTIONS.
type Wire struct {
	mu     sync.Mutex
	writes int // since the last plan
	nth    int // the write that the plan is for; 0 means each
	plan   Fault
	dead   bool // after a crash
	late   func() error
	door   *door // of Serve
}

// Fault is what happens to one write. Next reaches the target.
type Fault func(request *http.Request, next http.RoundTripper) (*http.Response, error)

// Wrap puts the wire in front of a transport: rest.Config.Wrap takes it.
func (w *Wire) Wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) { return w.pass(request, next) })
}

type roundTripper func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return f(request) }

// On plans a fault for the nth write from now, counted from 1; 0 means each.
func (w *Wire) On(nth int, fault Fault) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nth, w.plan, w.writes, w.dead, w.late = nth, fault, 0, false, nil
	if w.door != nil {
		w.door.open()
	}
}

// Cut plans that no connection can be made for the nth write from now, counted
// from 1. Between sockets, where a connection is there before its request, the
// first write takes the reads before it along, and a later one is lost instead.
func (w *Wire) Cut(nth int) {
	w.On(nth, FailDial)
	if w.door != nil && nth == 1 {
		w.door.shut()
	}
}

// Heal ends every fault and counts from zero again.
func (w *Wire) Heal() { w.On(0, nil) }

// Writes is how many writes the connector sent since the last On or Heal,
// whatever became of them.
func (w *Wire) Writes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.writes
}

func (w *Wire) pass(request *http.Request, next http.RoundTripper) (*http.Response, error) {
	w.mu.Lock()
	isWrite := request.Method != http.MethodGet && request.Method != http.MethodHead && request.Method != http.MethodOptions
	if isWrite {
		w.writes++
	}
	plan, dead := w.plan, w.dead
	hit := isWrite && plan != nil && (w.nth == 0 || w.nth == w.writes)
	w.mu.Unlock()
	if dead {
		return nil, syscall.ECONNRESET
	}
	if hit {
		return plan(request, next)
	}
	return next.RoundTrip(request)
}

// LoseReply lets the write reach the target and loses the answer.
func LoseReply(request *http.Request, next http.RoundTripper) (*http.Response, error) {
	if err := deliver(request, next); err != nil {
		return nil, err
	}
	return nil, io.ErrUnexpectedEOF
}

// Garble lets the write reach the target and answers 200 with half a document.
func Garble(request *http.Request, next http.RoundTripper) (*http.Response, error) {
	if err := deliver(request, next); err != nil {
		return nil, err
	}
	return answer(request, http.StatusOK, `{"kind":`), nil
}

// AnswerUnavailable lets the write reach the target and answers 503, with the
// header that tempts clients to repeat it.
func AnswerUnavailable(request *http.Request, next http.RoundTripper) (*http.Response, error) {
	if err := deliver(request, next); err != nil {
		return nil, err
	}
	response := answer(request, http.StatusServiceUnavailable, "overloaded")
	response.Header.Set("Retry-After", "1")
	return response, nil
}

// AnswerRefused keeps the write from the target and answers 422.
func AnswerRefused(request *http.Request, _ http.RoundTripper) (*http.Response, error) {
	return answer(request, http.StatusUnprocessableEntity, "refused"), nil
}

// FailDial keeps the write from the target: there is no connection.
func FailDial(*http.Request, http.RoundTripper) (*http.Response, error) {
	return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
}

// Twice lets the write reach the target twice and returns the first answer.
func Twice(request *http.Request, next http.RoundTripper) (*http.Response, error) {
	first, second, err := copies(request)
	if err != nil {
		return nil, err
	}
	response, err := next.RoundTrip(first)
	if err != nil {
		return nil, err
	}
	return response, deliver(second, next)
}

// Crash keeps the write, and everything after it, from the target until the
// next On or Heal.
func (w *Wire) Crash(*http.Request, http.RoundTripper) (*http.Response, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dead = true
	return nil, syscall.ECONNRESET
}

// Delay keeps the write from the target until Arrive.
func (w *Wire) Delay(request *http.Request, next http.RoundTripper) (*http.Response, error) {
	held, _, err := copies(request)
	if err != nil {
		return nil, err
	}
	held = held.WithContext(context.WithoutCancel(request.Context()))
	w.mu.Lock()
	defer w.mu.Unlock()
	w.late = func() error { return deliver(held, next) }
	return nil, syscall.ECONNRESET
}

// Arrive lets the delayed write reach the target.
func (w *Wire) Arrive() error {
	w.mu.Lock()
	late := w.late
	w.late = nil
	w.mu.Unlock()
	if late == nil {
		return errors.New("no write was delayed")
	}
	return late()
}

// Hold lets the write reach the target and then keeps the answer until the
// request's context ends; arrived is called in between.
func Hold(arrived func()) Fault {
	return func(request *http.Request, next http.RoundTripper) (*http.Response, error) {
		if err := deliver(request, next); err != nil {
			return nil, err
		}
		arrived()
		<-request.Context().Done()
		return nil, context.Cause(request.Context())
	}
}

// deliver sends a request and throws its answer away.
func deliver(request *http.Request, next http.RoundTripper) error {
	response, err := next.RoundTrip(request)
	if err != nil {
		return fmt.Errorf("the wire could not reach the target: %w", err)
	}
	_, err = io.Copy(io.Discard, response.Body)
	if closeErr := response.Body.Close(); err == nil {
		err = closeErr
	}
	return err
}

func copies(request *http.Request) (first, second *http.Request, err error) {
	var body []byte
	if request.Body != nil {
		if body, err = io.ReadAll(request.Body); err != nil {
			return nil, nil, err
		}
		if err := request.Body.Close(); err != nil {
			return nil, nil, err
		}
	}
	first, second = request.Clone(request.Context()), request.Clone(request.Context())
	first.Body, second.Body = io.NopCloser(bytes.NewReader(body)), io.NopCloser(bytes.NewReader(body))
	return first, second, nil
}

func answer(request *http.Request, code int, body string) *http.Response {
	return &http.Response{
		StatusCode: code, Status: fmt.Sprintf("%d %s", code, http.StatusText(code)), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader([]byte(body))),
		ContentLength: int64(len(body)), Request: request,
	}
}
