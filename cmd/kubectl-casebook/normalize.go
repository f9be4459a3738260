// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/normalize"
	"github.com/casebook-dev/casebook/internal/report"
)

// normalizeTime bounds the work on one payload: expressions are bounded in steps, not in time.
const normalizeTime = 2 * time.Minute

func newNormalize(o *options) *cobra.Command {
	var mappingFile string
	cmd := &cobra.Command{
		Use:   "normalize [--mapping FILE] FILE|-",
		Short: "Show what signals a payload becomes, without a cluster",
		Long: "Read a payload as a Mapping says and print, as one JSON object, the mapping that was used, what was skipped as no " +
			"finding, and the signals with where each field came from. Without --mapping, the first of the built-in mappings that " +
			"is meant for the payload is used.\n\nExit code 0 also when fields are missing: they are listed as gaps. 2 when the payload cannot be decoded.",
		Args: exactly("FILE|-"),
		RunE: func(cmd *cobra.Command, args []string) error {
			payload, err := o.readInput(args[0])
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), normalizeTime)
			defer cancel()
			mapping, err := chooseMapping(ctx, mappingFile, args[0], payload)
			if err != nil {
				return err
			}
			result, err := mapping.Signals(ctx, payload, o.now())
			if err != nil {
				return undecodable(args[0], err)
			}
			raw, err := report.Encode(report.FormatJSON, result)
			if err != nil {
				return err
			}
			return o.write(string(raw))
		},
	}
	cmd.Flags().StringVar(&mappingFile, "mapping", "", "file or folder with the Mapping to use")
	return cmd
}

// undecodable says where a payload cannot be read.
func undecodable(name string, err error) error {
	if wrong, ok := errors.AsType[*normalize.DecodeError](err); ok {
		return usagef("cannot normalize %s: it cannot be decoded at byte %d, in %s: %s", name, wrong.Offset, wrong.Path, wrong.Reason).
			so("Give the payload exactly as the tool sends it: JSON, or one JSON document on each line for a mapping with decode: NDJSON.")
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return timeoutf("cannot normalize %s within %s", name, normalizeTime)
	}
	return refusedf("cannot normalize %s: %w", name, err)
}

// chooseMapping compiles the mapping that is named, or finds the built-in one that is meant for the payload.
func chooseMapping(ctx context.Context, file, name string, payload []byte) (*normalize.Mapping, error) {
	if file != "" {
		return readMapping(file)
	}
	mappings, err := builtinMappings()
	if err != nil {
		return nil, err
	}
	found, err := normalize.Find(ctx, mappings, payload)
	if err != nil {
		return nil, undecodable(name, err)
	}
	if found == nil {
		products := make([]string, len(mappings))
		for i, mapping := range mappings {
			products[i] = mapping.Product()
		}
		return nil, usagef("cannot normalize %s: none of the built-in mappings is meant for it", name).
			so("Name one with --mapping FILE. Built in: %s", strings.Join(products, ", "))
	}
	return found, nil
}

// mappingName is the file of a library folder that holds the Mapping.
const mappingName = "mapping.yaml"

func readMapping(path string) (*normalize.Mapping, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, mappingName)
	}
	raw, err := os.ReadFile(path) //nolint:gosec // the file that the person names
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("cannot read the mapping %s: there is no such file", path).so("Name a file with a Mapping, or a folder with %s.", mappingName)
	}
	if err != nil {
		return nil, usagef("cannot read the mapping %s: %w", path, err)
	}
	return compileMapping(path, raw)
}

// compileMapping compiles the one Mapping among the documents of a manifest.
func compileMapping(path string, raw []byte) (*normalize.Mapping, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	var found *v1alpha1.Mapping
	for {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, usagef("cannot read the mapping %s: %w", path, err)
		}
		mapping, err := parseMapping(document)
		switch {
		case err != nil:
			return nil, usagef("cannot read the mapping %s: %w", path, err)
		case mapping != nil && found != nil:
			return nil, usagef("cannot read the mapping %s: it holds more than one", path).so("Keep one Mapping in a file.")
		case mapping != nil:
			found = mapping
		}
	}
	if found == nil {
		return nil, usagef("cannot read the mapping %s: no document of it is of kind Mapping", path)
	}
	compiled, err := normalize.Compile(found)
	if err != nil {
		lines := strings.Split(err.Error(), "\n")
		failure := usagef("cannot compile the mapping %s: %s", path, lines[0])
		failure.remedy = lines[1:]
		return nil, failure
	}
	return compiled, nil
}

// parseMapping reads one document strictly; nil if it is of another kind.
func parseMapping(document []byte) (*v1alpha1.Mapping, error) {
	var kind struct {
		Kind string `json:"kind"`
	}
	if err := yaml.Unmarshal(document, &kind); err != nil {
		return nil, err
	}
	if kind.Kind != "Mapping" {
		return nil, nil
	}
	mapping := &v1alpha1.Mapping{}
	if err := yaml.UnmarshalStrict(document, mapping); err != nil {
		return nil, err
	}
	return mapping, nil
}
