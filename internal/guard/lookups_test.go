// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/guard"
)

// guardrail is one over everything of the connector kubernetes, named g in namespace soc.
func guardrail(change func(*v1alpha1.GuardrailSpec)) *v1alpha1.Guardrail {
	g := &v1alpha1.Guardrail{ObjectMeta: metav1.ObjectMeta{Namespace: "soc", Name: "g"}}
	g.Spec.Covers = all
	change(&g.Spec)
	return g
}

func compileOf(t testing.TB, change func(*v1alpha1.GuardrailSpec)) *guard.Policy {
	t.Helper()
	p, err := guard.Compile(guardrail(change))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func look(name, operation, input string) v1alpha1.GuardrailLookup {
	out := v1alpha1.GuardrailLookup{Name: name, Lookup: operation}
	if input != "" {
		out.Input = &apiextensionsv1.JSON{Raw: []byte(input)}
	}
	return out
}

// vips has the guardrail of the use case: a deny rule over a lookup beside an allow rule.
func vips(spec *v1alpha1.GuardrailSpec) {
	spec.Lookups = []v1alpha1.GuardrailLookup{look("vip", "vips/find", `{"key":"${target.name}"}`), look("calm", "calendar/list", "")}
	spec.Rules = []v1alpha1.GuardrailRule{
		deny("break-glass", "lookups.vip.found && lookups.vip.tier == 'break-glass'"), allow("cheap", ""), allow("calm", "size(lookups.calm) == 0"),
	}
}

func TestLookups(t *testing.T) {
	const vars = `{"op":"${operation}","of":"${case.state}","n":"${severity}","ns":"${target.namespace}","by":"${requester.name}","h":"${input.hours}"}`
	tests := map[string]struct {
		lookup v1alpha1.GuardrailLookup
		want   map[string]any
		err    string
	}{
		"no input":                       {lookup: look("vip", "vips/find", ""), want: map[string]any{}},
		"everything that a rule reads":   {lookup: look("vip", "vips/find", vars), want: map[string]any{"op": "kubernetes/isolatePod", "of": "Triage", "n": int64(4), "ns": "shop", "by": "ana", "h": int64(4)}},
		"what is not there":              {lookup: look("vip", "vips/find", `{"key":"${target.owner}"}`), err: "could not render its input: key: could not evaluate \"target.owner\": no such key: owner"},
		"what a failed lookup gives":     {lookup: look("vip", "vips/find", `{"key":"${case.gone}"}`), err: "the lookup failed"},
		"what stands there is no code":   {lookup: look("vip", "vips/find", `{"key":"$${x}"}`), want: map[string]any{"key": "${x}"}},
		"a list inside of a named value": {lookup: look("vip", "vips/find", `{"keys":["${target.name}",1]}`), want: map[string]any{"keys": []any{"web", int64(1)}}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p := compileOf(t, func(spec *v1alpha1.GuardrailSpec) { spec.Lookups = []v1alpha1.GuardrailLookup{tc.lookup} })
			got := p.Lookups(t.Context(), isolate(t))
			if len(got) != 1 || got[0].Name != "vip" || got[0].Operation != "vips/find" {
				t.Fatalf("got %+v", got)
			}
			if diff := cmp.Diff(tc.want, got[0].Input); diff != "" {
				t.Errorf("input (-want +got):\n%s", diff)
			}
			if (got[0].Err != nil) != (tc.err != "") || tc.err != "" && !strings.Contains(got[0].Err.Error(), tc.err) {
				t.Errorf("got error %v, want one with %q", got[0].Err, tc.err)
			}
		})
	}
	other := isolate(t)
	other.Operation = "directory/suspendUser"
	if got := compileOf(t, vips).Lookups(t.Context(), other); got != nil {
		t.Errorf("an operation that is not covered wants %+v", got)
	}
}

