// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import "fmt"

// Verdict says in one word why a request was refused.
type Verdict string

// The verdicts.
const (
	// Unauthenticated: the sender did not prove itself.
	Unauthenticated Verdict = "Unauthenticated"
	// Stale: the sender proved itself, but the request was signed too long ago, or in the
	// future: it may be a replay.
	Stale Verdict = "Stale"
	// TooLarge: the body is longer than the Source allows.
	TooLarge Verdict = "TooLarge"
	// Empty: there is nothing in the body.
	Empty Verdict = "Empty"
	// Malformed: the body is not JSON within the bounds.
	Malformed Verdict = "Malformed"
)

// Refusal is an error that says why a request is not taken. Match it with
// [errors.AsType]. Its message is for the sender: it never holds a secret, and
// the message of Unauthenticated is always the same.
type Refusal struct {
	// Verdict is the reason in one word.
	Verdict Verdict
	// Offset is the byte of the body at which Malformed was found.
	Offset int

	message string
}

// Error returns the message for the sender.
func (r *Refusal) Error() string { return r.message }

// RefuseCredentials is the one answer to a sender who did not prove itself,
// whatever the cause: that a Source does not exist must not show.
func RefuseCredentials() *Refusal {
	return &Refusal{Verdict: Unauthenticated, message: "the credentials do not fit this Source, or there is no such Source; send what its webhook.authentication asks for"}
}

// RefuseTooLarge refuses a body of more than limit bytes.
func RefuseTooLarge(limit int64) *Refusal {
	return &Refusal{Verdict: TooLarge, message: fmt.Sprintf("the body is larger than %d bytes; send fewer findings at once, or raise webhook.maxBytes of the Source", limit)}
}

func refuseStale(message string) *Refusal {
	return &Refusal{Verdict: Stale, message: message}
}

func refuseMalformed(offset int, format string, args ...any) *Refusal {
	return &Refusal{Verdict: Malformed, Offset: offset, message: fmt.Sprintf("the body cannot be read at byte %d: %s", offset, fmt.Sprintf(format, args...))}
}
