// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/fault"
)

// environment is that of every expression here. It is built when it is first needed and keeps what it compiled.
var environment = sync.OnceValue(func() *expr.Env { return expr.MustNew(expr.Operation) })

// What the expressions of each place may read: what is known by then.
var (
	ofInput    = []string{"input"}                          // target, rollback.input, and all of a read but its answer
	ofRead     = []string{"input", "mark"}                  // before.input, verify.input
	ofAlready  = []string{"input", "mark", "before"}        // already
	ofRequest  = []string{"input", "mark", "before", "key"} // the request of a mutation
	ofAnswer   = []string{"input", "response"}              // succeeded, refused and output
	ofExpect   = []string{"input", "mark", "result"}        // verify.expect
	ofRollback = []string{"input", "mark", "current", "after"}
)

// compiler collects what is wrong with spec.operations.
type compiler struct {
	out  *compiled
	errs []error
}

// compile compiles all operations. The error joins everything that is wrong, each with its field path.
func compile(specs []v1alpha1.ConnectorOperation) (*compiled, error) {
	c := &compiler{out: &compiled{byName: map[string]*operation{}}}
	for i, spec := range specs { // all are known before any is compiled, for they name each other
		at := fmt.Sprintf("spec.operations[%d]", i)
		if _, twice := c.out.byName[spec.Name]; twice {
			c.fail(at+".name", fmt.Errorf("there are two operations %q", spec.Name))
			continue
		}
		c.out.byName[spec.Name] = &operation{declared: c.declare(at, spec)}
	}
	for i, spec := range specs {
		c.operation(fmt.Sprintf("spec.operations[%d]", i), spec, c.out.byName[spec.Name])
	}
	for _, spec := range specs {
		c.out.declared = append(c.out.declared, c.out.byName[spec.Name].declared)
	}
	if len(c.errs) == 0 {
		if err := connector.CheckOperations(c.out.declared); err != nil {
			c.fail("spec.operations", err)
		}
	}
	return c.out, errors.Join(c.errs...)
}

func (c *compiler) fail(field string, err error) {
	c.errs = append(c.errs, fmt.Errorf("%s: %w", field, err))
}

// declare is what the connector promises of an operation.
func (c *compiler) declare(at string, spec v1alpha1.ConnectorOperation) connector.Operation {
	out := connector.Operation{Name: spec.Name, Effect: spec.Effect, Inputs: c.inputs(at, spec.Input)}
	if spec.Effect == v1alpha1.EffectRead {
		return out
	}
	out.Semantics = spec.Semantics
	if spec.Target != nil {
		out.TargetType = spec.Target.Type
	}
	if spec.Rollback != nil {
		out.Rollback, out.NotPossible = spec.Rollback.Operation, spec.Rollback.NotPossible
		out.RollbackTakesOther = spec.Rollback.Input != nil
	}
	if spec.Effect == v1alpha1.EffectIrreversible && out.NotPossible == "" {
		out.NotPossible = "the connector declares it irreversible"
	}
	out.AcknowledgedOnly = spec.Verify == nil
	if spec.Verify != nil && spec.Verify.Within != nil {
		out.VerifyWithin = spec.Verify.Within.Duration
	}
	if spec.Request.Idempotency != nil {
		out.KeyRetention = spec.Request.Idempotency.Retention.Duration
	}
	return out
}

// defaultMaxLength of a String, in bytes.
const defaultMaxLength = 4096

var inputTypes = map[v1alpha1.InputType]connector.InputType{
	"String": connector.StringInput, "Integer": connector.IntegerInput, "Number": connector.NumberInput,
	"Boolean": connector.BooleanInput, "List": connector.ListInput, "Object": connector.ObjectInput,
}

func (c *compiler) inputs(at string, specs []v1alpha1.OperationInput) []connector.Input {
	var out []connector.Input
	for i, spec := range specs {
		input := connector.Input{
			Name: spec.Name, Type: inputTypes[spec.Type], Required: !spec.Optional, MaxLength: int(spec.MaxLength), Want: spec.Description,
		}
		if input.MaxLength == 0 {
			input.MaxLength = defaultMaxLength
		}
		if spec.Pattern != "" {
			// Grouped and anchored: of "a|ab", matching as a whole must find the longer alternative too.
			pattern, err := regexp.Compile(`\A(?:` + spec.Pattern + `)\z`)
			if err != nil {
				c.fail(fmt.Sprintf("%s.input[%d].pattern", at, i), fmt.Errorf("%q is no regular expression (RE2): %w", spec.Pattern, err))
			}
			input.Pattern = pattern
			if input.Want == "" {
				input.Want = "text that matches " + spec.Pattern
			}
		}
		out = append(out, input)
	}
	return out
}

