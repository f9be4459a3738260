// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package normalize

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Mapping is a compiled v1alpha1.Mapping. It is immutable and safe for concurrent use.
type Mapping struct {
	name, product string
	decode        v1alpha1.PayloadFormat
	// A condition or list that is left out is nil.
	fits, items, finding *expr.Program
	fields               []field
	fingerprint          []string
}

// field is one field of the schema and the expression that fills it.
type field struct {
	name    string
	program *expr.Program
}

// FieldError says what is wrong with one field of a Mapping.
type FieldError struct {
	// Path is the field, for example spec.signal.title.
	Path string
	// Err is what is wrong: an [*expr.CompileError] with its column, or the rule that the field breaks.
	Err error
}

// Error names the field and the reason.
func (e *FieldError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *FieldError) Unwrap() error { return e.Err }

var defaultFingerprint = []string{"ruleId", "outcome", "users", "hosts", "assets", "indicators"}

// environment is built at the first use: it takes a millisecond and keeps what it
// compiled, so there is one.
var environment = sync.OnceValue(func() *expr.Env { return expr.MustNew(expr.Mapping) })

// Compile compiles every expression of a Mapping. The error is a [fault.Terminal]
// with reason InvalidExpression, or InvalidSpec where all expressions compile, that
// joins a [FieldError] for each field that is wrong, one to a line.
func Compile(object *v1alpha1.Mapping) (*Mapping, error) {
	c := compiler{}
	spec := &object.Spec
	m := &Mapping{
		name: nameOf(object), product: spec.Product, decode: spec.Decode,
		fits:    c.condition("spec.fits", spec.Fits, "payload"),
		items:   c.whole("spec.items", spec.Items, "payload"),
		finding: c.condition("spec.finding", spec.Finding, "payload", "item", "receivedTime"),
	}
	if spec.Product == "" {
		c.rule("spec.product", "it is empty; name the tool whose payloads these are")
	}
	switch spec.Decode {
	case "", v1alpha1.FormatJSON, v1alpha1.FormatNDJSON:
	default:
		c.rule("spec.decode", "%q is not a format; write JSON or NDJSON", spec.Decode)
	}
	for _, f := range schema {
		source := f.expression(&spec.Signal)
		path := "spec.signal." + f.name
		if source == "" && f.required {
			c.rule(path, "it is empty; write a CEL expression")
		}
		if program := c.expression(path, source, "payload", "item", "receivedTime"); program != nil {
			m.fields = append(m.fields, field{name: f.name, program: program})
		}
	}
	m.fingerprint = c.fingerprint(spec.Fingerprint)
	if err := errors.Join(c.problems...); err != nil {
		reason := v1alpha1.InvalidSpecReason
		if _, ok := errors.AsType[*expr.CompileError](err); ok {
			reason = v1alpha1.InvalidExpressionReason
		}
		return nil, fault.Terminalf(reason, "%w", err)
	}
	return m, nil
}

// nameOf is name@generation as a Signal records it; a Mapping that never was in a
// cluster has no generation, and one without a name has its product's.
func nameOf(object *v1alpha1.Mapping) string {
	switch {
	case object.Name == "":
		return object.Spec.Product
	case object.Generation == 0:
		return object.Name
	}
	return fmt.Sprintf("%s@%d", object.Name, object.Generation)
}

// Name is the Mapping's name with its generation, as a Signal records it.
func (m *Mapping) Name() string { return m.name }

// Product is the tool whose payloads the Mapping reads.
func (m *Mapping) Product() string { return m.product }

// Decode reads a payload in the Mapping's format; see [Decode].
func (m *Mapping) Decode(payload []byte) (any, error) { return Decode(m.decode, payload) }

// Fits reports whether the Mapping is meant for a decoded payload. A Mapping without
// the condition takes any; one whose condition cannot be answered does not fit.
func (m *Mapping) Fits(ctx context.Context, payload any) bool { return m.drift(ctx, payload) == "" }

// drift says why a payload does not fit; empty if it does.
func (m *Mapping) drift(ctx context.Context, payload any) string {
	if m.fits == nil {
		return ""
	}
	truth, err := m.fits.EvalBool(ctx, map[string]any{"payload": payload})
	switch {
	case truth == expr.True:
		return ""
	case err != nil:
		return err.Error()
	}
	return fmt.Sprintf("%s is false", quoted(m.fits.Source()))
}

// Find returns the first Mapping that has a condition fits and that is meant for a
// payload; nil if there is none. The error is a [*DecodeError], when no Mapping's
// format can decode the payload.
func Find(ctx context.Context, mappings []*Mapping, payload []byte) (*Mapping, error) {
	var undecodable error
	decoded := false
	for _, m := range mappings {
		value, err := m.Decode(payload)
		if err != nil {
			undecodable = err
			continue
		}
		decoded = true
		if m.fits != nil && m.Fits(ctx, value) {
			return m, nil
		}
	}
	if decoded {
		return nil, nil
	}
	return nil, undecodable
}

// compiler collects what is wrong.
type compiler struct {
	problems []error
}

func (c *compiler) wrong(path string, err error) {
	c.problems = append(c.problems, &FieldError{Path: path, Err: err})
}

func (c *compiler) rule(path, format string, args ...any) {
	c.wrong(path, fmt.Errorf(format, args...))
}

// expression compiles a source that may read the given variables; nil if it is
// empty or wrong.
func (c *compiler) expression(path, source string, variables ...string) *expr.Program {
	if source == "" {
		return nil
	}
	program, err := environment().Compile(source)
	return c.checked(path, program, err, variables)
}

// whole is expression for what is evaluated once over all events of a payload.
func (c *compiler) whole(path, source string, variables ...string) *expr.Program {
	if source == "" {
		return nil
	}
	program, err := environment().CompileWhole(source)
	return c.checked(path, program, err, variables)
}

func (c *compiler) condition(path, source string, variables ...string) *expr.Program {
	if source == "" {
		return nil
	}
	program, err := environment().CompileBool(source)
	return c.checked(path, program, err, variables)
}

// checked refuses what is not there yet when the expression is evaluated: it would
// compile and never give a value.
func (c *compiler) checked(path string, program *expr.Program, err error, variables []string) *expr.Program {
	if err != nil {
		c.wrong(path, err)
		return nil
	}
	for _, read := range program.Paths() {
		root, _, _ := strings.Cut(read, ".")
		root, _, _ = strings.Cut(root, "[")
		if !slices.Contains(variables, root) {
			c.rule(path, "%q reads %s, which is not known there; it may read %s", program.Source(), root, strings.Join(variables, ", "))
			return nil
		}
	}
	return program
}

func (c *compiler) fingerprint(names []string) []string {
	if len(names) == 0 {
		return defaultFingerprint
	}
	for i, name := range names {
		if !slices.ContainsFunc(schema, func(f schemaField) bool { return f.name == name }) {
			c.rule(fmt.Sprintf("spec.fingerprint[%d]", i), "%q is not a field of the schema; write fields of spec.signal, such as ruleId", name)
		}
	}
	return slices.Clone(names)
}
