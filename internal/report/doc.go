// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package report turns records into what people read: the queue, the page of a
// case, its timeline, why it is as it is, and what a decision would do.
//
// A view is a plain value with stable JSON field names: the contract of
// -o json and -o yaml, whose times are UTC. Text gives the same view as a
// screen of text. Everything that came from outside passes through Escape on
// its way to a screen, and Encode writes no raw control or direction character
// either, so that neither form can move a cursor, recolour or reorder what is
// read, or hide a part of it.
//
// The package is pure: it reads no clock (Screen.Now is an argument) and writes
// nowhere.
package report