// operation compiles what its declaration does not hold.
func (c *compiler) operation(at string, spec v1alpha1.ConnectorOperation, o *operation) {
	c.request(at+".request", spec, o)
	o.succeeded = c.condition(at+".succeeded", spec.Succeeded, o, ofAnswer)
	o.refused = c.condition(at+".refused", spec.Refused, o, ofAnswer)
	if spec.Effect == v1alpha1.EffectRead {
		c.read(at, spec, o)
		return
	}
	if spec.Target == nil {
		c.fail(at+".target", errors.New("a mutation says what it changes: write a type and a name, for example {type: User, name: \"${input.user}\"}"))
	} else {
		o.target = c.text(at+".target.name", spec.Target.Name, o, ofInput)
	}
	o.before = c.call(at+".before", spec.Before, o)
	o.already = c.condition(at+".already", spec.Already, o, ofAlready)
	if spec.Before == nil && spec.Already != "" {
		c.fail(at+".already", errors.New("nothing is read before: declare before"))
	}
	if spec.Verify != nil {
		o.verify = c.call(at+".verify", &spec.Verify.OperationRead, o)
		o.expect = c.condition(at+".verify.expect", spec.Verify.Expect, o, ofExpect)
		if o.expect == nil && spec.Verify.Expect == "" {
			c.fail(at+".verify.expect", errors.New("it is missing: write what holds of result once it is done"))
		}
	}
	if o.declared.Semantics == v1alpha1.ReadBack && spec.Verify == nil {
		c.fail(at+".verify", errors.New("ReadBack needs a read that decides what happened"))
	}
	c.rollback(at+".rollback", spec, o)
}

// read compiles what only a read has. Its default output is a program too, so that what a read gives has one form.
func (c *compiler) read(at string, spec v1alpha1.ConnectorOperation, o *operation) {
	source := spec.Output
	if source == "" {
		source = "response.body"
	}
	program, err := environment().Compile(source)
	if err != nil {
		c.fail(at+".output", err)
		return
	}
	c.scope(at+".output", program.Paths(), program.Names("input"), o, ofAnswer)
	o.output = program
}

// condition compiles a condition; nil if there is none or if it does not compile.
func (c *compiler) condition(field, source string, o *operation, names []string) *expr.Program {
	if source == "" {
		return nil
	}
	program, err := environment().CompileBool(source)
	if err != nil {
		c.fail(field, err)
		return nil
	}
	c.scope(field, program.Paths(), program.Names("input"), o, names)
	return program
}

// text compiles a string that may hold expressions.
func (c *compiler) text(field, source string, o *operation, names []string) *expr.Template {
	template, err := environment().CompileText(source)
	if err != nil {
		c.fail(field, err)
		return nil
	}
	c.scope(field, template.References(), template.Names("input"), o, names)
	return template
}

// scope checks that what an expression or template reads is known in its place, and that the inputs among it are
// inputs of the operation.
func (c *compiler) scope(field string, paths, inputs []string, o *operation, names []string) {
	for _, path := range paths {
		if name := rootOf(path); !slices.Contains(names, name) {
			c.fail(field, fmt.Errorf("%s is not known here: an expression here may read %s", path, strings.Join(names, ", ")))
		}
	}
	c.knows(field, inputs, o.declared)
}

// rootOf is the variable that a path begins with.
func rootOf(path string) string {
	if end := strings.IndexAny(path, ".["); end >= 0 {
		return path[:end]
	}
	return path
}

// knows checks the names of inputs against those that an operation takes.
func (c *compiler) knows(field string, names []string, declared connector.Operation) {
	for _, name := range names {
		if !slices.ContainsFunc(declared.Inputs, func(i connector.Input) bool { return i.Name == name }) {
			c.fail(field, fmt.Errorf("%s takes no input %q", declared.Name, name))
		}
	}
}

// Check returns all that is wrong with the operations and the probe of a Connector, each with its field path, as a
// Terminal error with reason InvalidExpression; nil if nothing is.
func Check(object *v1alpha1.Connector) error {
	c, err := compile(object.Spec.Operations)
	if probe := object.Spec.Probe; probe != nil && err == nil {
		_, _, err = c.probe(probe)
	}
	if err == nil {
		return nil
	}
	return uncompiled(object, err)
}

func uncompiled(object *v1alpha1.Connector, err error) error {
	return fault.Terminalf(v1alpha1.InvalidExpressionReason, "could not use connector %s: %w", object.Name, err)
}
