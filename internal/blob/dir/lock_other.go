// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package dir

import (
	"errors"
	"os"
)

// tryLock refuses: without flock two processes could both win a compare-and-set. A bucket can still be read here.
func tryLock(*os.File) (bool, error) {
	return false, errors.ErrUnsupported
}
