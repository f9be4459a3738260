// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/casebook-dev/casebook/internal/normalize"
)

// builtinMappings compiles the mappings of the library, in the order of their names.
func builtinMappings() ([]*normalize.Mapping, error) {
	return nil, usagef("cannot choose a mapping: this build has no library").so("Name one with --mapping FILE.")
}
