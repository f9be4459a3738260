// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package policy_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// fromSample reads the one object of a kind from the sample tenant.
func fromSample[T client.Object](t *testing.T, kind string, into T) T {
	t.Helper()
	for _, u := range manifests(t, sample) {
		if u.GetKind() == kind {
			must(t, runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(u.Object, into, true))
			return into
		}
	}
	t.Fatalf("the sample has no %s", kind)
	return into
}

// holds evaluates a condition of the sample.
func holds(t *testing.T, kind expr.Kind, condition string, variables map[string]any) expr.Truth {
	t.Helper()
	program, err := expr.MustNew(kind).CompileBool(condition)
	must(t, err)
	truth, err := program.EvalBool(t.Context(), variables)
	if truth == expr.Unknown {
		t.Logf("%s: %v", condition, err)
	}
	return truth
}

// workload is what kubernetes/getPod answers, for a pod whose workload has some labels.
func workload(labels map[string]any) map[string]any {
	return map[string]any{
		"found":    true,
		"pod":      map[string]any{"name": "web-6d4f9", "namespace": "shop", "uid": "9b1c", "labels": map[string]any{"app": "web"}},
		"workload": map[string]any{"kind": "Deployment", "name": "web", "namespace": "shop", "uid": "1", "labels": labels},
	}
}

