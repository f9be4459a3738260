// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package docs holds no code: its tests hold the pages of the repository to what
// they speak of. Every example is one that a real API server takes, every table of
// fields is what the schema says, and every link, condition, reason and test that a
// page names exists.
package docs
