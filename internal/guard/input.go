// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
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
	// input and requester. Operation and lookups are added. What is absent cannot be
	// decided on.
	Vars map[string]any
	// Facts are what was read for the Guardrails. What is absent is on the safe side.
	Facts Facts
}

// Facts are what was read before the rules are asked. The zero Facts know nothing: no
// lookup answers, and where there is a budget or a breaker, people are asked.
type Facts struct {
	// Now is the time for which budgets are counted.
	Now time.Time
	// Self is the uid of the action; empty for a forecast. An action that has begun uses
	// up no budget a second time.
	Self string
	// History is what ran in the action's namespace; nil if that was not read.
	History *History

	lookups map[key]any
	failed  map[key]bool
}

// key names a lookup: those of two Guardrails are apart, even by the same name.
type key struct{ namespace, guardrail, lookup string }

// Answer hands over what a lookup of a Guardrail gave, as JSON in Go types, or why it
// gave nothing; then what needs it answers on the safe side.
func (f *Facts) Answer(p *Policy, lookup string, value any, err error) {
	if f.lookups == nil {
		f.lookups, f.failed = map[key]any{}, map[key]bool{}
	}
	of := key{p.Namespace, p.Name, lookup}
	f.failed[of] = err != nil
	if err != nil {
		value = expr.Unavailable{Reason: fmt.Sprintf("lookup %s failed: %v", lookup, err)}
	}
	f.lookups[of] = value
}

// InputOf is the input for an action: target (type, name, namespace, uid), input and
// requester (type, name, uid, groups, revision, step) from its spec, beside the
// variables of its case, which casefile.Vars gives. Facts are left to the caller. An
// error means that the action's input is not JSON.
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

// vars are the variables that every Guardrail sees.
func (in Input) vars() map[string]any {
	vars := make(map[string]any, len(in.Vars)+1)
	for name, value := range in.Vars {
		vars[name] = value
	}
	vars[operationVar] = in.Operation
	return vars
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
