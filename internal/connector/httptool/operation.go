// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"maps"
	"time"

	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/expr"
)

// compiled are the operations of one Connector, ready to run. It is immutable and
// holds nothing of the endpoint, so that connectors with equal operations share it.
type compiled struct {
	declared []connector.Operation
	byName   map[string]*operation
}

// operation is one of spec.operations.
type operation struct {
	declared connector.Operation
	request  request

	// Of a read; nil means its default.
	output *expr.Program
	// Of both; nil means its default.
	succeeded, refused *expr.Program

	// Of a mutation; nil where it is not declared.
	target   *expr.Template
	before   *call
	already  *expr.Program
	verify   *call
	expect   *expr.Program
	rollback rollback
}

// request is one HTTP request, in templates.
type request struct {
	method, contentType  string
	path                 *expr.Template
	query, headers, form []field
	body                 *expr.Template
	keyHeader            string // where the idempotency key is sent; empty: in a template, or nowhere
	usesBefore           bool
}

// field is a header, a parameter of a query or a field of a form.
type field struct {
	name  string
	value *expr.Template
}

// call is a read of the same connector.
type call struct {
	operation *operation
	input     *expr.Template // of an object
}

// rollback is how a mutation is taken back; nil members mean their defaults.
type rollback struct {
	operation string
	input     *expr.Template
	onlyIf    *expr.Program
}

// looks is the read that shows how the target stands after the operation: that of
// verify, or that of before where there is no verify, or nil.
func (o *operation) looks() *call {
	if o.verify != nil {
		return o.verify
	}
	return o.before
}

// judge is the condition by which the target is still as the operation left it; nil if nothing says.
func (r rollback) judge(o *operation) *expr.Program {
	if r.onlyIf != nil {
		return r.onlyIf
	}
	return o.expect
}

// variables are what expressions see of an input that was checked: what may be left
// out is null, and an integer is one whatever decoded it.
func (o *operation) variables(input map[string]any) map[string]any {
	seen := maps.Clone(input)
	if seen == nil {
		seen = map[string]any{}
	}
	for _, declared := range o.declared.Inputs {
		value := seen[declared.Name]
		if number, ok := value.(float64); ok && declared.Type == connector.IntegerInput {
			value = int64(number)
		}
		seen[declared.Name] = value
	}
	return map[string]any{"input": seen}
}

// defaultTimeout is that of spec.timeout.
const defaultTimeout = 10 * time.Second
