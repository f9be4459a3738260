// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

var environment = sync.OnceValue(func() *expr.Env { return expr.MustNew(expr.Guardrail) })

// The bounds of a budget's time.
const (
	minWindow = time.Minute
	maxWindow = 24 * time.Hour
)

// Policy is a compiled Guardrail. It is immutable and safe for concurrent use.
type Policy struct {
	// Namespace and Name are the Guardrail's.
	Namespace, Name string

	covers   []string
	lookups  []lookup
	rules    []rule
	budgets  []v1alpha1.Budget
	breaker  *v1alpha1.Breaker
	baseline v1alpha1.Baseline
}

type rule struct {
	v1alpha1.GuardrailRule

	condition *expr.Program // nil: always
}

// Compile compiles a Guardrail. The error names each part that is wrong, as
// spec.rules[2].if with the column, one to a line; those of expressions are found with
// errors.AsType[*expr.CompileError].
func Compile(g *v1alpha1.Guardrail) (*Policy, error) {
	spec := g.Spec.DeepCopy()
	p := &Policy{
		Namespace: g.Namespace, Name: g.Name, covers: spec.Covers, budgets: spec.Budgets, breaker: spec.Breaker, baseline: spec.Baseline,
	}
	var errs []error
	for i, declared := range spec.Lookups {
		l, err := compileLookup(declared)
		if err != nil {
			errs = append(errs, fmt.Errorf("spec.lookups[%d].input%w", i, err))
		}
		p.lookups = append(p.lookups, l)
	}
	for i, given := range spec.Rules {
		r, err := p.compileRule(given)
		if err != nil {
			errs = append(errs, fmt.Errorf("spec.rules[%d]%w", i, err))
		}
		p.rules = append(p.rules, r)
	}
	for i, b := range spec.Budgets {
		if err := p.checkBudget(b); err != nil {
			errs = append(errs, fmt.Errorf("spec.budgets[%d]%w", i, err))
		}
	}
	if b := spec.Breaker; b != nil && (b.WrongPercent == nil || b.OutOf < 1) {
		errs = append(errs, errors.New("spec.breaker: it must have wrongPercent, and outOf of at least 1"))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("could not compile Guardrail %s: %w", g.Name, err)
	}
	return p, nil
}

// Broken stands for a Guardrail that Compile refused, with what it said: it covers the
// same, and asks. A typo must not let anything through.
func Broken(g *v1alpha1.Guardrail, err error) *Policy {
	return &Policy{Namespace: g.Namespace, Name: g.Name, covers: slices.Clone(g.Spec.Covers), rules: []rule{{
		GuardrailRule: v1alpha1.GuardrailRule{Name: "does-not-compile", Ask: &v1alpha1.Ask{
			Because: cut(fmt.Sprintf("guardrail %s does not compile, so its rules cannot answer; correct it: %v", g.Name, err), maxAskBecause),
		}},
	}}}
}

// compileRule gives errors that continue the path of the rule.
func (p *Policy) compileRule(spec v1alpha1.GuardrailRule) (rule, error) {
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
	if err := p.checkReads(program.Paths()); err != nil {
		return rule{}, fmt.Errorf(".if: %w", err)
	}
	return rule{GuardrailRule: spec, condition: program}, nil
}

// checkBudget holds what the schema asks for, for objects that an older schema let in,
// and that a budget counts no operation on which the Guardrail is never heard.
func (p *Policy) checkBudget(b v1alpha1.Budget) error {
	switch {
	case b.Max == nil || *b.Max < 0:
		return fmt.Errorf(".max: budget %s must have a max of at least 0", b.Name)
	case b.Per.Duration < minWindow || b.Per.Duration > maxWindow:
		return fmt.Errorf(".per: budget %s must have a time between 1m and 24h, it has %s", b.Name, b.Per.Duration)
	}
	for i, operation := range b.Operations {
		if !p.Covers(operation) {
			return fmt.Errorf(".operations[%d]: budget %s counts %s, which is not among what the Guardrail covers (%s)",
				i, b.Name, operation, strings.Join(p.covers, ", "))
		}
	}
	return nil
}

// Covers tells whether the Guardrail has a say about an operation, given as
// connector/operation.
func (p *Policy) Covers(operation string) bool { return matches(p.covers, operation) }

// matches tells whether an operation is among those of a list, which may hold
// connector/* for all of a connector.
func matches(list []string, operation string) bool {
	connector, _, _ := strings.Cut(operation, "/")
	return slices.Contains(list, operation) || slices.Contains(list, connector+"/*")
}
