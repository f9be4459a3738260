// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

// The figures that have a bound, in the order they are printed. Nothing else decides whether `make bench` fails.
//
// Times depend on the machine: their bounds are for two cores that have little else to do. Counts and ratios do not.
var bounds = []bound{
	{figurePlaneReady, "s", 6, "median of three starts from the prepared copy, until the first object can be written"},
	{figureIdleMemory, "MB", 60, "resident memory of bin/casebook with the sample tenant, both roles in one process"},
	{figureIdleWrites, "", 0, "API writes in 20 s with nothing to do, leases aside"},
	{figureCreates, "", 4, "creates of our kinds per automated case with one action, before archival"},
	{figureStatusWrites, "", 6, "status writes of our kinds per such case"},
	{figureOtherWrites, "", 0, "any other write of our records per such case"},
	{figureEvents, "", 2, "Events per such case, updates of them included"},
	// Five writes and the reads before an action lie on this way one after the other, then two writes at the target: more
	// than the ten times that the first byte at a target may take. What else runs on the machine counts several times.
	{figureAcknowledged, "×", 15, "median from an alert answered as kept to the action acknowledged, over a bare create and status write"},
	{figureVerify, "ms", 100, "verifying the bundle of a case of 200 entries, median"},
	{figureDemo, "s", 30, "make demo, prepared: from the first byte to verified evidence"},
}

// bound is the most that a figure may be.
type bound struct {
	name  string
	unit  string
	most  float64
	about string
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
	figureVerify       = "verify-200-entries"
	figureDemo         = "demo-to-verified"
)
