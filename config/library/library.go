// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package library carries the Mappings for the tools that people run, one folder
// for each product, so that a binary can use them without a cluster.
package library

import (
	"embed"
	"fmt"
	"io/fs"
	"path"

	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// FS holds <product>/mapping.yaml for each product.
//
//go:embed */mapping.yaml
var FS embed.FS

// Mappings reads every Mapping of the library, in the order of the products'
// folders. An error means that the library itself is broken.
func Mappings() ([]*v1alpha1.Mapping, error) {
	names, err := fs.Glob(FS, "*/mapping.yaml")
	if err != nil {
		return nil, fmt.Errorf("could not list the library: %w", err)
	}
	mappings := make([]*v1alpha1.Mapping, 0, len(names))
	for _, name := range names {
		content, err := FS.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("could not read the library's Mapping %s: %w", path.Dir(name), err)
		}
		mapping := &v1alpha1.Mapping{}
		if err := yaml.UnmarshalStrict(content, mapping); err != nil {
			return nil, fmt.Errorf("could not read the library's Mapping %s: %w", path.Dir(name), err)
		}
		mappings = append(mappings, mapping)
	}
	return mappings, nil
}
