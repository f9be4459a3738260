// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package mailpit

import "syscall"

// dieWithParent ends the server even if the tests panic or are killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
