// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package model searches all that two processes, an API server, a wire, a target and people can do to one action and its
// rollback, and holds each state against the invariants of the action protocol. It does not restate the protocol: every
// decision in it is action.Next and action.Wants, on the status that is stored.
package model
