// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// The variables that this package adds to those of the case.
const (
	operationVar = "operation"
	targetVar    = "target"
	inputVar     = "input"
	requesterVar = "requester"
	lookupsVar   = "lookups"
)

// Input is the proposed action.
type Input struct {
	// Operation is the operation, as connector/operation.
	Operation string
	// Vars are the variables of conditions: case and severity (casefile.Vars), target,
	// input and requester. Operation is added. What is absent cannot be decided on.
	Vars map[string]any
}

// InputOf is the input for an action: target (type, name, namespace, uid), input and
// requester (type, name, uid, groups, revision, step) from its spec, beside the
// variables of its case, which casefile.Vars gives. An error means that the action's
// input is not JSON.
func InputOf(caseVars map[string]any, spec v1alpha1.ActionSpec) (Input, error) {
	vars := make(map[string]any, len(caseVars)+4)
	for name, value := range caseVars {
		vars[name] = value
	}
	var err error
	if vars[targetVar], err = plain(spec.Target); err != nil {
		return Input{}, fmt.Errorf("could not read the target of %s: %w", spec.Operation, err)
	}
	if vars[requesterVar], err = plain(spec.Requester); err != nil {
		return Input{}, fmt.Errorf("could not read the requester of %s: %w", spec.Operation, err)
	}
	if vars[inputVar], err = decode(spec.Input.Raw); err != nil {
		return Input{}, fmt.Errorf("could not read the input of %s: it is not JSON: %w", spec.Operation, err)
	}
	return Input{Operation: spec.Operation, Vars: vars}, nil
}

// plain is a value of the API as JSON in Go types.
func plain(value any) (any, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return decode(raw)
}

func decode(raw []byte) (any, error) {
	var out any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	return out, decoder.Decode(&out)
}
