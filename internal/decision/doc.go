// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package decision judges what people decide: whether a Decision counts ([Judge]), and
// what the decisions that count amount to ([Quorum], [Chosen]).
//
// Admission has already stamped the actor and asked for the verdict's own verb. This
// package judges what only the present state tells: that the question still asks what
// the person was shown, that it is not too late, and that nobody approves what they
// asked for themselves or approves twice.
//
// The package is pure: what the API server knows comes in as values, and so does time.
package decision
