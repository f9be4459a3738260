// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package playbook compiles a Playbook and steps through it: one total, pure function from a run as it stands, the facts
// and the time to the run's next state and the actions it wants. The same function serves the cluster and tests.
package playbook

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

var environment = sync.OnceValue(func() *expr.Env { return expr.MustNew(expr.Playbook) })

// Compiled is a playbook whose expressions compile and whose steps name each other rightly.
type Compiled struct {
	spec  v1alpha1.PlaybookSpec
	steps []step
}

type step struct {
	v1alpha1.Step
	when *expr.Program  // nil: always
	text *expr.Template // the question, note or message; nil for steps without one
	in   *expr.Template // an action's input

	to      []*expr.Template // a notification's addresses
	subject *expr.Template   // a notification's subject
}

// Compile compiles every expression of a playbook. The error names each wrong field by its path, all of them at once.
func Compile(spec v1alpha1.PlaybookSpec) (*Compiled, error) {
	out := &Compiled{spec: spec, steps: make([]step, 0, len(spec.Steps))}
	var wrong []error
	for i := range spec.Steps {
		compiled, err := compileStep(spec.Steps[i])
		if err == nil {
			err = out.checkNames(compiled)
		}
		if err != nil {
			wrong = append(wrong, fmt.Errorf("spec.steps[%d] (%s): %w", i, spec.Steps[i].Name, err))
		}
		out.steps = append(out.steps, compiled)
	}
	return out, errors.Join(wrong...)
}

func compileStep(s v1alpha1.Step) (step, error) {
	out := step{Step: s}
	var err error
	if s.If != "" {
		if out.when, err = environment().CompileBool(s.If); err != nil {
			return out, fmt.Errorf("if: %w", err)
		}
	}
	if field, text := textOf(s); text != "" {
		if out.text, err = environment().CompileText(text); err != nil {
			return out, fmt.Errorf("%s: %w", field, err)
		}
	}
	if s.Notify != nil {
		return out, out.compileNotify(s.Notify)
	}
	if s.Action != nil {
		input, err := decode(s.Action.Input)
		if err != nil {
			return out, fmt.Errorf("action.input: %w", err)
		}
		if out.in, err = environment().CompileValue(input); err != nil {
			return out, fmt.Errorf("action.input: %w", err)
		}
	}
	return out, nil
}

func (s *step) compileNotify(n *v1alpha1.NotifyStep) error {
	var err error
	if s.subject, err = environment().CompileText(n.Subject); err != nil {
		return fmt.Errorf("notify.subject: %w", err)
	}
	for i, to := range n.To {
		address, err := environment().CompileValue(to)
		if err != nil {
			return fmt.Errorf("notify.to[%d]: %w", i, err)
		}
		s.to = append(s.to, address)
	}
	return nil
}

// textOf is the one text of a step that may hold expressions.
func textOf(s v1alpha1.Step) (field, text string) {
	switch {
	case s.Decision != nil:
		return "decision.question", s.Decision.Question
	case s.Close != nil:
		return "close.note", s.Close.Note
	case s.Fail != nil:
		return "fail.message", s.Fail.Message
	case s.Notify != nil:
		return "notify.message", s.Notify.Message
	default:
		return "", ""
	}
}

// checkNames wants every step and input that is read to exist, and steps to come before their readers.
func (c *Compiled) checkNames(s step) error {
	var steps, inputs []string
	if s.when != nil {
		steps, inputs = append(steps, s.when.Names("steps")...), append(inputs, s.when.Names("inputs")...)
	}
	for _, t := range append([]*expr.Template{s.text, s.in, s.subject}, s.to...) {
		if t != nil {
			steps, inputs = append(steps, t.Names("steps")...), append(inputs, t.Names("inputs")...)
		}
	}
	for _, name := range steps {
		if c.find(name) < 0 {
			return fmt.Errorf("steps.%s is read, but no earlier step has that name", name)
		}
	}
	for _, name := range inputs {
		if !slices.ContainsFunc(c.spec.Inputs, func(in v1alpha1.PlaybookInput) bool { return in.Name == name }) {
			return fmt.Errorf("inputs.%s is read, but spec.inputs does not declare it", name)
		}
	}
	if s.Action != nil && s.Action.RollbackOf != "" {
		if i := c.find(s.Action.RollbackOf); i < 0 || c.steps[i].Action == nil || c.steps[i].Action.Operation == "" {
			return fmt.Errorf("action.rollbackOf: %s is not an earlier step that does an operation", s.Action.RollbackOf)
		}
	}
	return nil
}

func (c *Compiled) find(name string) int {
	return slices.IndexFunc(c.steps, func(s step) bool { return s.Name == name })
}

// Operations lists the operations that the playbook names, each once, in order.
func (c *Compiled) Operations() []string {
	var out []string
	for _, s := range c.steps {
		if s.Action != nil && s.Action.Operation != "" && !slices.Contains(out, s.Action.Operation) {
			out = append(out, s.Action.Operation)
		}
	}
	return out
}

// Connectors lists the connectors that the steps use, to act and to notify, each once and sorted.
func (c *Compiled) Connectors() []string {
	var out []string
	for _, operation := range c.Operations() {
		name, _, _ := strings.Cut(operation, "/")
		out = append(out, name)
	}
	out = append(out, c.Notifiers()...)
	slices.Sort(out)
	return slices.Compact(out)
}

// Notifiers lists the connectors that the notify steps use, each once and sorted.
func (c *Compiled) Notifiers() []string {
	var out []string
	for _, s := range c.steps {
		if s.Notify != nil {
			out = append(out, s.Notify.Connector)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func decode(raw *apiextensionsv1.JSON) (any, error) {
	if raw == nil || len(raw.Raw) == 0 {
		return map[string]any{}, nil
	}
	var out any
	if err := json.Unmarshal(raw.Raw, &out); err != nil {
		return nil, err
	}
	return out, nil
}
