// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package scenario

import "syscall"

// dieWithParent has no way to do so here: tests that are killed leave an operator that ends when its API server is gone.
func dieWithParent() *syscall.SysProcAttr { return nil }
