// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// lookup is a declared read, compiled.
type lookup struct {
	name, operation string
	input           *expr.Template // nil: it asks for nothing in particular
}

// compileLookup gives errors that continue the path of its input.
func compileLookup(spec v1alpha1.GuardrailLookup) (lookup, error) {
	out := lookup{name: spec.Name, operation: spec.Lookup}
	if spec.Input == nil {
		return out, nil
	}
	value, err := decode(spec.Input.Raw)
	if err != nil {
		return lookup{}, fmt.Errorf(": it is not JSON: %w", err)
	}
	if _, ok := value.(map[string]any); !ok {
		return lookup{}, fmt.Errorf(": it must be an object of named values, this is %T", value)
	}
	if out.input, err = environment().CompileValue(value); err != nil {
		return lookup{}, fmt.Errorf(": %w", err)
	}
	for _, path := range out.input.References() {
		if _, reads := below(path); reads {
			return lookup{}, fmt.Errorf(": it reads %s, and lookups do not read each other: make one lookup that answers both", path)
		}
	}
	return out, nil
}

// below gives the part of a path below the variable lookups; false if the path is not
// of that variable.
func below(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, lookupsVar)
	return rest, ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// checkReads refuses a condition that reads a lookup which is not declared, or one that
// cannot be known before it is evaluated.
func (p *Policy) checkReads(paths []string) error {
	for _, path := range paths {
		rest, reads := below(path)
		if !reads {
			continue
		}
		name, member := strings.CutPrefix(rest, ".")
		if !member {
			return fmt.Errorf("it reads %s; name a lookup, as lookups.<name>; %s", path, p.declared())
		}
		if end := strings.IndexAny(name, ".["); end >= 0 {
			name = name[:end]
		}
		if !slices.ContainsFunc(p.lookups, func(l lookup) bool { return l.name == name }) {
			return fmt.Errorf("it reads lookups.%s, which spec.lookups does not declare; %s", name, p.declared())
		}
	}
	return nil
}

func (p *Policy) declared() string {
	if len(p.lookups) == 0 {
		return "no lookup is declared"
	}
	names := make([]string, len(p.lookups))
	for i, l := range p.lookups {
		names[i] = l.name
	}
	return "declared: " + strings.Join(names, ", ")
}

// Lookup is a read to be made before the rules are asked.
type Lookup struct {
	// Name is what conditions call it: lookups.<name>.
	Name string
	// Operation is the read, as connector/operation, of a Connector in the Guardrail's
	// own namespace.
	Operation string
	// Input is what it asks for.
	Input map[string]any
	// Err says why the read cannot be made: its input cannot be rendered. Then it is
	// unavailable.
	Err error
}

// Lookups are the reads that a Guardrail wants made before [Evaluate] judges a proposed
// action, in the order in which it declares them; none if it does not cover the
// operation. What they answer is handed over by [Facts.Answer].
func (p *Policy) Lookups(ctx context.Context, in Input) []Lookup {
	if !p.Covers(in.Operation) {
		return nil
	}
	vars := in.vars()
	out := make([]Lookup, len(p.lookups))
	for i, l := range p.lookups {
		out[i] = Lookup{Name: l.name, Operation: l.operation}
		out[i].Input, out[i].Err = l.render(ctx, vars)
	}
	return out
}

func (l lookup) render(ctx context.Context, vars map[string]any) (map[string]any, error) {
	if l.input == nil {
		return map[string]any{}, nil
	}
	value, err := l.input.Render(ctx, vars)
	if err != nil {
		return nil, fmt.Errorf("could not render its input: %w", err)
	}
	input, ok := value.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("could not render its input: it must be an object of named values, this is %T", value)
	}
	return input, nil
}

// withLookups adds the answers to the lookups of a policy to variables, without changing
// them. One that was not answered is unavailable.
func (p *Policy) withLookups(vars map[string]any, facts Facts) map[string]any {
	if len(p.lookups) == 0 {
		return vars
	}
	answers := make(map[string]any, len(p.lookups))
	for _, l := range p.lookups {
		answer, answered := facts.lookups[key{p.Namespace, p.Name, l.name}]
		if !answered {
			answer = expr.Unavailable{Reason: fmt.Sprintf("lookup %s was not made", l.name)}
		}
		answers[l.name] = answer
	}
	out := maps.Clone(vars)
	out[lookupsVar] = answers
	return out
}
