// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/guard"
	"github.com/casebook-dev/casebook/internal/normalize"
	"github.com/casebook-dev/casebook/internal/playbook"
)

// compilers compile the expressions of a kind as its controller does.
var compilers = map[string]func(map[string]any) error{
	"Source": func(raw map[string]any) error {
		object, err := as[v1alpha1.Source](raw)
		if err != nil || object.Spec.Only == "" {
			return err
		}
		_, err = expr.MustNew(expr.Source).CompileBool(object.Spec.Only)
		return err
	},
	"Mapping": func(raw map[string]any) error {
		object, err := as[v1alpha1.Mapping](raw)
		if err != nil {
			return err
		}
		_, err = normalize.Compile(object)
		return err
	},
	"Guardrail": func(raw map[string]any) error {
		object, err := as[v1alpha1.Guardrail](raw)
		if err != nil {
			return err
		}
		_, err = guard.Compile(object)
		return err
	},
	"CaseType": func(raw map[string]any) error {
		object, err := as[v1alpha1.CaseType](raw)
		if err != nil {
			return err
		}
		_, err = casefile.Compile(object)
		return err
	},
	"Playbook": func(raw map[string]any) error {
		object, err := as[v1alpha1.Playbook](raw)
		if err != nil {
			return err
		}
		_, err = playbook.Compile(object.Spec)
		return err
	},
}

func as[T any](raw map[string]any) (*T, error) {
	out := new(T)
	return out, runtime.DefaultUnstructuredConverter.FromUnstructured(raw, out)
}

// The API server does not compile expressions; every example's do.
func TestExpressionsOfExamples(t *testing.T) {
	compiled := map[string]bool{}
	for _, p := range pages(t) {
		for _, e := range examples(t, p) {
			compile := compilers[e.object.GetKind()]
			if compile == nil {
				continue
			}
			compiled[e.object.GetKind()] = true
			if err := compile(e.object.Object); err != nil {
				t.Errorf("%s:%d: %s %s: %v", e.page, e.line, e.object.GetKind(), e.object.GetName(), err)
			}
		}
	}
	for kind := range compilers {
		if !compiled[kind] {
			t.Errorf("no page has a %s whose expressions are compiled", kind)
		}
	}
}

// kinds are the environments of expressions.
var kinds = []expr.Kind{expr.Mapping, expr.Source, expr.CaseType, expr.Guardrail, expr.Playbook, expr.Operation}

var aFunction = regexp.MustCompile("`\\.?([a-zA-Z]+)\\(")

// The table of functions has each function that Casebook adds to CEL, and where it is.
func TestFunctionsOfExpressions(t *testing.T) {
	const name = "docs/kinds/README.md"
	_, table, ok := strings.Cut(read(t, filepath.Join(root(t), name)), "<!-- functions of expressions -->")
	table, _, ended := strings.Cut(table, "<!-- end of functions -->")
	if !ok || !ended {
		t.Fatalf("%s has no table of the functions of expressions", name)
	}
	said := map[expr.Kind][]string{}
	for row := range strings.Lines(table) {
		cells := strings.Split(row, " | ")
		if len(cells) != 3 {
			continue
		}
		for _, function := range aFunction.FindAllStringSubmatch(cells[0], -1) {
			for _, kind := range kinds {
				if strings.Contains(cells[2], "everywhere") || strings.Contains(cells[2], "`"+string(kind)+"`") {
					said[kind] = append(said[kind], function[1])
				}
			}
		}
	}
	for _, kind := range kinds {
		slices.Sort(said[kind])
		said[kind] = slices.Compact(said[kind])
		if diff := cmp.Diff(expr.MustNew(kind).Functions(), said[kind]); diff != "" {
			t.Errorf("%s, the functions of %s (-there are +it says):\n%s", name, kind, diff)
		}
	}
}
