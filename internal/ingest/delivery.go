// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package ingest

import (
	"context"
	"errors"
	"time"
)

// ErrFull says that the stream has no room: nothing was kept, and the sender
// should come again later. It never drops what it holds to make room.
var ErrFull = errors.New("the stream is full")

// Consumer names one of the two that must both be done with an envelope before
// the stream lets it go.
type Consumer string

// The consumers of the stream.
const (
	// Intake makes Signals and Cases.
	Intake Consumer = "intake"
	// Archive stores the payload in the evidence bucket.
	Archive Consumer = "archive"
)

// Deliveries gives a consumer its envelopes, oldest first.
type Deliveries interface {
	// Next waits for the next envelope. It errs when ctx ends or the stream closes.
	Next(ctx context.Context) (Delivery, error)
	// Stop ends the subscription; what was delivered and not acknowledged comes again.
	Stop()
}

// Kept says what the stream did with an envelope.
type Kept struct {
	// Sequence is the envelope's number on the stream. Numbers rise, and a stream that
	// was made anew continues above those of the one before.
	Sequence uint64
	// Duplicate is whether it was there already, under the same MessageID.
	Duplicate bool
}

// Delivery is one envelope as a consumer gets it. It comes again until Ack, so
// what is done with it must be safe to repeat; Sequence stays the same.
type Delivery struct {
	Envelope
	// Sequence is the envelope's number on the stream.
	Sequence uint64
	// Attempt counts the deliveries of this envelope to this consumer, from 1.
	Attempt uint64
	// Ack says that the consumer is done with it for good.
	Ack func() error
	// Retry asks for it again after a delay.
	Retry func(after time.Duration) error
}

// DeadLetter is an envelope that was set aside because nothing can be made of
// it, with why. It stays until a person removes or replays it.
type DeadLetter struct {
	Envelope
	// Sequence is its number in the dead-letter stream.
	Sequence uint64
	// Original is its number on the stream it came from.
	Original uint64
	// Reason says what failed.
	Reason string
	// Time is when it was set aside.
	Time time.Time
}
