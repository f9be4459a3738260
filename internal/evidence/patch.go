// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package evidence

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	jsonpatch "github.com/evanphx/json-patch/v5"
)

// Diff returns a JSON Patch (RFC 6902, operations add, remove and replace) as a string of canonical JSON that makes
// after from before, both JSON objects. The same change always gives the same patch. It is applied before it is
// returned: a difference that does not reproduce after is given up for the replacement of the whole document.
func Diff(before, after []byte) (string, error) {
	var from, to map[string]any
	if err := errors.Join(json.Unmarshal(before, &from), json.Unmarshal(after, &to)); err != nil {
		return "", fmt.Errorf("compare two documents: %w; both must be JSON objects", err)
	}
	if from == nil || to == nil {
		return "", errors.New("compare two documents: one is null; both must be JSON objects")
	}
	want, err := Canonical(after)
	if err != nil {
		return "", err
	}
	for _, ops := range [][]operation{difference([]operation{}, "", from, to), {set("replace", "", to)}} {
		patch, err := encode(ops)
		if err != nil {
			return "", err
		}
		if got, err := Apply(before, string(patch)); err == nil && bytes.Equal(got, want) {
			return string(patch), nil
		}
	}
	return "", errors.New("compare two documents: no patch makes the second from the first")
}

// Apply applies a patch as Diff makes them to a JSON object and returns the result as canonical JSON.
func Apply(doc []byte, patch string) ([]byte, error) {
	result, err := apply(doc, patch)
	if err != nil {
		return nil, err
	}
	return Canonical(result)
}

// apply is Apply without the canonical form, which a chain of patches needs only once.
func apply(doc []byte, patch string) ([]byte, error) {
	ops, err := parsePatch(patch)
	if err != nil {
		return nil, fmt.Errorf("apply a patch: %w", err)
	}
	options := jsonpatch.NewApplyOptions()
	options.SupportNegativeIndices = false
	result, err := ops.ApplyWithOptions(doc, options)
	if err != nil {
		return nil, fmt.Errorf("apply a patch: %w", err)
	}
	return result, nil
}

// parsePatch reads a patch and refuses operations that Diff does not use.
func parsePatch(patch string) (jsonpatch.Patch, error) {
	var ops []operation
	if err := json.Unmarshal([]byte(patch), &ops); err != nil {
		return nil, err
	}
	for i, op := range ops {
		if op.Op != "add" && op.Op != "remove" && op.Op != "replace" {
			return nil, fmt.Errorf("operation %d is %q; only add, remove and replace are used", i, op.Op)
		}
		object := bytes.HasPrefix(bytes.TrimSpace(op.Value), []byte("{"))
		if op.Path == "" && (op.Op != "replace" || !object) || op.Path != "" && op.Path[0] != '/' {
			return nil, fmt.Errorf("operation %d, %s at %q, would leave no object", i, op.Op, op.Path)
		}
		if (op.Value == nil) != (op.Op == "remove") {
			return nil, fmt.Errorf("operation %d, %s at %q, must have a value unless it removes", i, op.Op, op.Path)
		}
	}
	return jsonpatch.DecodePatch([]byte(patch))
}

// operation is one operation of a patch.
type operation struct {
	Op    string          `json:"op"`
	Path  string          `json:"path"`
	Value json.RawMessage `json:"value,omitempty"`
}

func set(op, path string, value any) operation {
	data, err := json.Marshal(value)
	if err != nil {
		panic(err) // value comes from json.Unmarshal, so it can be marshaled
	}
	return operation{Op: op, Path: path, Value: data}
}

// difference appends the operations that make after from before, values as encoding/json decodes them.
func difference(ops []operation, path string, before, after any) []operation {
	switch from := before.(type) {
	case map[string]any:
		if to, ok := after.(map[string]any); ok {
			return objectDifference(ops, path, from, to)
		}
	case []any:
		if to, ok := after.([]any); ok {
			return arrayDifference(ops, path, from, to)
		}
	}
	if reflect.DeepEqual(before, after) {
		return ops
	}
	return append(ops, set("replace", path, after))
}

func objectDifference(ops []operation, path string, from, to map[string]any) []operation {
	for _, name := range slices.Sorted(maps.Keys(from)) {
		at := path + "/" + pointer.Replace(name)
		if value, ok := to[name]; ok {
			ops = difference(ops, at, from[name], value)
		} else {
			ops = append(ops, operation{Op: "remove", Path: at})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(to)) {
		if _, ok := from[name]; !ok {
			ops = append(ops, set("add", path+"/"+pointer.Replace(name), to[name]))
		}
	}
	return ops
}

// arrayDifference leaves the common beginning and end alone: lists mostly grow at one end.
func arrayDifference(ops []operation, path string, from, to []any) []operation {
	start, short := 0, min(len(from), len(to))
	for start < short && reflect.DeepEqual(from[start], to[start]) {
		start++
	}
	end := 0
	for end < short-start && reflect.DeepEqual(from[len(from)-1-end], to[len(to)-1-end]) {
		end++
	}
	at := func(i int) string { return path + "/" + strconv.Itoa(i) }
	middle := short - end
	for i := start; i < middle; i++ {
		ops = difference(ops, at(i), from[i], to[i])
	}
	for i := len(from) - end - 1; i >= middle; i-- {
		ops = append(ops, operation{Op: "remove", Path: at(i)})
	}
	for i := middle; i < len(to)-end; i++ {
		ops = append(ops, set("add", at(i), to[i]))
	}
	return ops
}

// pointer escapes a name for a JSON Pointer (RFC 6901).
var pointer = strings.NewReplacer("~", "~0", "/", "~1")
