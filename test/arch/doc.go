// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package arch holds the rules of the house as tests: who may import whom, what
// a pure package may touch, and how files look. The rules are data in rules.go;
// a change there is a change of the design and should be argued as one.
package arch
