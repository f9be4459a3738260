// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package guard

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
)

// What the schema of a verdict takes, in code points.
const (
	maxRule    = 253
	maxBecause = 1024
)

// Silence is why a person is asked where no rule answers.
const Silence = "no rule answers"

// Verdict is what the guardrails say of a proposed action.
type Verdict struct {
	// Answer is the verdict.
	Answer v1alpha1.Answer
	// Rule is what decided, as guardrail/rule, guardrail/budget, guardrail/breaker or
	// guardrail/baseline; empty where nothing answered. Where several did it is the first:
	// the operator's before the tenant's, Guardrails by name, and of one its rules as they
	// are listed, its baseline, its budgets and its breaker.
	Rule string
	// Because is what that rule says, or each rule where several ask. It is never empty.
	Because string
	// Ask says who must approve, with every default applied; nil unless Answer is Ask.
	Ask *v1alpha1.Ask
	// Unanswered says that it asks while a rule could not be decided that reads a lookup which
	// failed: once that lookup answers, the verdict may be another.
	Unanswered bool
	// Trace says how each Guardrail answered, in the order of Rule.
	Trace []PolicyTrace
}

// Evaluate gives the verdict of the tenant's policies and the operator's on a proposed
// action, whatever their order. Several rules that ask are one question that satisfies
// them all (see [Merge]). Where no rule asks, but a baseline, a budget or a breaker does,
// the question has the documented defaults.
//
// What it needs of the world is in in.Facts: the answers to [Policy.Lookups] of every
// policy, and what ran where [WantsHistory] says so. A freeze is no verdict: it stops
// also what was allowed or approved (see [Frozen]).
func Evaluate(ctx context.Context, tenant, operator []*Policy, in Input) Verdict {
	h := &hearing{in: in, vars: in.vars()}
	h.chain(ctx, operator, Operator)
	h.chain(ctx, tenant, Tenant)
	// The strictest of each namespace and the stricter of the two is the strictest of all.
	out := strictest(h.answers, h.undecided)
	out.Unanswered, out.Trace = h.unanswered && out.Answer == v1alpha1.AnswerAsk, h.trace
	return out
}

// answer is what one rule, baseline, budget or breaker says.
type answer struct {
	verdict v1alpha1.Answer
	rule    string
	because string
	ask     *v1alpha1.Ask // whom a rule asks; nil: whom the defaults say
}

// hearing collects what is said of one proposed action.
type hearing struct {
	in   Input
	vars map[string]any

	answers []answer
	// undecided names the allow rules that keep silent because they could not be decided.
	undecided []string
	// unanswered says that a rule could not be decided that reads a lookup which failed.
	unanswered bool
	trace      []PolicyTrace
}

