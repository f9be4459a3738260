// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package crash kills the operator, at every write and every send of a story and at random moments, and holds what comes
// after to what comes without: the same final state, each effect once and announced before, and evidence that verifies.
// Where the operator is a process of its own it is killed by SIGKILL, and what its target and the API server saw is held
// against the invariants of test/history.
package crash