func TestEvaluateWithLookups(t *testing.T) {
	broken := errors.New("vips is down")
	tests := map[string]struct {
		answer        func(*guard.Facts, *guard.Policy)
		want          v1alpha1.Answer
		rule, because string
	}{
		"not made": {func(*guard.Facts, *guard.Policy) {}, "Ask", "g/break-glass", "lookup vip was not made"},
		"failed": {func(f *guard.Facts, p *guard.Policy) { f.Answer(p, "vip", map[string]any{"found": false}, broken) },
			"Ask", "g/break-glass", "g/break-glass would deny (it is break-glass) and cannot be decided: could not evaluate"},
		"one that is not there": {func(f *guard.Facts, p *guard.Policy) { f.Answer(p, "vip", map[string]any{"found": false}, nil) },
			"Allow", "g/cheap", "it is cheap"},
		"one that is": {func(f *guard.Facts, p *guard.Policy) {
			f.Answer(p, "vip", map[string]any{"found": true, "tier": "break-glass"}, nil)
		}, "Deny", "g/break-glass", "it is break-glass"},
		"an answer without the column": {func(f *guard.Facts, p *guard.Policy) { f.Answer(p, "vip", map[string]any{"found": true}, nil) },
			"Ask", "g/break-glass", "no such key: tier"},
		"an answer to the same name of another guardrail": {func(f *guard.Facts, _ *guard.Policy) {
			f.Answer(compile(t, "g", all), "vip", map[string]any{"found": false}, nil) // of no namespace
		}, "Ask", "g/break-glass", "lookup vip was not made"},
		"what a case says of lookups is not asked": {func(f *guard.Facts, p *guard.Policy) { f.Answer(p, "other", map[string]any{}, nil) },
			"Ask", "g/break-glass", "lookup vip was not made"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p, in := compileOf(t, vips), isolate(t)
			in.Vars["lookups"] = map[string]any{"vip": map[string]any{"found": false}} // nobody's business
			tc.answer(&in.Facts, p)
			got := guard.Evaluate(t.Context(), []*guard.Policy{p}, nil, in)
			if got.Answer != tc.want || got.Rule != tc.rule || !strings.Contains(got.Because, tc.because) {
				t.Errorf("got %s by %q: %q; want %s by %q: %q", got.Answer, got.Rule, got.Because, tc.want, tc.rule, tc.because)
			}
		})
	}
}

// Only what may be decided otherwise once a lookup answers is worth another look.
func TestUnanswered(t *testing.T) {
	find := []v1alpha1.GuardrailLookup{look("vip", "vips/find", "")}
	tests := map[string]struct {
		rules  []v1alpha1.GuardrailRule
		err    error
		answer v1alpha1.Answer
		want   bool
	}{
		"a deny rule that cannot be decided":         {[]v1alpha1.GuardrailRule{deny("d", "lookups.vip.found"), allow("a", "")}, errors.New("down"), "Ask", true},
		"an ask rule that cannot be decided":         {[]v1alpha1.GuardrailRule{ask("d", "lookups.vip.found", v1alpha1.Ask{}), allow("a", "")}, errors.New("down"), "Ask", true},
		"an allow rule that cannot be decided":       {[]v1alpha1.GuardrailRule{allow("a", "lookups.vip.found")}, errors.New("down"), "Ask", true},
		"a lookup that a rule does not need":         {[]v1alpha1.GuardrailRule{ask("d", "severity < Low && lookups.vip.found", v1alpha1.Ask{})}, errors.New("down"), "Ask", false},
		"a lookup that is not asked when it is down": {[]v1alpha1.GuardrailRule{ask("d", "", v1alpha1.Ask{})}, errors.New("down"), "Ask", false},
		"an answer in which something lacks":         {[]v1alpha1.GuardrailRule{deny("d", "lookups.vip.tier == 'x'")}, nil, "Ask", false},
		"what is denied whatever the answer":         {[]v1alpha1.GuardrailRule{deny("d", ""), deny("e", "lookups.vip.found")}, errors.New("down"), "Deny", false},
		"what is allowed whatever the answer":        {[]v1alpha1.GuardrailRule{allow("a", ""), allow("b", "lookups.vip.found")}, errors.New("down"), "Allow", false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			p, in := compileOf(t, func(spec *v1alpha1.GuardrailSpec) { spec.Lookups, spec.Rules = find, tc.rules }), isolate(t)
			in.Facts.Answer(p, "vip", map[string]any{"found": true}, tc.err)
			if got := guard.Evaluate(t.Context(), []*guard.Policy{p}, nil, in); got.Answer != tc.answer || got.Unanswered != tc.want {
				t.Errorf("got %s, unanswered %v; want %s, %v: %s", got.Answer, got.Unanswered, tc.answer, tc.want, got.Because)
			}
		})
	}
}

