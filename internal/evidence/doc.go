// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package evidence is the form of the evidence and all that can be said about it without Casebook: entries and their
// canonical bytes, the Merkle log and its checkpoints, replay, and the verification of a case bundle.
//
// An entry is one change of one record, as one document of canonical JSON (RFC 8785). The first entry of a record
// (sequence 0) holds the record as it was created; every later one holds the change of its status as a JSON Patch
// (RFC 6902). So the entries of a record, replayed, are the record. All entries of a case are chained by hash in the
// order in which they were sealed (caseSequence, previous), so that no entry and no whole record can be left out.
//
// The log is a Merkle tree (RFC 6962) whose leaves are not the entries but commitments to them: the SHA-256 of the
// canonical bytes, which a random salt in the entry keeps from being guessed. The entries of a case can therefore be
// disposed of while the log still verifies. Tiles follow C2SP tlog-tiles, checkpoints C2SP tlog-checkpoint and
// signed-note.
//
// Numbers are what RFC 8785 says they are, IEEE 754 doubles: an integer beyond 2^53 is rounded. Records hold such
// numbers as strings; raw payloads are kept as the bytes they came as.
//
// The package is pure and knows neither Kubernetes nor the API types, for evidence outlives both.
package evidence
