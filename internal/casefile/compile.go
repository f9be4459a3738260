// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"bytes"
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

var environment = sync.OnceValue(func() *expr.Env { return expr.MustNew(expr.CaseType) })

// compiler collects what does not compile in a CaseType.
type compiler struct {
	lookups []string
	errs    []error
}

// source is one place in a CaseType that holds expressions.
type source struct {
	// path is the field, for example spec.severity[0].when.
	path string
	// reads names the variables that are known in that place.
	reads []string
}

func (c *compiler) condition(at source, text string) *expr.Program {
	if text == "" {
		return nil
	}
	program, err := environment().CompileBool(text)
	if err != nil {
		return c.fail(at, err)
	}
	c.check(at, program.Paths())
	return program
}

func (c *compiler) list(at source, text string) *expr.Program {
	if text == "" {
		return nil
	}
	program, err := environment().Compile(text)
	if err != nil {
		return c.fail(at, err)
	}
	c.check(at, program.Paths())
	return program
}

func (c *compiler) value(at source, value any) *expr.Template {
	template, err := environment().CompileValue(value)
	if err != nil {
		c.fail(at, err)
		return nil
	}
	c.check(at, template.References())
	return template
}

func (c *compiler) json(at source, raw *apiextensionsv1.JSON) *expr.Template {
	if raw == nil {
		return nil
	}
	value, err := decode(raw.Raw)
	if err != nil {
		c.fail(at, fmt.Errorf("it is not JSON: %w", err))
		return nil
	}
	return c.value(at, value)
}

// fail notes an error; it returns no program, so that callers can return its result.
func (c *compiler) fail(at source, err error) *expr.Program {
	if template, ok := errors.AsType[*expr.TemplateError](err); ok && template.Path != "" {
		path := at.path + "." + template.Path
		if strings.HasPrefix(template.Path, "[") {
			path = at.path + template.Path
		}
		err = fmt.Errorf("%s: %w", path, template.Err)
	} else {
		err = fmt.Errorf("%s: %w", at.path, err)
	}
	c.errs = append(c.errs, err)
	return nil
}

// check refuses what compiles but could never be decided: a variable that is not
// known in that place, and a lookup that the type does not make.
func (c *compiler) check(at source, paths []string) {
	for _, path := range paths {
		parts := strings.FieldsFunc(path, func(r rune) bool { return r == '.' || r == '[' || r == ']' })
		if !slices.Contains(at.reads, parts[0]) {
			c.fail(at, fmt.Errorf("it reads %s, which is not known there: it may read %s", parts[0], strings.Join(at.reads, ", ")))
			return
		}
		if parts[0] != enrichmentVar || len(parts) == 1 {
			continue
		}
		if name := strings.Trim(parts[1], `"`); !slices.Contains(c.lookups, name) {
			c.fail(at, fmt.Errorf("it reads enrichment.%s, and spec.enrich has no lookup of that name: %s", name, known(c.lookups)))
			return
		}
	}
}

func known(names []string) string {
	if len(names) == 0 {
		return "it has none; add it"
	}
	return "it has " + strings.Join(names, ", ")
}

// compileType compiles every expression of a type.
func (c *compiler) compileType(ct *v1alpha1.CaseType) *Type {
	spec := ct.Spec.DeepCopy()
	for _, e := range spec.Enrich {
		c.lookups = append(c.lookups, e.Name)
	}
	t := &Type{Name: ct.Name, Spec: *spec, prefix: prefix(ct.Name, spec.Prefix)}
	t.match = c.condition(source{"spec.match", []string{signalVar, severityVar}}, spec.Match)
	for i, e := range spec.Enrich {
		t.enrichments = append(t.enrichments, c.enrichment(fmt.Sprintf("spec.enrich[%d]", i), e))
	}
	for i, f := range spec.Severity {
		t.factors = append(t.factors, c.factor(fmt.Sprintf("spec.severity[%d]", i), f))
	}
	for i, p := range spec.Playbooks {
		t.playbooks = append(t.playbooks, c.playbook(fmt.Sprintf("spec.playbooks[%d]", i), p))
	}
	return t
}

func (c *compiler) enrichment(path string, e v1alpha1.Enrichment) *Enrichment {
	reads := []string{caseVar, severityVar}
	out := &Enrichment{Enrichment: e, forEach: c.list(source{path + ".forEach", reads}, e.ForEach)}
	out.input = c.json(source{path + ".input", withItem(reads, e.ForEach)}, e.Input)
	return out
}

func (c *compiler) factor(path string, f v1alpha1.SeverityFactor) factor {
	reads := []string{caseVar, severityVar, enrichmentVar}
	out := factor{SeverityFactor: f, when: c.condition(source{path + ".when", reads}, f.When)}
	out.because = c.value(source{path + ".because", reads}, f.Because)
	return out
}

func (c *compiler) playbook(path string, p v1alpha1.CasePlaybook) starter {
	reads := []string{caseVar, severityVar, enrichmentVar}
	each := withItem(reads, p.ForEach)
	return starter{
		CasePlaybook: p,
		forEach:      c.list(source{path + ".forEach", reads}, p.ForEach),
		when:         c.condition(source{path + ".when", each}, p.When),
		inputs:       c.json(source{path + ".inputs", each}, p.Inputs),
	}
}

func withItem(reads []string, forEach string) []string {
	if forEach == "" {
		return reads
	}
	return append(slices.Clone(reads), itemVar)
}

// decode reads JSON and keeps its numbers exact.
func decode(raw []byte) (any, error) {
	var out any
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	if err := decoder.Decode(&out); err != nil {
		return nil, err
	}
	return out, nil
}

// encode writes JSON with sorted keys and leaves <, > and & as they are, so that
// equal values have equal bytes.
func encode(value any) ([]byte, error) {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}
