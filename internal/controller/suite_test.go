// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"testing"

	"github.com/casebook-dev/casebook/test/fixture"
)

func TestMain(m *testing.M) { fixture.Main(m) }
