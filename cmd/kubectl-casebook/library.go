// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"github.com/casebook-dev/casebook/config/library"
	"github.com/casebook-dev/casebook/internal/normalize"
)

// builtinMappings compiles the mappings of the library, in the order of their names.
func builtinMappings() ([]*normalize.Mapping, error) {
	objects, err := library.Mappings()
	if err != nil {
		return nil, refusedf("cannot choose a mapping: %w", err).so("This build is broken; name a mapping with --mapping FILE.")
	}
	mappings := make([]*normalize.Mapping, len(objects))
	for i, object := range objects {
		if mappings[i], err = normalize.Compile(object); err != nil {
			return nil, refusedf("cannot choose a mapping: the built-in %s: %w", object.Name, err).
				so("This build is broken; name a mapping with --mapping FILE.")
		}
	}
	return mappings, nil
}
