// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

var environment = sync.OnceValue(func() *expr.Env { return expr.MustNew(expr.Guardrail) })

// Policy is a compiled Guardrail. It is immutable and safe for concurrent use.
type Policy struct {
	// Name is the Guardrail's name.
	Name string

	covers []string
	rules  []rule
}

type rule struct {
	v1alpha1.GuardrailRule

	condition *expr.Program // nil: always
}

// Compile compiles every condition of a Guardrail. The error names each rule that does
// not compile, as spec.rules[2].if with the column, one to a line; its parts are found
// with errors.AsType[*expr.CompileError].
func Compile(g *v1alpha1.Guardrail) (*Policy, error) {
	p := &Policy{Name: g.Name, covers: slices.Clone(g.Spec.Covers)}
	var errs []error
	for i, spec := range g.Spec.Rules {
		r, err := compileRule(*spec.DeepCopy())
		if err != nil {
			errs = append(errs, fmt.Errorf("spec.rules[%d]%w", i, err))
		}
		p.rules = append(p.rules, r)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("could not compile Guardrail %s: %w", g.Name, err)
	}
	return p, nil
}

// compileRule gives errors that continue the path of the rule.
func compileRule(spec v1alpha1.GuardrailRule) (rule, error) {
	answers := 0
	for _, given := range []bool{spec.Allow != "", spec.Ask != nil, spec.Deny != ""} {
		if given {
			answers++
		}
	}
	if answers != 1 {
		return rule{}, fmt.Errorf(": rule %s must have exactly one of allow, ask and deny, it has %d", spec.Name, answers)
	}
	if spec.If == "" {
		return rule{GuardrailRule: spec}, nil
	}
	program, err := environment().CompileBool(spec.If)
	if err != nil {
		return rule{}, fmt.Errorf(".if: %w", err)
	}
	for _, path := range program.Paths() {
		if path == lookupsVar || strings.HasPrefix(path, lookupsVar+".") || strings.HasPrefix(path, lookupsVar+"[") {
			return rule{}, fmt.Errorf(".if: it reads %s, and a Guardrail makes no lookups: "+
				"read what the case was enriched with through its severity, or ask", path)
		}
	}
	return rule{GuardrailRule: spec, condition: program}, nil
}

// Covers tells whether the Guardrail has a say about an operation, given as
// connector/operation.
func (p *Policy) Covers(operation string) bool {
	connector, _, _ := strings.Cut(operation, "/")
	return slices.Contains(p.covers, operation) || slices.Contains(p.covers, connector+"/*")
}
