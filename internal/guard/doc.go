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
// Beside its rules three things of a Guardrail withdraw unattended running, which is to
// ask where nothing denies: its silence, if it is the operator's and has a baseline; a
// budget that is used up (see [Ledger]); and a breaker, when too much of what ran turned
// out wrong. A freeze is no verdict: it stops everything (see [Frozen]).
//
// Adding a rule or a Guardrail never makes a verdict more lenient, except that the
// first rule that answers takes the place of the question that silence asks, be it that
// of all or of a baseline, and the first rule that asks sets the terms of a question that
// until then only a baseline, a budget or a breaker asked.
//
// The package is pure: it reads no clock and no lookup, and evaluates conditions only as
// long as the context it is given lasts, so callers give that a deadline. What was read
// is in [Facts]; what is absent there is on the safe side.
package guard
