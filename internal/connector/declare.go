// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"fmt"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// CheckOperations checks that declarations are whole: names and types are set
// and unique, a read promises nothing that only a mutation can, and every
// mutation says how it is taken back or why it cannot be. An error is a mistake
// in a connector's code.
func CheckOperations(operations []Operation) error {
	seen := map[string]bool{}
	for _, o := range operations {
		if o.Name == "" || seen[o.Name] {
			return fmt.Errorf("operation %q: its name is empty or declared twice", o.Name)
		}
		seen[o.Name] = true
		if err := o.checkEffect(operations); err != nil {
			return fmt.Errorf("operation %s: %w", o.Name, err)
		}
		inputs := map[string]bool{}
		for _, input := range o.Inputs {
			if input.Name == "" || input.Type == "" || inputs[input.Name] {
				return fmt.Errorf("operation %s: input %q has no name or type, or is declared twice", o.Name, input.Name)
			}
			inputs[input.Name] = true
		}
	}
	return nil
}

func (o Operation) checkEffect(operations []Operation) error {
	switch o.Effect {
	case v1alpha1.EffectRead:
		if o.Semantics != "" || o.Rollback != "" || o.RollbackTakesOther || o.NotPossible != "" || o.TargetType != "" {
			return fmt.Errorf("a read declares no semantics, rollback or target")
		}
		return nil
	case v1alpha1.EffectReversible:
		if o.Rollback == "" || o.NotPossible != "" {
			return fmt.Errorf("a reversible operation declares its rollback, and nothing as not possible")
		}
	case v1alpha1.EffectIrreversible:
		if o.NotPossible == "" || o.Rollback != "" {
			return fmt.Errorf("an irreversible operation says why it cannot be taken back, and declares no rollback")
		}
	default:
		return fmt.Errorf("effect %q is not one of Read, Reversible, Irreversible", o.Effect)
	}
	if o.TargetType == "" {
		return fmt.Errorf("a mutation declares the type of its target")
	}
	return o.checkRollback(operations)
}

func (o Operation) checkRollback(operations []Operation) error {
	if o.Rollback == "" {
		return nil
	}
	back, err := FindMutation(operations, o.Rollback)
	if err != nil {
		return err
	}
	if back.TargetType != o.TargetType {
		return fmt.Errorf("its rollback %s changes a %s, not a %s", back.Name, back.TargetType, o.TargetType)
	}
	if o.RollbackTakesOther { // which RollbackInput gives, and CheckInput checks
		return nil
	}
	for _, input := range back.Inputs { // a rollback is sent the same input
		own := false
		for _, have := range o.Inputs {
			own = own || have.Name == input.Name && have.Type == input.Type
		}
		if input.Required && !own {
			return fmt.Errorf("its rollback %s needs input %q, which it does not take", back.Name, input.Name)
		}
	}
	return nil
}
