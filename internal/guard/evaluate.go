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
	// Rule is the rule that decided, as guardrail/rule; empty where no rule answered.
	// Where several did it is the first: the operator's before the tenant's, Guardrails
	// by name, rules as they are listed.
	Rule string
	// Because is what that rule says, or each rule where several ask. It is never empty.
	Because string
	// Ask says who must approve, with every default applied; nil unless Answer is Ask.
	Ask *v1alpha1.Ask
}

// Evaluate gives the verdict of the tenant's policies and the operator's on a proposed
// action, whatever their order. Several rules that ask are one question that satisfies
// them all (see [Merge]).
func Evaluate(ctx context.Context, tenant, operator []*Policy, in Input) Verdict {
	vars := make(map[string]any, len(in.Vars)+1)
	for name, value := range in.Vars {
		vars[name] = value
	}
	vars[operationVar] = in.Operation
	var answers []answer
	var undecided []string
	for _, policies := range [][]*Policy{operator, tenant} {
		given, silent := chain(ctx, policies, in.Operation, vars)
		answers = append(answers, given...)
		undecided = append(undecided, silent...)
	}
	// The strictest of each namespace and the stricter of the two is the strictest of all.
	return strictest(answers, undecided)
}

// answer is what one rule says.
type answer struct {
	verdict v1alpha1.Answer
	rule    string
	because string
	ask     v1alpha1.Ask
}

// chain asks every rule of a namespace that covers the operation. Undecided names the
// allow rules that keep silent because they could not be decided.
func chain(ctx context.Context, policies []*Policy, operation string, vars map[string]any) (answers []answer, undecided []string) {
	sorted := slices.SortedStableFunc(slices.Values(policies), func(a, b *Policy) int { return strings.Compare(a.Name, b.Name) })
	for _, p := range sorted {
		if !p.Covers(operation) {
			continue
		}
		for _, r := range p.rules {
			truth, err := r.holds(ctx, vars)
			name := cut(p.Name+"/"+r.Name, maxRule)
			switch {
			case truth == expr.False:
			case truth == expr.Unknown && r.Allow != "":
				undecided = append(undecided, fmt.Sprintf("%s cannot be decided (%v)", name, err))
			default:
				answers = append(answers, r.answer(name, err))
			}
		}
	}
	return answers, undecided
}

func (r rule) holds(ctx context.Context, vars map[string]any) (expr.Truth, error) {
	if r.condition == nil {
		return expr.True, nil
	}
	return r.condition.EvalBool(ctx, vars)
}

// answer is what a rule says when its condition holds or, with the reason as err,
// cannot be decided; an allow rule is asked only when it holds.
func (r rule) answer(name string, err error) answer {
	out := answer{rule: name}
	switch {
	case r.Deny != "" && err == nil:
		out.verdict, out.because = v1alpha1.AnswerDeny, r.Deny
	case r.Deny != "":
		out.verdict, out.ask = v1alpha1.AnswerAsk, Effective(v1alpha1.Ask{})
		out.because = fmt.Sprintf("%s would deny (%s) and cannot be decided: %v", name, r.Deny, err)
	case r.Ask != nil:
		out.verdict, out.ask = v1alpha1.AnswerAsk, Effective(*r.Ask)
		out.because = cmp.Or(r.Ask.Because, "rule "+name+" asks")
		if err != nil {
			out.because += fmt.Sprintf(" (cannot be decided: %v)", err)
		}
	default:
		out.verdict, out.because = v1alpha1.AnswerAllow, r.Allow
	}
	return out
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

func asking(given []answer) Verdict {
	ask, because := given[0].ask, given[0].because
	for _, next := range given[1:] {
		merged, err := Merge(ask, next.ask)
		if err != nil {
			return Verdict{
				Answer: v1alpha1.AnswerDeny, Rule: next.rule,
				Because: cut(fmt.Sprintf("%s and %s ask what nobody can give: %v", given[0].rule, next.rule, err), maxBecause),
			}
		}
		ask = merged
		if !strings.Contains(because, next.because) {
			because += "; " + next.because
		}
	}
	return question(ask, given[0].rule, because)
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
