// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package library_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/casebook-dev/casebook/config/library"
	"github.com/casebook-dev/casebook/internal/simulate"
)

// TestSamples runs the tests in <product>/samples.yaml, which are as those in *.test.yaml are: they say what other
// people's payloads of the tool become. Payloads are named relative to the folder of the samples.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("*/samples.yaml")
	if err != nil {
		t.Fatal(err)
	}
	mappings, err := library.Mappings()
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		suites, err := simulate.Parse(file, raw)
		if err != nil {
			t.Fatal(err)
		}
		for _, suite := range suites {
			results := suite.Run(t.Context(), &simulate.Catalog{Mappings: mappings}, func(name string) ([]byte, error) {
				return os.ReadFile(filepath.Join(samples, name))
			})
			for _, result := range results {
				t.Run(suite.Name+"/"+result.Name, func(t *testing.T) {
					if _, err := os.Stat(samples); errors.Is(err, fs.ErrNotExist) {
						t.Skipf("%s is absent", samples)
					}
					if !result.Passed() {
						t.Errorf("%s\n%s", strings.Join(result.Failures, "\n"), strings.Join(result.Trace, "\n"))
					}
				})
			}
		}
	}
}
