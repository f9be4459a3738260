// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package enrich decides which lookups a case needs ([Plan]) and how their answers
// become the case's enrichment records ([Merge]). Who plans makes the lookups, merges
// the answers and plans again until nothing is wanted: one answer may give another
// lookup its input only through the case, so that is once, or once more when the case
// gains an entity.
//
// The package is pure: it makes no lookup and reads no clock.
package enrich
