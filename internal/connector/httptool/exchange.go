// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"k8s.io/utils/clock"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/redact"
)

// userAgent is sent unless a header says otherwise.
const userAgent = "casebook"

// Dependencies are what exchanges need of the world. Values is required.
type Dependencies struct {
	// Values reads the Secrets that a Connector names, at each exchange.
	Values connector.Values
	// Policy says which addresses may be dialled.
	Policy connector.AddressPolicy
	// Clock tells the time for limits and the life of tokens; nil means the machine's.
	Clock clock.PassiveClock
	// Resolver resolves names; nil means the machine's.
	Resolver *net.Resolver
}

// outgoing is one request.
type outgoing struct {
	Method string
	// Target is the escaped path, which begins with a slash, and the query. It is appended to baseURL and sent as it is.
	Target string
	// Header is sent beside the connector's own headers, which it wins over, and the credentials, which win over it.
	Header http.Header
	// Body is nil for none.
	Body []byte
	// Read says that the request changes nothing, so that it may be sent again with a new token after a 401.
	// A mutation is never sent twice.
	Read bool
}

// incoming is an answer, whatever its status: a redirect too is one.
type incoming struct {
	Status int
	// Header is in canonical form, without cookies, and redacted.
	Header http.Header
	// Body is decoded and redacted; never more than maxBytes before redaction.
	Body []byte
	// RetryAfter is how long the target asks to be left alone: set with a status of 429 or 503, at most an hour.
	RetryAfter time.Duration
	// Stale says that a mutation was answered 401 because of a token that was kept from before: nothing of it was looked at,
	// and whoever asks again sends a new token.
	Stale bool

	token string // the OAuth token that was sent; empty if none was
	kept  bool   // it was kept from before
}

// exchangeError says why there is no answer that could be read.
type exchangeError struct {
	// Outcome is NotSent, Refused (by us, before the first byte) or InDoubt.
	Outcome v1alpha1.AttemptOutcome
	// Reason is one CamelCase word; Message is redacted and at most connector.MaxMessage bytes.
	Reason, Message string
	// RetryAfter is how long to wait before asking again; zero if that is not known.
	RetryAfter time.Duration

	own bool // it says nothing about the endpoint
}

func (e *exchangeError) Error() string { return e.message() }

func (e *exchangeError) message() string {
	if e == nil {
		return ""
	}
	return e.Message
}

// maxExchange bounds an exchange whose context has no deadline, or a later one.
const maxExchange = time.Minute

// exchange sends one request and reads its answer, by ctx's deadline in any
// case. Any answer that could be read is one, whatever its status. A mutation is
// sent at most once; a read once more, with a new token, when the target no
// longer takes the old one. No secret is in what it returns.
func (e *endpoint) exchange(ctx context.Context, out outgoing) (*incoming, *exchangeError) {
	ctx, cancel := context.WithTimeout(ctx, maxExchange)
	defer cancel()
	request, err := e.request(ctx, out)
	if err != nil {
		return nil, refused(ctx, err).clean(&redact.Redactor{})
	}
	if failure := e.breaker.blocked(); failure != nil {
		return nil, failure
	}
	in, failure := e.attempt(ctx, request, out.Body)
	if e.stale(in) && out.Read {
		in, failure = e.attempt(ctx, request, out.Body)
	}
	if failure == nil {
		in.Stale = e.stale(in) && !out.Read
	}
	return in, failure
}

// stale forgets a token that the target does not take, and tells whether it was one that was kept from before, so that
// another may be taken.
func (e *endpoint) stale(in *incoming) bool {
	if in == nil || in.Status != http.StatusUnauthorized || in.token == "" {
		return false
	}
	e.tokens.drop(in.token)
	return in.kept
}

// attempt waits for its turn and sends the request.
func (e *endpoint) attempt(ctx context.Context, request *http.Request, body []byte) (*incoming, *exchangeError) {
	leave, failure := e.limits.enter(ctx)
	if failure != nil {
		return nil, failure
	}
	defer leave()
	done, failure := e.breaker.admit()
	if failure != nil {
		return nil, failure
	}
	in, sign, failure := e.once(ctx, request, body)
	done(sign, failure.message())
	return in, failure
}

// once reads the credentials and sends the request, once.
func (e *endpoint) once(ctx context.Context, request *http.Request, body []byte) (*incoming, signOfLife, *exchangeError) {
	creds, failure := e.credentials(ctx)
	if failure != nil {
		return nil, signOf(ctx, failure), failure.clean(creds.secrets)
	}
	request = request.Clone(ctx)
	creds.apply(request.Header)
	if body != nil { // without GetBody, so that nobody can send it again
		request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	}
	in, lost := e.dialer(e.base, creds.name != "").send(request, creds.tls, e.spec.MaxBytes)
	if lost != nil {
		failure = e.classify(lost, e.base.Host, "spec.http.baseURL").clean(creds.secrets)
		if lost.stage == inAnswer && !errors.Is(lost.cause, context.DeadlineExceeded) {
			return nil, alive, failure
		}
		return nil, signOf(ctx, failure), failure
	}
	if in.Status == http.StatusTooManyRequests || in.Status == http.StatusServiceUnavailable {
		in.RetryAfter = retryAfter(in.Header, e.Clock.Now())
		e.limits.hold(in.RetryAfter)
	}
	in.Header.Del("Set-Cookie") // sessions are the target's secrets, and none is kept
	in.Header, in.Body = creds.secrets.Header(in.Header), creds.secrets.Bytes(in.Body)
	in.token, in.kept = creds.token, creds.kept
	return in, alive, nil
}

// check makes a connection and obtains the credentials, and sends the target no
// request: what can be told of an endpoint without a read that it declares. The
// error is Terminal for what trying again cannot mend.
func (e *endpoint) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, maxExchange)
	defer cancel()
	creds, failure := e.credentials(ctx)
	if failure == nil {
		if lost := e.dialer(e.base, creds.name != "").connect(ctx, e.base, creds.tls); lost != nil {
			failure = e.classify(lost, e.base.Host, "spec.http.baseURL")
		}
	}
	switch {
	case failure == nil:
		return nil
	case failure.Outcome == v1alpha1.OutcomeRefused || failure.Reason == connector.CredentialsRejectedReason:
		return fault.Terminalf(failure.Reason, "%w", failure.clean(creds.secrets))
	case failure.RetryAfter > 0:
		return fault.Waitf(failure.Reason, failure.RetryAfter, "%w", failure.clean(creds.secrets))
	default:
		return failure.clean(creds.secrets)
	}
}
