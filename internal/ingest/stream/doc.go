// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package stream keeps payloads on disk between the gateway and the controllers:
// NATS JetStream, embedded with file storage or an external cluster by URL.
//
// What [Stream.Publish] has answered is on stable storage: the embedded server
// syncs every write. The stream INTAKE holds an envelope until both consumers,
// [ingest.Intake] and [ingest.Archive], have acknowledged it; they exist before
// the first publish. A full stream refuses what is new and drops nothing. What
// nothing can be made of goes to INTAKE_DEAD with the reason, until a person
// replays or removes it.
//
// The embedded server has no listening port and one owner: the storage directory
// is locked.
package stream
