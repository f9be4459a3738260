// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

// The figures that have a bound, in the order they are printed. Nothing else decides whether `make bench` fails.
//
// Times depend on the machine: their bounds are for two cores that have little else to do. Counts and ratios do not.
var bounds = []bound{
	{figurePlaneReady, "s", 6, "median of three starts from the prepared copy, until the first object can be written", false},
	{figureIdleMemory, "MB", 60, "resident memory of bin/casebook with the sample tenant, both roles in one process", false},
	{figureIdleWrites, "", 0, "API writes in 20 s with nothing to do, leases aside", false},
	{figureCreates, "", 4, "creates of our kinds per automated case with one action, before archival", false},
	{figureStatusWrites, "", 6, "status writes of our kinds per such case", false},
	{figureOtherWrites, "", 0, "any other write of our records per such case", false},
	{figureEvents, "", 2, "Events per such case, updates of them included", false},
	// Five writes and the reads before an action lie on this way one after the other, then two writes at the target: more
	// than the ten times that the first byte at a target may take. What else runs on the machine counts several times.
	{figureAcknowledged, "×", 15, "median from an alert answered as kept to the action acknowledged, over a bare create and status write", false},
	{figureFirstByte, "×", 10, "median from an alert answered as kept to the first byte at a target over HTTP, at 2 signals/s, over a bare create and status write", false},
	{figureSustained, "×", 0.5, "API writes of a burst of cases with a verified action per second, weighted by what they cost, over bare writes of such records from as many workers", true},
	{figureVerify, "ms", 100, "verifying the bundle of a case of 200 entries, median", false},
	{figureDemo, "s", 30, "make demo, prepared: from the first byte to verified evidence", false},
}

// bound is the most that a figure may be, or, where atLeast is set, the least.
type bound struct {
	name    string
	unit    string
	limit   float64
	about   string
	atLeast bool
}

// The figures.
const (
	figurePlaneReady   = "control-plane-ready"
	figureIdleMemory   = "idle-memory"
	figureIdleWrites   = "idle-writes"
	figureCreates      = "creates-per-case"
	figureStatusWrites = "status-writes-per-case"
	figureOtherWrites  = "other-writes-per-case"
	figureEvents       = "events-per-case"
	figureAcknowledged = "kept-to-acknowledged"
	figureFirstByte    = "kept-to-first-byte"
	figureSustained    = "sustained-writes"
	figureVerify       = "verify-200-entries"
	figureDemo         = "demo-to-verified"
)
