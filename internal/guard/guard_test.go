// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/guard"
)

func compile(t testing.TB, name string, covers []string, rules ...v1alpha1.GuardrailRule) *guard.Policy {
	t.Helper()
	g := &v1alpha1.Guardrail{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: v1alpha1.GuardrailSpec{Covers: covers, Rules: rules}}
	p, err := guard.Compile(g)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func allow(name, condition string) v1alpha1.GuardrailRule {
	return v1alpha1.GuardrailRule{Name: name, If: condition, Allow: "it is " + name}
}

func deny(name, condition string) v1alpha1.GuardrailRule {
	return v1alpha1.GuardrailRule{Name: name, If: condition, Deny: "it is " + name}
}

func ask(name, condition string, a v1alpha1.Ask) v1alpha1.GuardrailRule {
	return v1alpha1.GuardrailRule{Name: name, If: condition, Ask: &a}
}

func minutes(n int) *metav1.Duration {
	return &metav1.Duration{Duration: time.Duration(n) * time.Minute}
}

var (
	all       = []string{"kubernetes/*"}
	requester = []v1alpha1.Excluded{v1alpha1.ExcludedRequester}
	both      = []v1alpha1.Excluded{v1alpha1.ExcludedPlaybookAuthor, v1alpha1.ExcludedRequester}
)

// isolate is the isolation of a pod in namespace shop, for a High case.
func isolate(t testing.TB) guard.Input {
	t.Helper()
	caseVars := map[string]any{"severity": int64(4), "case": map[string]any{"severity": int64(4), "state": "Triage", "gone": expr.Unavailable{Reason: "the lookup failed"}}}
	in, err := guard.InputOf(caseVars, v1alpha1.ActionSpec{
		Operation: "kubernetes/isolatePod", Target: v1alpha1.Target{Type: "Pod", Name: "web", Namespace: "shop"},
		Input: apiextensionsv1.JSON{Raw: []byte(`{"hours":4}`)}, Requester: v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: "ana", Groups: []string{"soc"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func TestEvaluate(t *testing.T) {
	const unknown = "case.gone.tier == 'gold'"
	hosts := v1alpha1.Ask{Verb: "approve-hosts", Count: 2, Groups: []string{"soc", "it"}, ValidFor: minutes(30), Because: "hosts are dear"}
	tests := map[string]struct {
		tenant, operator []v1alpha1.GuardrailRule
		answer           v1alpha1.Answer
		rule, because    string // because: what it contains
		ask              *v1alpha1.Ask
	}{
		"no rule answers":                        {answer: "Ask", because: guard.Silence, ask: &v1alpha1.Ask{Verb: "approve", Count: 1, ValidFor: minutes(60), DistinctFrom: requester}},
		"a rule that does not hold keeps silent": {tenant: []v1alpha1.GuardrailRule{deny("a", "severity < Low"), allow("b", "false")}, answer: "Ask", because: guard.Silence},
		"an allow rule without a condition":      {tenant: []v1alpha1.GuardrailRule{allow("cheap", "")}, answer: "Allow", rule: "tenant/cheap", because: "it is cheap"},
		"conditions read the whole proposal": {tenant: []v1alpha1.GuardrailRule{allow("all",
			"operation == 'kubernetes/isolatePod' && target.namespace == 'shop' && input.hours == 4 && requester.name == 'ana' && 'soc' in requester.groups && case.severity == severity && severity >= High")},
			answer: "Allow", rule: "tenant/all", because: "it is all"},
		"deny is stricter than ask":         {tenant: []v1alpha1.GuardrailRule{ask("q", "", v1alpha1.Ask{}), deny("no", ""), allow("yes", "")}, answer: "Deny", rule: "tenant/no", because: "it is no"},
		"ask is stricter than allow":        {tenant: []v1alpha1.GuardrailRule{allow("yes", ""), ask("q", "", v1alpha1.Ask{Because: "think"})}, answer: "Ask", rule: "tenant/q", because: "think"},
		"an ask that says nothing is named": {tenant: []v1alpha1.GuardrailRule{ask("q", "", v1alpha1.Ask{})}, answer: "Ask", rule: "tenant/q", because: "rule tenant/q asks"},
		"an allow rule that cannot be decided does not allow": {tenant: []v1alpha1.GuardrailRule{allow("gold", unknown)},
			answer: "Ask", because: "no rule answers: tenant/gold cannot be decided (could not evaluate"},
		"nor does it take away what another allows": {tenant: []v1alpha1.GuardrailRule{allow("gold", unknown), allow("yes", "")}, answer: "Allow", rule: "tenant/yes", because: "it is yes"},
		"an ask rule that cannot be decided asks": {tenant: []v1alpha1.GuardrailRule{allow("yes", ""), ask("q", unknown, hosts)}, answer: "Ask", rule: "tenant/q", because: "hosts are dear (cannot be decided: ",
			ask: &v1alpha1.Ask{Verb: "approve-hosts", Count: 2, Groups: []string{"soc", "it"}, ValidFor: minutes(30), DistinctFrom: requester}},
		"a deny rule that cannot be decided denies unattended running": {tenant: []v1alpha1.GuardrailRule{allow("yes", ""), deny("gold", unknown)},
			answer: "Ask", rule: "tenant/gold", because: "tenant/gold would deny (it is gold) and cannot be decided: "},
		"a deny rule that is decided without what failed": {tenant: []v1alpha1.GuardrailRule{allow("yes", ""), deny("gold", "severity < Low && "+unknown)}, answer: "Allow", rule: "tenant/yes", because: "it is yes"},
		"a deny rule that holds whatever failed":          {tenant: []v1alpha1.GuardrailRule{deny("gold", "true || "+unknown)}, answer: "Deny", rule: "tenant/gold", because: "it is gold"},
		"only the operator answers":                       {operator: []v1alpha1.GuardrailRule{allow("yes", "")}, answer: "Allow", rule: "operator/yes", because: "it is yes"},
		"the operator is stricter":                        {tenant: []v1alpha1.GuardrailRule{allow("yes", "")}, operator: []v1alpha1.GuardrailRule{deny("no", "")}, answer: "Deny", rule: "operator/no", because: "it is no"},
		"the tenant is stricter":                          {operator: []v1alpha1.GuardrailRule{allow("yes", "")}, tenant: []v1alpha1.GuardrailRule{deny("no", "")}, answer: "Deny", rule: "tenant/no", because: "it is no"},
		"both ask, and it is one question": {
			tenant:   []v1alpha1.GuardrailRule{ask("q", "", hosts)},
			operator: []v1alpha1.GuardrailRule{ask("r", "", v1alpha1.Ask{Groups: []string{"it", "net"}, DistinctFrom: both, Because: "ours"})},
			answer:   "Ask", rule: "operator/r", because: "ours; hosts are dear",
			ask: &v1alpha1.Ask{Verb: "approve-hosts", Count: 2, Groups: []string{"it"}, ValidFor: minutes(30), DistinctFrom: both},
		},
		"what nobody can satisfy is denied": {
			tenant:   []v1alpha1.GuardrailRule{ask("q", "", v1alpha1.Ask{Groups: []string{"soc"}})},
			operator: []v1alpha1.GuardrailRule{ask("r", "", v1alpha1.Ask{Groups: []string{"net"}})},
			answer:   "Deny", rule: "tenant/q", because: "operator/r and tenant/q ask what nobody can give: one asks for the groups net, the other for soc; name a group in both",
		},
		"two finer verbs are denied": {tenant: []v1alpha1.GuardrailRule{ask("q", "", hosts), ask("r", "", v1alpha1.Ask{Verb: "approve-nets"})},
			answer: "Deny", rule: "tenant/r", because: "one asks for the verb approve-hosts, the other for approve-nets"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			tenant, operator := []*guard.Policy{compile(t, "tenant", all, tc.tenant...)}, []*guard.Policy{compile(t, "operator", all, tc.operator...)}
			got := guard.Evaluate(t.Context(), tenant, operator, isolate(t))
			if got.Answer != tc.answer || got.Rule != tc.rule || !strings.Contains(got.Because, tc.because) {
				t.Errorf("got %s by %q: %q\nwant %s by %q: %q", got.Answer, got.Rule, got.Because, tc.answer, tc.rule, tc.because)
			}
			if (got.Ask != nil) != (tc.answer == v1alpha1.AnswerAsk) {
				t.Fatalf("%s with ask %+v", got.Answer, got.Ask)
			}
			if tc.ask != nil {
				tc.ask.Because = got.Because
				if diff := cmp.Diff(tc.ask, got.Ask); diff != "" {
					t.Errorf("ask (-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestEvaluateAsksOnlyWhatCoversTheOperation(t *testing.T) {
	tests := map[string]struct {
		covers []string
		want   v1alpha1.Answer
	}{
		"the operation itself":     {[]string{"a/b", "kubernetes/isolatePod"}, "Deny"},
		"all of the connector":     {[]string{"kubernetes/*"}, "Deny"},
		"another operation":        {[]string{"kubernetes/isolate"}, "Ask"},
		"another connector":        {[]string{"kube/*"}, "Ask"},
		"a connector that it ends": {[]string{"netes/isolatePod"}, "Ask"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got := guard.Evaluate(t.Context(), []*guard.Policy{compile(t, "g", tc.covers, deny("no", ""))}, nil, isolate(t))
			if got.Answer != tc.want {
				t.Errorf("got %s, want %s", got.Answer, tc.want)
			}
		})
	}
}

func TestEvaluateFitsTheSchema(t *testing.T) {
	long := ask("q", "", v1alpha1.Ask{Because: strings.Repeat("ä", 512)})
	other := ask("r", "case.gone", v1alpha1.Ask{Because: strings.Repeat("ö", 512)})
	got := guard.Evaluate(t.Context(), []*guard.Policy{compile(t, strings.Repeat("g", 253), all, long, other)}, nil, isolate(t))
	if rule, because, asked := len([]rune(got.Rule)), len([]rune(got.Because)), len([]rune(got.Ask.Because)); rule != 253 || because != 1024 || asked != 512 {
		t.Errorf("rule has %d code points, because %d, ask.because %d", rule, because, asked)
	}
}

func TestCompileNamesFieldAndColumn(t *testing.T) {
	tests := map[string]struct {
		rule v1alpha1.GuardrailRule
		want []string
	}{
		"severity compared with text": {allow("a", "severity >= 'High'"), []string{"Guardrail g: spec.rules[1].if: ", "column 10", "constants"}},
		"a lookup":                    {deny("a", "lookups.vip.found"), []string{"spec.rules[1].if: it reads lookups.vip, which spec.lookups does not declare; no lookup is declared"}},
		"two answers":                 {v1alpha1.GuardrailRule{Name: "a", Allow: "x", Deny: "y"}, []string{"spec.rules[1]: rule a must have exactly one of allow, ask and deny, it has 2"}},
		"no answer":                   {v1alpha1.GuardrailRule{Name: "a"}, []string{"it has 0"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := &v1alpha1.Guardrail{ObjectMeta: metav1.ObjectMeta{Name: "g"}, Spec: v1alpha1.GuardrailSpec{Covers: all, Rules: []v1alpha1.GuardrailRule{allow("fine", ""), tc.rule, deny("also", "1 +")}}}
			_, err := guard.Compile(g)
			if err == nil {
				t.Fatal("it compiled")
			}
			for _, want := range append(tc.want, "\nspec.rules[2].if: ") {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not contain %q", err, want)
				}
			}
		})
	}
}

func TestMerge(t *testing.T) {
	effective := func(change func(*v1alpha1.Ask)) v1alpha1.Ask {
		a := guard.Effective(v1alpha1.Ask{})
		change(&a)
		return a
	}
	tests := map[string]struct {
		a, b v1alpha1.Ask
		want v1alpha1.Ask
	}{
		"nothing asked twice is the default":   {want: effective(func(*v1alpha1.Ask) {})},
		"the larger count":                     {a: v1alpha1.Ask{Count: 3}, b: v1alpha1.Ask{Count: 2}, want: effective(func(a *v1alpha1.Ask) { a.Count = 3 })},
		"the shorter time":                     {a: v1alpha1.Ask{ValidFor: minutes(5)}, b: v1alpha1.Ask{ValidFor: minutes(90)}, want: effective(func(a *v1alpha1.Ask) { a.ValidFor = minutes(5) })},
		"an hour is shorter than a day":        {a: v1alpha1.Ask{ValidFor: minutes(1440)}, want: effective(func(*v1alpha1.Ask) {})},
		"whom either excludes":                 {a: v1alpha1.Ask{DistinctFrom: both[:1]}, b: v1alpha1.Ask{DistinctFrom: requester}, want: effective(func(a *v1alpha1.Ask) { a.DistinctFrom = both })},
		"the finer verb":                       {a: v1alpha1.Ask{Verb: "approve-hosts"}, b: v1alpha1.Ask{Verb: "approve"}, want: effective(func(a *v1alpha1.Ask) { a.Verb = "approve-hosts" })},
		"the groups that both name":            {a: v1alpha1.Ask{Groups: []string{"x", "y"}}, b: v1alpha1.Ask{Groups: []string{"z", "y"}}, want: effective(func(a *v1alpha1.Ask) { a.Groups = []string{"y"} })},
		"the groups of the one that names any": {a: v1alpha1.Ask{Groups: []string{"x"}}, want: effective(func(a *v1alpha1.Ask) { a.Groups = []string{"x"} })},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, pair := range [][2]v1alpha1.Ask{{tc.a, tc.b}, {tc.b, tc.a}} {
				got, err := guard.Merge(pair[0], pair[1])
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestExcludedFrom(t *testing.T) {
	ana := v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: "ana"}
	run := v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: "runs"}
	tests := map[string]struct {
		distinct  []v1alpha1.Excluded
		requester v1alpha1.JournalActor
		author    string
		want      []string
	}{
		"the requester, always":                     {nil, ana, "bob", []string{"ana"}},
		"automation is nobody to exclude":           {requester, run, "bob", nil},
		"the author, where the ask says so":         {both, run, "bob", []string{"bob"}},
		"both":                                      {both, ana, "bob", []string{"ana", "bob"}},
		"once, where the requester is the author":   {both, ana, "ana", []string{"ana"}},
		"an author that is not known is not a name": {both, ana, "", []string{"ana"}},
	}
	for name, tc := range tests {
		if diff := cmp.Diff(tc.want, guard.ExcludedFrom(v1alpha1.Ask{DistinctFrom: tc.distinct}, tc.requester, tc.author)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
