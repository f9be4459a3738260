// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/config/library"
	"github.com/casebook-dev/casebook/internal/report"
	"github.com/casebook-dev/casebook/internal/simulate"
)

// testSuffix ends the name of a file of tests.
const testSuffix = ".test.yaml"

func newTest(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "test DIR|FILE...",
		Short: "Run the tests beside what people write, without a cluster",
		Long: "Run every *" + testSuffix + " file of the folders, or the files that are named: tests of Playbooks, Mappings, Guardrails and " +
			"Connectors, against the objects in the YAML files beside them and the built-in mappings. The operator's own code runs; lookups, targets and people answer as the tests say, and the clock " +
			"jumps to whatever is due.\n\nExit code 0 when all tests pass, 1 when one fails, 2 when a file cannot be read.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef("cannot run %s: DIR|FILE is missing", cmd.CommandPath()).so("Write: %s", cmd.UseLine())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := testFiles(args)
			if err != nil {
				return err
			}
			suites, err := readSuites(files)
			if err != nil {
				return err
			}
			passed, failed := 0, 0
			for _, s := range suites {
				for _, result := range s.suite.Run(cmd.Context(), s.catalog, opener(s.suite.File)) {
					if result.Passed() {
						passed++
					} else {
						failed++
					}
					if err := o.write(testLines(result, max(o.screen().Width, report.DefaultWidth))); err != nil {
						return err
					}
				}
			}
			if failed > 0 {
				return refusedf("%d of %d tests failed", failed, passed+failed)
			}
			if passed == 1 {
				return o.write("1 test passed\n")
			}
			return o.write(fmt.Sprintf("%d tests passed\n", passed))
		},
	}
}

// traceKind is the width of the column that says what a line of a trace is about.
const traceKind = 8

// testLines shows a result: what was tested, and below it why it failed and what happened.
func testLines(r simulate.Result, width int) string {
	if r.Passed() {
		return hanging("✓ ", r.Subject+": "+r.Name, width)
	}
	out := hanging("✗ ", r.Subject+": "+r.Name, width) + hanging("  ", r.File, width)
	for _, failure := range r.Failures {
		out += hanging("  - ", failure, width)
	}
	for _, line := range r.Trace {
		kind, rest := "", line
		if len(line) > traceKind {
			kind, rest = line[:traceKind], line[traceKind:] // what it is about, in a column of its own
		}
		out += hanging("    "+kind, rest, width)
	}
	return out
}

// hanging folds a text behind a beginning. What the text says is foreign, and drives no terminal.
func hanging(beginning, text string, width int) string {
	indent := utf8.RuneCountInString(beginning)
	folded := report.Fold(report.Escape(text), width-indent)
	return beginning + strings.ReplaceAll(folded, "\n", "\n"+strings.Repeat(" ", indent)) + "\n"
}

// testFiles are the files of tests that the arguments name, each once, in order.
func testFiles(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, usagef("cannot read the tests of %s: %w", arg, err)
		}
		found := []string{arg}
		if info.IsDir() {
			found = nil
			err = filepath.WalkDir(arg, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && !entry.IsDir() && strings.HasSuffix(path, testSuffix) {
					found = append(found, path)
				}
				return err
			})
			if err != nil {
				return nil, usagef("cannot read the tests of %s: %w", arg, err)
			}
			if len(found) == 0 {
				return nil, usagef("cannot run the tests of %s: there is no file *%s in it", arg, testSuffix)
			}
		}
		for _, file := range found {
			if !slices.Contains(out, file) {
				out = append(out, file)
			}
		}
	}
	return out, nil
}

// suiteOf is a suite and the objects beside it.
type suiteOf struct {
	suite   *simulate.Suite
	catalog *simulate.Catalog
}

// readSuites reads all files before any test runs, so that one that cannot be read is said first.
func readSuites(files []string) ([]suiteOf, error) {
	catalogs := map[string]*simulate.Catalog{}
	var out []suiteOf
	for _, file := range files {
		raw, err := os.ReadFile(file) //nolint:gosec // the file that the person names
		if err != nil {
			return nil, usagef("cannot read the tests of %s: %w", file, err)
		}
		suites, err := simulate.Parse(file, raw)
		if err != nil {
			return nil, usagef("%w", err)
		}
		dir := filepath.Dir(file)
		if catalogs[dir] == nil {
			if catalogs[dir], err = readCatalog(dir); err != nil {
				return nil, err
			}
		}
		for _, s := range suites {
			out = append(out, suiteOf{s, catalogs[dir]})
		}
	}
	return out, nil
}

// opener reads files beside a file of tests.
func opener(file string) simulate.Open {
	return func(name string) ([]byte, error) {
		if name == "" {
			return nil, errors.New("no file is named for the payload")
		}
		raw, err := os.ReadFile(filepath.Join(filepath.Dir(file), name)) //nolint:gosec // a file that the test names
		if err != nil {
			return nil, fmt.Errorf("could not read the payload %s: %w", name, err)
		}
		return raw, nil
	}
}

// readCatalog reads the objects of Casebook in the YAML files of a folder, beside the built-in mappings.
func readCatalog(dir string) (*simulate.Catalog, error) {
	builtin, err := library.Mappings()
	if err != nil {
		return nil, err
	}
	out := &simulate.Catalog{Mappings: builtin, Open: openTool}
	files, err := filepath.Glob(filepath.Join(dir, "*.yaml"))
	if err != nil {
		return nil, usagef("cannot list the files of %s: %w", dir, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, testSuffix) {
			continue
		}
		raw, err := os.ReadFile(file) //nolint:gosec // a file of the folder that the person names
		if err != nil {
			return nil, usagef("cannot read %s: %w", file, err)
		}
		if err := addObjects(out, raw); err != nil {
			return nil, usagef("cannot read %s: %w", file, err)
		}
	}
	return out, nil
}

// addObjects adds what a file holds of Casebook's configuration; what else is in it is passed over.
func addObjects(to *simulate.Catalog, raw []byte) error {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var head struct {
			APIVersion string `json:"apiVersion"`
			Kind       string `json:"kind"`
		}
		if err := yaml.Unmarshal(document, &head); err != nil {
			return err
		}
		if head.APIVersion != v1alpha1.SchemeGroupVersion.String() {
			continue
		}
		if err := addObject(to, head.Kind, document); err != nil {
			return fmt.Errorf("%s: %w", head.Kind, err)
		}
	}
}

func addObject(to *simulate.Catalog, kind string, document []byte) error {
	switch kind {
	case "Source":
		return add(&to.Sources, document)
	case "Mapping":
		return add(&to.Mappings, document)
	case "CaseType":
		return add(&to.CaseTypes, document)
	case "Playbook":
		return add(&to.Playbooks, document)
	case "Guardrail":
		return add(&to.Guardrails, document)
	case "Connector":
		return add(&to.Connectors, document)
	default:
		return nil // nothing that a test reads
	}
}

func add[T any](to *[]*T, document []byte) error {
	object := new(T)
	if err := yaml.UnmarshalStrict(document, object); err != nil {
		return err
	}
	*to = append(*to, object)
	return nil
}
