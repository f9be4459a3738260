// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package ingest holds what the way in decides without touching the world: what
// an [Envelope] on the stream looks like, whether a sender proved itself
// ([Verifier]), whether a body can be decoded within bounds ([CheckJSON]), and in
// which [Window] a repeat falls.
//
// Its children are the way itself, in order: gateway takes a payload by HTTP,
// stream keeps it on disk, intake makes Signals and Cases of it. What they say to
// each other is here too: [Delivery], [DeadLetter], [ErrFull], [Refusal].
package ingest