// The sample's guardrail denies protected namespaces, allows isolation from Medium on, and leaves the rest to people.
func TestSampleGuardrail(t *testing.T) {
	g := fromSample(t, "Guardrail", &v1alpha1.Guardrail{})
	cases := map[string]struct {
		namespace, operation string
		severity             int64
		want                 []string // the rules that answer
	}{
		"a pod of the shop":              {"shop", "kubernetes/isolatePod", expr.Medium, []string{"isolate-is-reversible"}},
		"a pod of the shop, hardly":      {"shop", "kubernetes/isolatePod", expr.Low, nil},
		"a pod of the system":            {"kube-system", "kubernetes/isolatePod", expr.Critical, []string{"protected-namespaces", "isolate-is-reversible"}},
		"a pod of the operator":          {"casebook-system", "kubernetes/isolatePod", expr.Critical, []string{"protected-namespaces", "isolate-is-reversible"}},
		"a name that only looks like it": {"kubernetes-dashboard", "kubernetes/isolatePod", expr.High, []string{"isolate-is-reversible"}},
		"a release":                      {"shop", "kubernetes/releasePod", expr.Low, []string{"release-gives-back"}},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, rule := range g.Spec.Rules {
				variables := map[string]any{
					"operation": test.operation, "severity": test.severity, "target": map[string]any{"type": "Pod", "name": "web", "namespace": test.namespace},
				}
				if holds(t, expr.Guardrail, rule.If, variables) == expr.True {
					got = append(got, rule.Name)
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("rules that answer (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("a target without a namespace is not let through", func(t *testing.T) {
		variables := map[string]any{"operation": "kubernetes/isolatePod", "severity": expr.High, "target": map[string]any{"type": "Pod", "name": "web"}}
		if got := holds(t, expr.Guardrail, g.Spec.Rules[0].If, variables); got != expr.Unknown {
			t.Errorf("the deny rule is %v, want Unknown, which denies unattended running", got)
		}
	})
}

// The sample's type takes runtime signals, looks up their pods, and scores by the workload's criticality.
func TestSampleCaseType(t *testing.T) {
	ct := fromSample(t, "CaseType", &v1alpha1.CaseType{})
	for category, want := range map[string]expr.Truth{"Runtime": expr.True, "Identity": expr.False} {
		if got := holds(t, expr.CaseType, ct.Spec.Match, map[string]any{"signal": map[string]any{"category": category}}); got != want {
			t.Errorf("match of %s is %v, want %v", category, got, want)
		}
	}
	assets := []any{
		map[string]any{"name": "web-6d4f9", "type": "Pod", "namespace": "shop"}, map[string]any{"name": "web", "type": "Container"}, map[string]any{"name": "?"},
	}
	each, err := expr.MustNew(expr.CaseType).Compile(ct.Spec.Enrich[0].ForEach)
	must(t, err)
	items, err := each.Eval(t.Context(), map[string]any{"case": map[string]any{"assets": assets}})
	must(t, err)
	if diff := cmp.Diff(any(assets[:1]), items); diff != "" {
		t.Errorf("items to look up (-want +got):\n%s", diff)
	}
	input := render(t, expr.CaseType, ct.Spec.Enrich[0].Input, map[string]any{"item": assets[0]})
	if diff := cmp.Diff(any(map[string]any{"namespace": "shop", "name": "web-6d4f9"}), input); diff != "" {
		t.Errorf("input of the lookup (-want +got):\n%s", diff)
	}
	gone := map[string]any{"found": false}
	for name, test := range map[string]struct {
		workloads []any
		want      int32
		runs      expr.Truth
	}{
		"critical":          {[]any{workload(map[string]any{"criticality": "high"})}, 1, expr.True},
		"not critical":      {[]any{workload(map[string]any{"criticality": "low"})}, -1, expr.True},
		"no word of it":     {[]any{workload(map[string]any{})}, 0, expr.True},
		"one of two":        {[]any{workload(map[string]any{"criticality": "low"}), workload(map[string]any{"criticality": "high"})}, 1, expr.True},
		"gone":              {[]any{gone}, 0, expr.False},
		"one gone, one low": {[]any{gone, workload(map[string]any{"criticality": "low"})}, -1, expr.True},
	} {
		t.Run(name, func(t *testing.T) {
			variables := map[string]any{"enrichment": map[string]any{"workload": test.workloads}, "severity": expr.Medium}
			var moved int32
			for _, factor := range ct.Spec.Severity {
				switch holds(t, expr.CaseType, factor.When, variables) {
				case expr.True:
					moved += *factor.Adjust
				case expr.Unknown:
					t.Errorf("%s cannot be decided", factor.When)
				}
			}
			if moved != test.want {
				t.Errorf("the severity moves by %d, want %d", moved, test.want)
			}
			if got := holds(t, expr.CaseType, ct.Spec.Playbooks[0].When, variables); got != test.runs {
				t.Errorf("the playbook runs: %v, want %v", got, test.runs)
			}
		})
	}
}

// The sample's playbook isolates the pod that was found, asks for it by name, and releases it unless it is kept.
func TestSamplePlaybook(t *testing.T) {
	pb := fromSample(t, "Playbook", &v1alpha1.Playbook{})
	step := map[string]v1alpha1.Step{}
	for _, s := range pb.Spec.Steps {
		step[s.Name] = s
	}
	found := map[string]any{"enrichment": map[string]any{"workload": []any{map[string]any{"found": false}, workload(map[string]any{})}}}
	want := map[string]any{"namespace": "shop", "name": "web-6d4f9", "uid": "9b1c"}
	if diff := cmp.Diff(any(want), render(t, expr.Playbook, step["isolate"].Action.Input, found)); diff != "" {
		t.Errorf("input of isolate (-want +got):\n%s", diff)
	}
	question, err := json.Marshal(step["keep"].Decision.Question)
	must(t, err)
	if got := render(t, expr.Playbook, &apiextensionsv1.JSON{Raw: question}, found); got != "Keep pod shop/web-6d4f9 isolated?" {
		t.Errorf("the question is %q", got)
	}
	for answer, want := range map[string]expr.Truth{"release": expr.True, "keep": expr.False} {
		variables := map[string]any{"steps": map[string]any{"keep": map[string]any{"answer": answer}}}
		if got := holds(t, expr.Playbook, step["release"].If, variables); got != want {
			t.Errorf("released after %s: %v, want %v", answer, got, want)
		}
	}
}

// The sample's source takes every finding from Low on.
func TestSampleSource(t *testing.T) {
	s := fromSample(t, "Source", &v1alpha1.Source{})
	for severity, want := range map[int64]expr.Truth{expr.Informational: expr.False, expr.Low: expr.True, expr.Critical: expr.True} {
		if got := holds(t, expr.Source, s.Spec.Only, map[string]any{"signal": map[string]any{"severity": severity}}); got != want {
			t.Errorf("a signal of severity %d is taken: %v, want %v", severity, got, want)
		}
	}
}

func render(t *testing.T, kind expr.Kind, input *apiextensionsv1.JSON, variables map[string]any) any {
	t.Helper()
	var value any
	must(t, json.Unmarshal(input.Raw, &value))
	template, err := expr.MustNew(kind).CompileValue(value)
	must(t, err)
	rendered, err := template.Render(t.Context(), variables)
	must(t, err)
	return rendered
}
