// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package normalize turns the payloads of security tools into signals of one
// schema, as a Mapping says: one CEL expression for each field.
//
//	mapping, err := normalize.Compile(object)        // once for each generation
//	result, err := mapping.Signals(ctx, body, received)
//
// # Nothing is lost
//
// A payload that cannot be decoded is a [*DecodeError]; [Generic] makes the signal
// that stands for it. Everything else becomes signals: a part of the payload that is
// missing is a gap, an expression that errs is a gap and a warning, a payload that
// no longer fits its Mapping is read as well as it can be. Only what the Mapping's
// finding condition says is no finding is left out, and that is counted by reason.
//
// # Everything is explained
//
// Each field that was filled names its expression, the first path in the payload
// that the expression reads and that holds a value, and what stood there.
//
// # What is in a signal
//
// Values are the sender's, and are data: control and bidirectional characters stay
// in them, and whoever shows them escapes them. Only titles, which lists show as they
// are, are flattened to one line that nothing turns the direction of. Indicators are refanged and canonical, entities and indicators occur once,
// and everything is cut to the bounds of the schema with a warning that says so.
//
// The package is pure: it reads no clock, starts no goroutine and does no I/O, and
// gives the same result for the same payload, Mapping and time of receipt.
package normalize