func TestCompileNamesWhatIsWrong(t *testing.T) {
	many := func(n int32) *int32 { return &n }
	tests := map[string]struct {
		change func(*v1alpha1.GuardrailSpec)
		want   string
	}{
		"a lookup that is not declared": {func(s *v1alpha1.GuardrailSpec) { s.Rules = append(s.Rules, allow("a", "lookups.vap.found")) },
			"spec.rules[3].if: it reads lookups.vap, which spec.lookups does not declare; declared: vip, calm"},
		"has() of one": {func(s *v1alpha1.GuardrailSpec) { s.Rules = append(s.Rules, allow("a", "has(lookups.vap)")) }, "it reads lookups.vap"},
		"an optional one": {func(s *v1alpha1.GuardrailSpec) {
			s.Rules = append(s.Rules, allow("a", "lookups.?vap.?found.orValue(false)"))
		}, "it reads lookups.vap"},
		"lookups as a whole":       {func(s *v1alpha1.GuardrailSpec) { s.Rules = append(s.Rules, allow("a", "size(lookups) == 0")) }, "it reads lookups; name a lookup, as lookups.<name>; declared: vip, calm"},
		"a computed name":          {func(s *v1alpha1.GuardrailSpec) { s.Rules = append(s.Rules, allow("a", "lookups[input.x].found")) }, "it reads lookups; name a lookup"},
		"a name that is none":      {func(s *v1alpha1.GuardrailSpec) { s.Rules = append(s.Rules, allow("a", "lookups['v-p'].found")) }, `it reads lookups["v-p"].found; name a lookup`},
		"an input that is a list":  {func(s *v1alpha1.GuardrailSpec) { s.Lookups[1] = look("calm", "a/b", `[1]`) }, "spec.lookups[1].input: it must be an object of named values, this is []interface {}"},
		"an input that is no JSON": {func(s *v1alpha1.GuardrailSpec) { s.Lookups[1] = look("calm", "a/b", `{`) }, "spec.lookups[1].input: it is not JSON"},
		"an input that does not compile": {func(s *v1alpha1.GuardrailSpec) { s.Lookups[1] = look("calm", "a/b", `{"k":["${target.}"]}`) },
			"spec.lookups[1].input: k[0]: could not compile \"target.\""},
		"an input of another place":   {func(s *v1alpha1.GuardrailSpec) { s.Lookups[1] = look("calm", "a/b", `{"k":"${steps.x}"}`) }, "undeclared reference to 'steps'"},
		"a lookup that reads another": {func(s *v1alpha1.GuardrailSpec) { s.Lookups[1] = look("calm", "a/b", `{"k":"${lookups.vip.x}"}`) }, "spec.lookups[1].input: it reads lookups.vip.x, and lookups do not read each other"},
		"a budget without a max":      {func(s *v1alpha1.GuardrailSpec) { s.Budgets = []v1alpha1.Budget{{Name: "b", Per: *minutes(60)}} }, "spec.budgets[0].max: budget b must have a max"},
		"a budget of less than none": {func(s *v1alpha1.GuardrailSpec) {
			s.Budgets = []v1alpha1.Budget{{Name: "b", Max: many(-1), Per: *minutes(60)}}
		}, "spec.budgets[0].max"},
		"a budget without a time": {func(s *v1alpha1.GuardrailSpec) { s.Budgets = []v1alpha1.Budget{{Name: "b", Max: many(1)}} }, "spec.budgets[0].per: budget b must have a time between 1m and 24h, it has 0s"},
		"a budget of more than a day": {func(s *v1alpha1.GuardrailSpec) {
			s.Budgets = []v1alpha1.Budget{{Name: "b", Max: many(1), Per: *minutes(1441)}}
		}, "between 1m and 24h"},
		"a budget of what is not covered": {func(s *v1alpha1.GuardrailSpec) {
			s.Budgets = []v1alpha1.Budget{{Name: "b", Max: many(1), Per: *minutes(60), Operations: []string{"kubernetes/x", "idp/y"}}}
		}, "spec.budgets[0].operations[1]: budget b counts idp/y, which is not among what the Guardrail covers (kubernetes/*)"},
		"a breaker without its percentage": {func(s *v1alpha1.GuardrailSpec) { s.Breaker = &v1alpha1.Breaker{OutOf: 3} }, "spec.breaker: it must have wrongPercent"},
		"a breaker that looks at nothing":  {func(s *v1alpha1.GuardrailSpec) { s.Breaker = &v1alpha1.Breaker{WrongPercent: many(3)} }, "spec.breaker: it must have wrongPercent, and outOf of at least 1"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			g := guardrail(func(s *v1alpha1.GuardrailSpec) { vips(s); tc.change(s) })
			_, err := guard.Compile(g)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Fatalf("got %v, want an error with %q", err, tc.want)
			}
			asks := guard.Evaluate(t.Context(), []*guard.Policy{guard.Broken(g, err)}, nil, isolate(t))
			if asks.Answer != v1alpha1.AnswerAsk || asks.Rule != "g/does-not-compile" || !strings.Contains(asks.Because, "guardrail g does not compile") {
				t.Errorf("what stands for it says %s by %s: %s", asks.Answer, asks.Rule, asks.Because)
			}
		})
	}
}

