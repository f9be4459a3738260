// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/redact"
)

// classify says what is known of a request that has no answer. Only what cannot
// have arrived is NotSent.
func (e *endpoint) classify(l *lost, host, field string) *exchangeError {
	terminal, ours := errors.AsType[*fault.Terminal](l.cause)
	switch {
	case ours: // the address is refused
		return &exchangeError{Outcome: v1alpha1.OutcomeRefused, Reason: terminal.Reason, Message: fmt.Sprintf("%s: %v", host, terminal)}
	case errors.Is(l.cause, errTooLarge):
		return &exchangeError{Outcome: v1alpha1.OutcomeInDoubt, Reason: connector.TooLargeReason, Message: fmt.Sprintf(
			"could not read the answer of %s: it is larger than %d bytes: ask for less, or raise spec.http.maxBytes", host, e.spec.MaxBytes)}
	case l.stage <= atTarget && refusedCertificate(l.cause):
		return rejected("could not connect to %s: it refuses the client's certificate, or the lack of one: %s: check spec.http.tls.clientCertificateRef",
			host, cause(l.cause))
	case l.stage == inDial:
		return unreachable("could not connect to %s: %s: check %s, and that it is up", host, cause(l.cause), field)
	case l.stage == unsent:
		return unreachable("could not send to %s: %s", host, cause(l.cause))
	case l.stage == inAnswer:
		return inDoubt("could not read the answer of %s: %s", host, cause(l.cause))
	default:
		return inDoubt("no answer came from %s: %s", host, cause(l.cause))
	}
}

func inDoubt(format string, args ...any) *exchangeError {
	return &exchangeError{Outcome: v1alpha1.OutcomeInDoubt, Reason: v1alpha1.OutcomeUnknownReason, Message: fmt.Sprintf(format, args...)}
}

func unreachable(format string, args ...any) *exchangeError {
	return &exchangeError{Outcome: v1alpha1.OutcomeNotSent, Reason: connector.UnreachableReason, Message: fmt.Sprintf(format, args...)}
}

// refused is what an error before any connection means: what trying again
// cannot mend is Refused, anything else was not sent and may be tried again.
func refused(ctx context.Context, err error) *exchangeError {
	out := &exchangeError{Outcome: v1alpha1.OutcomeNotSent, Reason: connector.UnreachableReason, Message: "nothing was sent: " + err.Error(), own: true}
	if terminal, ok := errors.AsType[*fault.Terminal](err); ok {
		out.Outcome, out.Reason, out.Message = v1alpha1.OutcomeRefused, terminal.Reason, err.Error()
	} else if wait, ok := errors.AsType[*fault.Wait](err); ok {
		out.Reason, out.RetryAfter = wait.Reason, wait.After
	} else if ctx.Err() != nil {
		out.Reason = v1alpha1.DeadlinePassedReason
	}
	return out
}

// clean cuts secrets out of the message, and the message to its length.
func (e *exchangeError) clean(secrets *redact.Redactor) *exchangeError {
	e.Message = connector.Clip(secrets.Text(e.Message))
	return e
}

// signOf is what a failure says about the endpoint. That the caller gave up says nothing.
func signOf(ctx context.Context, failure *exchangeError) signOfLife {
	if failure.own || errors.Is(ctx.Err(), context.Canceled) {
		return noSign
	}
	if failure.Reason == connector.UnreachableReason || failure.Reason == v1alpha1.OutcomeUnknownReason {
		return dead
	}
	return noSign
}

// retryAfter reads the header Retry-After (RFC 9110, section 10.2.3), seconds or
// a date; zero if there is none, and an hour at most. A date is taken from the
// answer's own where it has one, so that it does not matter whose clock is wrong.
func retryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(text, 10, 63); err == nil || errors.Is(err, strconv.ErrRange) { // which gives the most there is
		return min(time.Duration(min(seconds, uint64(maxRetryAfter/time.Second)))*time.Second, maxRetryAfter)
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	if sent, err := http.ParseTime(header.Get("Date")); err == nil {
		now = sent
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}
