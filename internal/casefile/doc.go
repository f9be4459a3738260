// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package casefile holds the rules of a case: which case a signal opens or joins,
// how severe the case is and why, who works on it, which playbooks start, and where
// it stands after everything that was observed.
//
// [Compile] turns a CaseType into a [Type]; [Match], [Type.Key], [CaseName] and
// [Takes] correlate; [Fold] computes the next status of a case.
//
// The package is pure: the same values give the same answer. It reads no clock, and
// evaluates expressions only as long as the context it is given lasts, so callers
// give that a deadline.
package casefile
