// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"context"
	"fmt"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// Enrichment is one lookup of a type, compiled.
type Enrichment struct {
	// Enrichment is what was compiled; it must not be changed.
	v1alpha1.Enrichment

	forEach *expr.Program
	input   *expr.Template
}

// Items are what the lookup is made for, over the variables that [Vars] gives: the
// elements of forEach, or one nil where the lookup is made once for the case. An error
// means that forEach could not be decided or is not a list.
func (e *Enrichment) Items(ctx context.Context, vars map[string]any) ([]any, error) {
	return itemsOf(ctx, e.forEach, vars)
}

// Input renders what the lookup asks for one of its items.
func (e *Enrichment) Input(ctx context.Context, vars map[string]any, item any) (map[string]any, error) {
	if e.input == nil {
		return map[string]any{}, nil
	}
	value, err := e.input.Render(ctx, withItemVar(vars, item))
	if err != nil {
		return nil, err
	}
	input, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("input must be an object of named values, this is %T", value)
	}
	return input, nil
}

func itemsOf(ctx context.Context, forEach *expr.Program, vars map[string]any) ([]any, error) {
	if forEach == nil {
		return []any{nil}, nil
	}
	value, err := forEach.Eval(ctx, vars)
	if err != nil {
		return nil, err
	}
	items, ok := value.([]any)
	if !ok {
		return nil, fmt.Errorf("%q must give a list, this is %T", forEach.Source(), value)
	}
	return items, nil
}

// withItemVar adds item to variables without changing them.
func withItemVar(vars map[string]any, item any) map[string]any {
	out := make(map[string]any, len(vars)+1)
	for name, value := range vars {
		out[name] = value
	}
	if item != nil {
		out[itemVar] = item
	}
	return out
}
