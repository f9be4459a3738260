// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !linux

package mailpit

import "syscall"

// dieWithParent has no way to do so here: tests that are killed leave a mail server behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
