// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/guard"
)

func drawRule(r *rapid.T, name string) v1alpha1.GuardrailRule {
	condition := rapid.SampledFrom([]string{"", "", "true", "false", "case.gone.x", "severity >= High", "target.namespace == 'bank'"}).Draw(r, "if")
	switch rapid.SampledFrom([]string{"allow", "ask", "ask", "ask", "ask", "deny"}).Draw(r, "answer") {
	case "allow":
		return allow(name, condition)
	case "deny":
		return deny(name, condition)
	}
	a := v1alpha1.Ask{
		Verb:         rapid.SampledFrom([]string{"", "approve", "approve", "approve-hosts", "approve-nets"}).Draw(r, "verb"),
		Count:        rapid.Int32Range(0, 3).Draw(r, "count"),
		Groups:       rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 0, 2, rapid.ID[string]).Draw(r, "groups"),
		DistinctFrom: rapid.SliceOfNDistinct(rapid.SampledFrom(both), 0, 2, rapid.ID[v1alpha1.Excluded]).Draw(r, "distinct"),
	}
	if n := rapid.IntRange(0, 120).Draw(r, "minutes"); n > 0 {
		a.ValidFor = minutes(n)
	}
	return ask(name, condition, a)
}

func drawPolicies(t *testing.T, r *rapid.T, label string) []*guard.Policy {
	var out []*guard.Policy
	for i := range rapid.IntRange(0, 3).Draw(r, label) {
		out = append(out, drawPolicy(t, r, fmt.Sprint(label, i)))
	}
	return out
}

func drawPolicy(t *testing.T, r *rapid.T, name string) *guard.Policy {
	var rules []v1alpha1.GuardrailRule
	for i := range rapid.IntRange(1, 3).Draw(r, "rules") {
		rules = append(rules, drawRule(r, fmt.Sprint("r", i)))
	}
	g := &v1alpha1.Guardrail{ObjectMeta: metav1.ObjectMeta{Name: name}}
	g.Spec.Covers, g.Spec.Rules = rapid.SampledFrom([][]string{all, {"other/*"}}).Draw(r, "covers"), rules
	if rapid.Bool().Draw(r, "baseline") {
		g.Spec.Baseline = v1alpha1.RequireAllow
	}
	if rapid.Bool().Draw(r, "budget") {
		g.Spec.Budgets = []v1alpha1.Budget{budget("b", rapid.Int32Range(0, 2).Draw(r, "max"), time.Hour)}
	}
	if rapid.Bool().Draw(r, "breaker") {
		percent := rapid.Int32Range(0, 100).Draw(r, "wrongPercent")
		g.Spec.Breaker = &v1alpha1.Breaker{WrongPercent: &percent, OutOf: 1}
	}
	p, err := guard.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// drawInput is the isolation of a pod after some others.
func drawInput(t *testing.T, r *rapid.T) guard.Input {
	in := isolate(t)
	in.Facts.Now = noon
	if rapid.IntRange(0, 3).Draw(r, "history") > 0 {
		in.Facts.History = &guard.History{Usage: began(noon, noon, noon)[:rapid.IntRange(0, 3).Draw(r, "began")]}
		wrong := rapid.SampledFrom([]string{"", "Failed"}).Draw(r, "wrong")
		in.Facts.History.Ended = []guard.Ended{{Action: "a", Operation: "kubernetes/isolatePod", Wrong: wrong}}
	}
	return in
}

// asked tells whether a rule set the terms of a question: a baseline, a budget and a
// breaker leave them to the first rule that asks.
func asked(v guard.Verdict) bool {
	return slices.ContainsFunc(v.Trace, func(p guard.PolicyTrace) bool {
		return slices.ContainsFunc(p.Rules, func(r guard.RuleTrace) bool { return r.Answer == v1alpha1.AnswerAsk })
	})
}

// lenient says in what a verdict is more lenient than the one before; empty if it is not.
func lenient(before, after guard.Verdict) string {
	order := []v1alpha1.Answer{v1alpha1.AnswerAllow, v1alpha1.AnswerAsk, v1alpha1.AnswerDeny}
	if slices.Index(order, after.Answer) < slices.Index(order, before.Answer) {
		return "the answer"
	}
	if before.Ask == nil || after.Ask == nil || !asked(before) {
		return ""
	}
	b, a := before.Ask, after.Ask
	switch {
	case a.Count < b.Count:
		return "the count"
	case a.ValidFor.Duration > b.ValidFor.Duration:
		return "the time"
	case b.Verb != guard.DefaultVerb && a.Verb != b.Verb:
		return "the verb"
	case len(b.Groups) > 0 && (len(a.Groups) == 0 || slices.ContainsFunc(a.Groups, func(g string) bool { return !slices.Contains(b.Groups, g) })):
		return "the groups"
	case slices.ContainsFunc(b.DistinctFrom, func(x v1alpha1.Excluded) bool { return !slices.Contains(a.DistinctFrom, x) }):
		return "who is excluded"
	}
	return ""
}

func TestAddingAPolicyNeverMakesTheVerdictMoreLenient(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		tenant, operator := drawPolicies(t, r, "tenant"), drawPolicies(t, r, "operator")
		in := drawInput(t, r)
		before := guard.Evaluate(t.Context(), tenant, operator, in)

		extra := drawPolicy(t, r, rapid.SampledFrom([]string{"a", "operator1a", "z"}).Draw(r, "name"))
		more := [][]*guard.Policy{slices.Concat(tenant, []*guard.Policy{extra}), operator}
		if rapid.Bool().Draw(r, "operator's") {
			more = [][]*guard.Policy{tenant, slices.Concat([]*guard.Policy{extra}, operator)}
		}
		after := guard.Evaluate(t.Context(), more[0], more[1], in)
		if before.Rule == "" {
			return // nothing answered: the first rule that answers takes the place of silence
		}
		if what := lenient(before, after); what != "" {
			r.Fatalf("%s became more lenient:\nbefore %+v %+v\nafter  %+v %+v", what, before, before.Ask, after, after.Ask)
		}
	})
}

func TestTheOrderOfPoliciesDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		tenant, operator := drawPolicies(t, r, "tenant"), drawPolicies(t, r, "operator")
		in := drawInput(t, r)
		before := guard.Evaluate(t.Context(), tenant, operator, in)
		slices.Reverse(tenant)
		slices.Reverse(operator)
		if diff := cmp.Diff(before, guard.Evaluate(t.Context(), tenant, operator, in)); diff != "" {
			r.Fatalf("(-before +after):\n%s", diff)
		}
	})
}
