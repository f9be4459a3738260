// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package blobtest_test

import (
	"testing"

	"github.com/casebook-dev/casebook/internal/blob"
	"github.com/casebook-dev/casebook/internal/blob/blobtest"
)

func TestMemory(t *testing.T) {
	blobtest.Run(t, func(*testing.T) blob.Bucket { return &blobtest.Memory{} })
}
