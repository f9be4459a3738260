// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package policy holds no code: its tests try config/policy, config/rbac and
// config/samples against a real API server.
package policy
