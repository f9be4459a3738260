// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package guard says whether a mutating operation may run unattended, must be approved
// by people, or must not run.
//
// A Guardrail is a list of rules, each of which answers or keeps silent. [Evaluate]
// takes the strictest answer in the tenant's namespace and the strictest in the
// operator's, and then the stricter of those two; where neither answers, it asks.
// Unknown is not false: an allow rule that cannot be decided does not allow, an ask
// rule asks, and a deny rule denies unattended running, which is to ask.
//
// Adding a rule or a Guardrail never makes a verdict more lenient, except that the
// first rule that answers takes the place of the question that silence asks.
//
// The package is pure: it reads no clock, and evaluates conditions only as long as the
// context it is given lasts, so callers give that a deadline.
package guard