func TestTraceShowsEverything(t *testing.T) {
	p, in := compileOf(t, vips), isolate(t)
	in.Facts.Answer(p, "calm", []any{"party"}, nil)
	away := compile(t, "away", []string{"idp/*"}, deny("no", ""))
	got := guard.Evaluate(t.Context(), []*guard.Policy{p, away}, []*guard.Policy{compile(t, "z", all, ask("q", "severity >= High", v1alpha1.Ask{}))}, in)
	for i := range got.Trace {
		for j := range got.Trace[i].Rules {
			got.Trace[i].Rules[j].Ask = nil
		}
	}
	const reason = `could not evaluate "lookups.vip.found && lookups.vip.tier == 'break-glass'": lookup vip was not made`
	want := []guard.PolicyTrace{
		{Guardrail: "z", Side: guard.Operator, Covers: true, Rules: []guard.RuleTrace{
			{Rule: "q", If: "severity >= High", Would: "Ask", Truth: expr.True, Answer: "Ask", Because: "rule z/q asks"},
		}},
		{Guardrail: "away", Side: guard.Tenant},
		{Namespace: "soc", Guardrail: "g", Side: guard.Tenant, Covers: true, Rules: []guard.RuleTrace{
			{Rule: "break-glass", If: "lookups.vip.found && lookups.vip.tier == 'break-glass'", Would: "Deny", Reason: reason,
				Answer: "Ask", Because: "g/break-glass would deny (it is break-glass) and cannot be decided: " + reason},
			{Rule: "cheap", Would: "Allow", Truth: expr.True, Answer: "Allow", Because: "it is cheap"},
			{Rule: "calm", If: "size(lookups.calm) == 0", Would: "Allow", Truth: expr.False},
		}},
	}
	if diff := cmp.Diff(want, got.Trace); diff != "" {
		t.Errorf("trace (-want +got):\n%s", diff)
	}
}
