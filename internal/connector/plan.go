// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"cmp"
	"encoding/json"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Planner is as much of a Connector as planning needs: it sends nothing.
type Planner interface {
	Operations() []Operation
	Target(operation string, input map[string]any) (v1alpha1.Target, error)
}

// Plan writes into the spec of an Action all that a connector says of a mutation with this input: operation, input, target,
// effect, semantics, and how it is taken back. The error is Terminal, and leaves the spec half written.
func Plan(spec *v1alpha1.ActionSpec, connectorName string, by Planner, operation string, input map[string]any) error {
	declared, err := FindMutation(by.Operations(), operation)
	if err != nil {
		return err
	}
	if spec.Target, err = by.Target(operation, input); err != nil {
		return err
	}
	raw, err := json.Marshal(input)
	if err != nil {
		return fault.Terminalf(v1alpha1.InvalidSpecReason, "the input of %s cannot be encoded: %w", operation, err)
	}
	spec.Operation, spec.Input = connectorName+"/"+operation, apiextensionsv1.JSON{Raw: raw}
	spec.Effect, spec.Semantics = declared.Effect, declared.EffectiveSemantics()
	spec.Rollback = v1alpha1.RollbackPlan{NotPossible: cmp.Or(declared.NotPossible, "the operation has no rollback")}
	if declared.Rollback != "" {
		spec.Rollback = v1alpha1.RollbackPlan{Operation: connectorName + "/" + declared.Rollback}
	}
	return nil
}

// RollbackInput is the input that takes an operation back which was done with this input: the same, unless the connector is
// a RollbackPlanner, which says.
func RollbackInput(by Planner, operation string, input map[string]any) (map[string]any, error) {
	if planner, ok := by.(RollbackPlanner); ok {
		return planner.RollbackInput(operation, input)
	}
	return input, nil
}
