// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package standin

import (
	"bytes"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path"
	"strconv"
	"time"
)

// Fault is something that happens to requests that match it.
type Fault struct {
	// Method is the method to match; empty matches any.
	Method string
	// Path is a pattern as in [path.Match], where * stands for one segment, for the decoded path; empty matches any.
	Path string
	// When must hold as well; nil holds.
	When func(Request) bool
	// Skip lets that many matching requests pass first.
	Skip int
	// Times is how many matching requests it happens to; 0 means for ever.
	Times int
	// Do is what happens.
	Do Action
}

// next counts a request that the fault matches, and tells whether the fault is to be played on it.
func (p *planned) next(request Request) bool {
	if p.Method != "" && p.Method != request.Method || p.Path != "" && !matches(p.Path, request.Path) || p.When != nil && !p.When(request) {
		return false
	}
	p.met++
	if p.met <= p.Skip || p.Times > 0 && p.played >= p.Times {
		return false
	}
	p.played++
	return true
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// Action is what a fault does with an exchange. Own actions can be made of the methods of Exchange.
type Action struct {
	// Name is what the log calls it.
	Name string
	// Play does it; nil lets the request pass.
	Play func(x *Exchange)
}

func (a Action) play(x *Exchange) {
	if a.Play == nil {
		x.Pass()
		return
	}
	a.Play(x)
}

// The actions. "Handled" means that the stand-in does what it was asked to, so that an effect took place.
var (
	// Hang answers nothing and handles nothing until the client gives up.
	Hang = Action{"Hang", func(x *Exchange) { x.WaitForClient(); x.Reset() }}
	// HangAfter handles the request and answers nothing until the client gives up.
	HangAfter = Action{"HangAfter", func(x *Exchange) { x.Handle(); x.WaitForClient(); x.Reset() }}
	// Reset cuts the connection before the request is handled.
	Reset = Action{"Reset", func(x *Exchange) { x.Reset() }}
	// LoseReply handles the request and cuts the connection in place of an answer.
	LoseReply = Action{"LoseReply", func(x *Exchange) { x.Handle(); x.Reset() }}
	// CutReply handles the request and cuts the connection in the middle of the answer's body, or before its end if the
	// body is empty.
	CutReply = Action{"CutReply", func(x *Exchange) { x.Handle(); x.cut() }}
	// Nonsense handles the request and answers 200 with a page for people.
	Nonsense = AnswerAfter(http.StatusOK, http.Header{"Content-Type": {"text/html"}}, []byte("<!doctype html><title>Scheduled maintenance</title>"))
	// HalfJSON handles the request and answers 200 with a document that ends early.
	HalfJSON = AnswerAfter(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, []byte(`{"Resources":[{"id":"2`))
	// EmptyBody handles the request and answers 200 with no body.
	EmptyBody = AnswerAfter(http.StatusOK, nil, nil)
	// Huge handles the request and answers 200 with 5 MB of sound JSON.
	Huge = Action{"Huge", func(x *Exchange) {
		x.Handle()
		x.Answer(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, hugeBody())
	}}
)

func hugeBody() []byte {
	const size = 5_000_000
	return append(append([]byte(`{"filler":"`), bytes.Repeat([]byte("x"), size)...), `"}`...)
}

// Answer answers in place of the stand-in, which does not see the request.
func Answer(status int, header http.Header, body []byte) Action {
	return Action{fmt.Sprintf("Answer %d", status), func(x *Exchange) { x.Answer(status, header, body) }}
}

// AnswerAfter answers in place of the stand-in, which has handled the request.
func AnswerAfter(status int, header http.Header, body []byte) Action {
	return Action{fmt.Sprintf("AnswerAfter %d", status), func(x *Exchange) { x.Handle(); x.Answer(status, header, body) }}
}

// TooMany answers 429 in place of the stand-in, with Retry-After in whole seconds.
func TooMany(after time.Duration) Action {
	return Answer(http.StatusTooManyRequests, http.Header{"Retry-After": {strconv.Itoa(int(after / time.Second))}}, nil)
}

// Delay handles the request that much later. A client that is gone by then does not stop it.
func Delay(by time.Duration) Action {
	return Action{"Delay", func(x *Exchange) {
		if x.Wait(by) {
			x.Pass()
		}
	}}
}

// DelayReply handles the request at once and answers that much later.
func DelayReply(by time.Duration) Action {
	return Action{"DelayReply", func(x *Exchange) {
		x.Handle()
		x.Wait(by)
		x.Pass()
	}}
}

// Hold handles the request once the gate is closed; the client waits, or not.
func Hold(gate <-chan struct{}) Action {
	return Action{"Hold", func(x *Exchange) {
		if x.WaitFor(gate) {
			x.Pass()
		}
	}}
}

// Late cuts the connection at once and handles the request when the gate is closed: a request that was under way for
// longer than its client waited.
func Late(gate <-chan struct{}) Action {
	return Action{"Late", func(x *Exchange) {
		x.Reset()
		if x.WaitFor(gate) {
			x.Handle()
		}
	}}
}

// Exchange is one request that a fault is played on.
type Exchange struct {
	// Request is the request as it was logged.
	Request Request

	recorder *Recorder
	w        http.ResponseWriter
	r        *http.Request
	kept     *answer
	over     bool // it was answered or cut
}

// Handle lets the stand-in deal with the request and keeps its answer. Only the first call does anything.
func (x *Exchange) Handle() {
	if x.kept == nil {
		x.kept = x.recorder.handle(x.r, x.Request)
	}
}

// Pass handles the request and sends the stand-in's answer.
func (x *Exchange) Pass() {
	x.Handle()
	x.Answer(x.kept.status, x.kept.header, x.kept.body.Bytes())
}

// Answer sends an answer. Only the first of Answer and Reset does anything.
func (x *Exchange) Answer(status int, header http.Header, body []byte) {
	if x.over {
		return
	}
	x.over = true
	if status == 0 {
		status = http.StatusOK
	}
	x.recorder.amend(x.Request.Sequence, func(l *Request) { l.Status = status })
	maps.Copy(x.w.Header(), header)
	x.w.WriteHeader(status)
	_, _ = x.w.Write(body) // a client that is gone is no error of the target's
}

// Reset cuts the connection with a TCP reset.
func (x *Exchange) Reset() {
	if conn := x.hijack(); conn != nil {
		abort(conn)
	}
}

// cut sends the head of the kept answer and part of its body.
func (x *Exchange) cut() {
	conn := x.hijack()
	if conn == nil {
		return
	}
	defer abort(conn)
	body := x.kept.body.Bytes()
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		x.kept.status, http.StatusText(x.kept.status), x.kept.header.Get("Content-Type"), len(body)+1, body[:len(body)/2])
}

// hijack takes the connection from the server; nil if the exchange is over, or where it cannot be taken.
func (x *Exchange) hijack() net.Conn {
	if x.over {
		return nil
	}
	x.over = true
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the server's own way to cut a connection
	}
	return conn
}

// Wait waits; false if the stand-in was closed meanwhile.
func (x *Exchange) Wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.recorder.closed:
		return false
	}
}

// WaitFor waits until the gate is closed; false if the stand-in was closed first.
func (x *Exchange) WaitFor(gate <-chan struct{}) bool {
	select {
	case <-gate:
		return true
	case <-x.recorder.closed:
		return false
	}
}

// WaitForClient waits until the client has given up or the stand-in is closed.
func (x *Exchange) WaitForClient() {
	select {
	case <-x.r.Context().Done():
	case <-x.recorder.closed:
	}
}