// chain asks every policy of a namespace.
func (h *hearing) chain(ctx context.Context, policies []*Policy, side Side) {
	sorted := slices.SortedStableFunc(slices.Values(policies), func(a, b *Policy) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range sorted {
		trace := PolicyTrace{Namespace: p.Namespace, Guardrail: p.Name, Side: side, Covers: p.Covers(h.in.Operation)}
		if trace.Covers {
			h.ask(ctx, p, &trace)
		}
		h.trace = append(h.trace, trace)
	}
}

// ask asks the rules of a policy, and what asks people whatever they say.
func (h *hearing) ask(ctx context.Context, p *Policy, trace *PolicyTrace) {
	before := len(h.answers)
	vars := p.withLookups(h.vars, h.in.Facts)
	for _, r := range p.rules {
		trace.Rules = append(trace.Rules, h.rule(ctx, p, r, vars))
	}
	if len(h.answers) == before && trace.Side == Operator && p.baseline == v1alpha1.RequireAllow {
		trace.Baseline = fmt.Sprintf("guardrail %s must itself allow what runs unattended, and none of its rules answers", p.Name)
		h.withdraw(p, "baseline", trace.Baseline)
	}
	trace.Budgets = p.budgetsFor(h.in)
	for _, b := range trace.Budgets {
		if b.Over() {
			h.withdraw(p, b.Budget, b.String())
		}
	}
	if trace.Breaker = p.breakerFor(h.in); trace.Breaker != nil && trace.Breaker.Open() {
		h.withdraw(p, "breaker", trace.Breaker.String())
	}
}

func (h *hearing) rule(ctx context.Context, p *Policy, r rule, vars map[string]any) RuleTrace {
	truth, err := r.holds(ctx, vars)
	out := RuleTrace{Rule: r.Name, If: r.If, Would: r.would(), Truth: truth}
	if err != nil {
		out.Reason = err.Error()
	}
	h.unanswered = h.unanswered || truth == expr.Unknown && r.waits(p, h.in.Facts)
	name := nameOf(p, r.Name)
	switch {
	case truth == expr.False:
	case truth == expr.Unknown && r.Allow != "":
		h.undecided = append(h.undecided, fmt.Sprintf("%s cannot be decided (%v)", name, err))
	default:
		said := r.answer(name, err)
		out.Answer, out.Because, out.Ask = said.verdict, said.because, said.ask
		h.answers = append(h.answers, said)
	}
	return out
}

// withdraw lets nothing run unattended. It sets no terms of its own: a rule that asks
// knows better whom, and for how long.
func (h *hearing) withdraw(p *Policy, what, because string) {
	h.answers = append(h.answers, answer{verdict: v1alpha1.AnswerAsk, rule: nameOf(p, what), because: because})
}

func nameOf(p *Policy, what string) string { return cut(p.Name+"/"+what, maxRule) }

func (r rule) holds(ctx context.Context, vars map[string]any) (expr.Truth, error) {
	if r.condition == nil {
		return expr.True, nil
	}
	return r.condition.EvalBool(ctx, vars)
}

// waits tells whether a rule reads a lookup that failed.
func (r rule) waits(p *Policy, facts Facts) bool {
	return r.condition != nil && slices.ContainsFunc(r.condition.Names(lookupsVar), func(name string) bool {
		return facts.failed[key{p.Namespace, p.Name, name}]
	})
}

// would is the answer of a rule whose condition holds.
func (r rule) would() v1alpha1.Answer {
	switch {
	case r.Deny != "":
		return v1alpha1.AnswerDeny
	case r.Ask != nil:
		return v1alpha1.AnswerAsk
	default:
		return v1alpha1.AnswerAllow
	}
}

// answer is what a rule says when its condition holds or, with the reason as err,
// cannot be decided; an allow rule is asked only when it holds.
func (r rule) answer(name string, err error) answer {
	out := answer{rule: name, verdict: r.would()}
	switch {
	case out.verdict == v1alpha1.AnswerDeny && err == nil:
		out.because = r.Deny
	case out.verdict == v1alpha1.AnswerDeny:
		out.verdict, out.ask = v1alpha1.AnswerAsk, effective(v1alpha1.Ask{})
		out.because = fmt.Sprintf("%s would deny (%s) and cannot be decided: %v", name, r.Deny, err)
	case out.verdict == v1alpha1.AnswerAsk:
		out.ask = effective(*r.Ask)
		out.because = cmp.Or(r.Ask.Because, "rule "+name+" asks")
		if err != nil {
			out.because += fmt.Sprintf(" (cannot be decided: %v)", err)
		}
	default:
		out.because = r.Allow
	}
	return out
}

func effective(a v1alpha1.Ask) *v1alpha1.Ask {
	out := Effective(a)
	return &out
}

// strictest picks the answer that decides, and makes one question of several that ask.
func strictest(answers []answer, undecided []string) Verdict {
	for _, level := range []v1alpha1.Answer{v1alpha1.AnswerDeny, v1alpha1.AnswerAsk, v1alpha1.AnswerAllow} {
		var given []answer
		for _, a := range answers {
			if a.verdict == level {
				given = append(given, a)
			}
		}
		switch {
		case len(given) == 0:
		case level == v1alpha1.AnswerAsk:
			return asking(given)
		default:
			return Verdict{Answer: level, Rule: given[0].rule, Because: cut(given[0].because, maxBecause)}
		}
	}
	ask := Effective(v1alpha1.Ask{})
	because := Silence
	if len(undecided) > 0 {
		because += ": " + strings.Join(undecided, "; ")
	}
	return question(ask, "", because)
}

// asking makes one question of several.
func asking(given []answer) Verdict {
	var terms *answer // of those rules that ask
	because := given[0].because
	for i, next := range given {
		if i > 0 && !strings.Contains(because, next.because) {
			because += "; " + next.because
		}
		switch {
		case next.ask == nil:
			continue
		case terms == nil:
			terms = &next
			continue
		}
		merged, err := Merge(*terms.ask, *next.ask)
		if err != nil {
			return Verdict{
				Answer: v1alpha1.AnswerDeny, Rule: next.rule,
				Because: cut(fmt.Sprintf("%s and %s ask what nobody can give: %v", terms.rule, next.rule, err), maxBecause),
			}
		}
		terms = &answer{rule: terms.rule, ask: &merged}
	}
	if terms == nil {
		terms = &answer{ask: effective(v1alpha1.Ask{})}
	}
	return question(*terms.ask, given[0].rule, because)
}

func question(ask v1alpha1.Ask, rule, because string) Verdict {
	because = cut(because, maxBecause)
	ask.Because = cut(because, maxAskBecause)
	return Verdict{Answer: v1alpha1.AnswerAsk, Rule: rule, Because: because, Ask: &ask}
}

// cut shortens text to a number of code points.
func cut(text string, most int) string {
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
