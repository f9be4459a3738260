// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package sim drives the controller of Actions, as it is, through simulated time: processes that crash, overlap and see
// the past, an API server that loses answers, a wire that is late, clocks that jump, people who freeze and resolve. One
// thing happens at a time, in an order that a seed decides, so that a run can be had again exactly:
//
//	go test ./test/sim -run TestSeeds -seed 1234 -v
//
// What comes of a run is held against the invariants of test/history.
//
// Tests of behaviour against the API use the real API server, never a fake client: test/crash and test/scenario do. This
// package is the one exception. Its store is a compare-and-set in memory with just the calls that the controller makes,
// because no real server can be stale, slow and cut off at a given point two thousand times a minute.
package sim
