// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/expr"
)

// value compiles JSON whose strings may hold expressions.
func (c *compiler) value(field string, raw []byte, o *operation, names []string) *expr.Template {
	value, err := decodeJSON(raw)
	if err != nil {
		c.fail(field, err)
		return nil
	}
	template, err := environment().CompileValue(value)
	if err != nil {
		if place, ok := errors.AsType[*expr.TemplateError](err); ok && place.Path != "" {
			field, err = field+"."+place.Path, place.Err
		}
		c.fail(field, err)
		return nil
	}
	c.scope(field, template.References(), template.Names("input"), o, names)
	return template
}

// call compiles a read that an operation makes; nil if there is none or it is wrong.
func (c *compiler) call(at string, spec *v1alpha1.OperationRead, o *operation) *call {
	if spec == nil {
		return nil
	}
	read, ok := c.out.byName[spec.Operation]
	if !ok || read.declared.Effect != v1alpha1.EffectRead {
		c.fail(at+".operation", fmt.Errorf("%q is not an operation of this connector whose effect is Read", spec.Operation))
		return nil
	}
	input := c.inputOf(at+".input", spec.Input, read.declared, o, ofRead)
	if input == nil {
		return nil
	}
	return &call{operation: read, input: input}
}

// inputOf compiles the input of another operation, and checks it as far as it is known by now.
func (c *compiler) inputOf(field string, input *apiextensionsv1.JSON, taker connector.Operation, o *operation, names []string) *expr.Template {
	raw := []byte("{}")
	if input != nil {
		raw = input.Raw
	}
	template := c.value(field, raw, o, names)
	if template == nil {
		return nil
	}
	written, err := decodeJSON(raw)
	object, ok := written.(map[string]any)
	if err != nil || !ok {
		c.fail(field, fmt.Errorf("it is not an object: write the inputs of %s by name", taker.Name))
		return nil
	}
	c.knows(field, slices.Sorted(maps.Keys(object)), taker)
	for _, declared := range taker.Inputs {
		if _, given := object[declared.Name]; declared.Required && !given {
			c.fail(field, fmt.Errorf("%s needs input %q", taker.Name, declared.Name))
		}
	}
	if len(template.References()) == 0 { // nothing of it depends on anything
		rendered, err := renderInput(context.Background(), template, nil)
		if err == nil {
			err = taker.CheckInput(rendered)
		}
		if err != nil {
			c.fail(field, err)
		}
	}
	return template
}

// rollback compiles how a mutation is taken back.
func (c *compiler) rollback(at string, operation v1alpha1.ConnectorOperation, o *operation) {
	spec := operation.Rollback
	if spec == nil || spec.Operation == "" {
		return
	}
	back, ok := c.out.byName[spec.Operation]
	if !ok || back.declared.Effect == v1alpha1.EffectRead {
		c.fail(at+".operation", fmt.Errorf("%q is not an operation of this connector that changes something", spec.Operation))
		return
	}
	o.rollback.operation = spec.Operation
	if spec.Input != nil {
		o.rollback.input = c.inputOf(at+".input", spec.Input, back.declared, o, ofInput)
	}
	o.rollback.onlyIf = c.condition(at+".onlyIf", spec.OnlyIf, o, ofRollback)
	if o.rollback.onlyIf != nil && o.looks() == nil && readsVariable(o.rollback.onlyIf, "current") {
		c.fail(at+".onlyIf", errors.New("it reads current, but nothing is read: declare verify or before"))
	}
	if spec.Input != nil {
		c.comparable(at, o, back.declared)
	}
}

// comparable checks that what judges a rollback needs no other input than the rollback has: where a rollback takes
// another input than the operation, that is the one there is.
func (c *compiler) comparable(at string, o *operation, back connector.Operation) {
	var needs []string
	if looks := o.looks(); looks != nil {
		needs = append(needs, looks.input.Names("input")...)
	}
	if judge := o.rollback.judge(o); judge != nil {
		needs = append(needs, judge.Names("input")...)
	}
	for _, name := range needs {
		if !slices.ContainsFunc(back.Inputs, func(i connector.Input) bool { return i.Name == name }) {
			c.fail(at+".input", fmt.Errorf("whether %s is still as it was left is read with input %q, which its rollback %s does not take: "+
				"let that take it too", o.declared.Name, name, back.Name))
			return
		}
	}
}

func readsVariable(program *expr.Program, variable string) bool {
	return slices.ContainsFunc(program.Paths(), func(path string) bool { return rootOf(path) == variable })
}

// probe is the read of spec.probe, with its input.
func (c *compiled) probe(spec *v1alpha1.ConnectorProbe) (*operation, map[string]any, error) {
	read, ok := c.byName[spec.Operation]
	if !ok || read.declared.Effect != v1alpha1.EffectRead {
		return nil, nil, fmt.Errorf("spec.probe.operation: %q is not an operation of this connector whose effect is Read", spec.Operation)
	}
	input := map[string]any{}
	if spec.Input != nil {
		value, err := decodeJSON(spec.Input.Raw)
		object, isObject := plainJSON(value).(map[string]any)
		if err != nil || !isObject {
			return nil, nil, fmt.Errorf("spec.probe.input: it is not an object: write the inputs of %s by name", spec.Operation)
		}
		input = object
	}
	if err := read.declared.CheckInput(input); err != nil {
		return nil, nil, fmt.Errorf("spec.probe.input: %w", err)
	}
	return read, input, nil
}

// decodeJSON decodes one JSON document and nothing after it, with its numbers as they are written.
func decodeJSON(raw []byte) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("it is no JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("it is no JSON: there is more after its end")
	}
	return value, nil
}

// plainJSON gives numbers the Go types that inputs have.
func plainJSON(value any) any {
	switch v := value.(type) {
	case json.Number:
		if whole, err := v.Int64(); err == nil {
			return whole
		}
		if number, err := v.Float64(); err == nil {
			return number
		}
		return v.String()
	case []any:
		for i := range v {
			v[i] = plainJSON(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = plainJSON(v[key])
		}
	}
	return value
}
