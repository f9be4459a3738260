// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package standin

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// KeyHeader is the header that carries an idempotency key (draft-ietf-httpapi-idempotency-key-header).
const KeyHeader = "Idempotency-Key"

// maxBody bounds a request's body in bytes; a larger one is logged as far as that and answered 413.
const maxBody = 8 << 20

// sequence numbers what all recorders of the process see, so that the logs of several can be put in one order.
var sequence atomic.Uint64

// Request is one request as it arrived, and what became of it.
type Request struct {
	// Sequence is its place among all requests and effects of the process, given before it is answered. It begins at 1.
	Sequence uint64
	// Time is when it had arrived in full.
	Time time.Time
	// Method, Path, Query and Header are what was asked. Path is the decoded path, RawPath as it was sent.
	Method, Path, RawPath string
	Query                 url.Values
	Header                http.Header
	// Body is the whole body.
	Body []byte
	// Key is the idempotency key; empty if the request has none.
	Key string
	// Fault is the name of the fault that was played; empty if none was.
	Fault string
	// Handled says that the stand-in has dealt with it.
	Handled bool
	// Status is the answer that was sent; 0 while there is none, and where none ever came.
	Status int
}

// Effect is one change that a stand-in made, or was told to make and found made.
type Effect struct {
	// Sequence is its place among all requests and effects of the process.
	Sequence uint64
	// Request is the sequence of the request that caused it.
	Request uint64
	// Time is when it was made.
	Time time.Time
	// Kind says what was done, for example sessionsRevoked.
	Kind string
	// Target is what it was done to, by the name people know: a userName, a login.
	Target string
	// Changed says that the state is another one than before.
	Changed bool
	// Key is the request's idempotency key.
	Key string
}

// Recorder serves a stand-in. Its methods may be called from several goroutines, before Start too. It is an
// http.Handler itself, which is how its log can be had behind another server.
type Recorder struct {
	standIn http.Handler
	server  server

	mu       sync.Mutex
	requests []Request
	effects  []Effect
	faults   []*planned
	arrived  chan struct{} // closed and replaced at every request and effect
	closed   chan struct{}
	closing  sync.Once
	handling sync.WaitGroup
}

// planned is a fault and how often it has been met and played.
type planned struct {
	Fault
	met, played int
}

// New returns a Recorder of what reaches the stand-in. Start serves it.
func New(standIn http.Handler) *Recorder {
	return &Recorder{standIn: standIn, arrived: make(chan struct{}), closed: make(chan struct{})}
}

// Requests are all requests so far, in the order of their sequence.
func (r *Recorder) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Effects are all effects so far, in the order of their sequence.
func (r *Recorder) Effects() []Effect {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.effects)
}

// Inject plans a fault. Of several that match a request, the one that was planned first is played.
func (r *Recorder) Inject(fault Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, &planned{Fault: fault})
}

// Heal forgets all planned faults. Those being played go on.
func (r *Recorder) Heal() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = nil
}

// Forget empties the logs. Sequences go on.
func (r *Recorder) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests, r.effects = nil, nil
}

// AwaitRequest returns the first logged request that holds, waiting until there is one or ctx ends.
func (r *Recorder) AwaitRequest(ctx context.Context, holds func(Request) bool) (Request, error) {
	return await(ctx, r, r.Requests, holds, "a request")
}

// AwaitEffect returns the first effect that holds, waiting until there is one or ctx ends.
func (r *Recorder) AwaitEffect(ctx context.Context, holds func(Effect) bool) (Effect, error) {
	return await(ctx, r, r.Effects, holds, "an effect")
}

func await[T any](ctx context.Context, r *Recorder, logged func() []T, holds func(T) bool, what string) (found T, err error) {
	for {
		r.mu.Lock()
		next := r.arrived
		r.mu.Unlock()
		entries := logged()
		if i := slices.IndexFunc(entries, holds); i >= 0 {
			return entries[i], nil
		}
		select {
		case <-next:
		case <-r.closed:
			return found, fmt.Errorf("await %s: the stand-in was closed after %d of them, none of which holds", what, len(entries))
		case <-ctx.Done():
			return found, fmt.Errorf("await %s: %w after %d of them, none of which holds", what, context.Cause(ctx), len(entries))
		}
	}
}

// reporter is the key of the function by which a stand-in reports to its recorder.
type reporter struct{}

// Report tells the recorder that serves the request of this context what the stand-in did. Sequence, Request, Time and
// Key are filled in. Without a recorder nothing happens.
func Report(ctx context.Context, effect Effect) {
	if report, ok := ctx.Value(reporter{}).(func(Effect)); ok {
		report(effect)
	}
}

// ServeHTTP implements http.Handler.
func (r *Recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.handling.Add(1)
	defer r.handling.Done()
	body, err := io.ReadAll(http.MaxBytesReader(w, request.Body, maxBody))
	tooLarge, isTooLarge := errors.AsType[*http.MaxBytesError](err)
	if err != nil && !isTooLarge {
		return // it never arrived in full, so nothing was asked
	}
	logged, fault := r.log(request, body)
	x := &Exchange{recorder: r, w: w, r: request, Request: logged}
	switch {
	case isTooLarge:
		x.Answer(http.StatusRequestEntityTooLarge, nil, fmt.Appendf(nil, "the body is larger than %d bytes\n", tooLarge.Limit))
	case fault != nil:
		fault.Do.play(x)
	default:
		x.Pass()
	}
}

// log gives the request its sequence and the fault to be played, if any.
func (r *Recorder) log(request *http.Request, body []byte) (Request, *Fault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	logged := Request{
		Sequence: sequence.Add(1), Time: time.Now(), Method: request.Method, Path: request.URL.Path, RawPath: request.URL.EscapedPath(),
		Query: request.URL.Query(), Header: request.Header.Clone(), Body: body, Key: request.Header.Get(KeyHeader),
	}
	var fault *Fault
	for _, candidate := range r.faults {
		if candidate.next(logged) {
			fault, logged.Fault = &candidate.Fault, candidate.Do.Name
			break
		}
	}
	r.requests = append(r.requests, logged)
	r.announce()
	return logged, fault
}

// announce wakes who awaits something. The caller holds the lock.
func (r *Recorder) announce() {
	close(r.arrived)
	r.arrived = make(chan struct{})
}

// amend changes the log of one request, if it was not forgotten.
func (r *Recorder) amend(sequence uint64, change func(*Request)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.IndexFunc(r.requests, func(logged Request) bool { return logged.Sequence == sequence }); i >= 0 {
		change(&r.requests[i])
		r.announce()
	}
}

// handle lets the stand-in deal with a request, whether or not the client still waits, and returns its answer.
func (r *Recorder) handle(original *http.Request, logged Request) *answer {
	ctx := context.WithValue(context.WithoutCancel(original.Context()), reporter{}, func(effect Effect) {
		r.mu.Lock()
		defer r.mu.Unlock()
		effect.Sequence, effect.Request, effect.Time, effect.Key = sequence.Add(1), logged.Sequence, time.Now(), logged.Key
		r.effects = append(r.effects, effect)
		r.announce()
	})
	request := original.Clone(ctx)
	request.Body = io.NopCloser(bytes.NewReader(logged.Body))
	kept := &answer{header: http.Header{}}
	r.standIn.ServeHTTP(kept, request)
	r.amend(logged.Sequence, func(l *Request) { l.Handled = true })
	return kept
}

// answer keeps what a stand-in answers.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
