// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package fault holds the two kinds of error that mean something to a reconcile loop.
//
// A [Terminal] error will not go away by trying again: a bad spec, a refused
// credential, an unknown step. A [Wait] is not a failure: an approval, a rate
// limit, a window that has not opened. Any other error is transient and is
// retried with backoff.
//
// Both are matched with [errors.AsType], never with a type switch, so wrapping
// an error on its way up cannot change what it means:
//
//	if wait, ok := errors.AsType[*fault.Wait](err); ok {
//		return ctrl.Result{RequeueAfter: wait.After}, nil
//	}
package fault

import (
	"fmt"
	"time"
)

// Terminal is an error that trying again cannot mend: something must change first.
type Terminal struct {
	// Reason is an API condition reason: one CamelCase word that a program can match.
	Reason string

	err error
}

// Terminalf returns a Terminal error with an API condition reason and a message
// that says what could not be done to what, why, and what to do about it. The
// format is that of [fmt.Errorf]; what %w wraps stays reachable to errors.Is and
// errors.AsType. The message goes into a condition, so it must be stable text:
// no time, port or identifier that differs from one pass to the next.
func Terminalf(reason, format string, args ...any) *Terminal {
	return &Terminal{Reason: reason, err: fmt.Errorf(format, args...)}
}

// Error returns the message without the reason: a condition carries the two apart.
func (t *Terminal) Error() string {
	return message(t.err, t.Reason)
}

// Unwrap returns the error that carries the message and wraps the causes.
func (t *Terminal) Unwrap() error {
	return t.err
}

// Wait says that there is nothing to do until something happens or time passes.
type Wait struct {
	// Reason is an API condition reason: one CamelCase word that a program can match.
	Reason string
	// After is how long to wait before looking again. Zero means until an event.
	After time.Duration

	err error
}

// Waitf returns a Wait with an API condition reason and a message that says what
// is waited for and what would end the waiting. After is how long to wait before
// looking again; zero, or less, means until an event. The format is that of
// [fmt.Errorf], %w included, and the message must be stable text as for [Terminalf].
func Waitf(reason string, after time.Duration, format string, args ...any) *Wait {
	return &Wait{Reason: reason, After: max(after, 0), err: fmt.Errorf(format, args...)}
}

// Error returns the message without the reason: a condition carries the two apart.
func (w *Wait) Error() string {
	return message(w.err, w.Reason)
}

// Unwrap returns the error that carries the message and wraps the causes.
func (w *Wait) Unwrap() error {
	return w.err
}

// message lets the zero value and a literal with only a Reason be printed.
func message(err error, reason string) string {
	if err == nil {
		return reason
	}
	return err.Error()
}
