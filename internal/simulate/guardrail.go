// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/guard"
)

// guardrail runs a test of a Guardrail: what it alone says of one proposed action.
func (c *checker) guardrail(ctx context.Context, catalog *Catalog, name string, t guardrailTest) {
	found, err := named("Guardrail", catalog.Guardrails, name)
	if c.failed(err) {
		return
	}
	policy, err := guard.Compile(found)
	if c.failed(err) {
		return
	}
	spec, err := proposed(catalog, t)
	if c.failed(err) {
		return
	}
	given := caseGiven{}
	if t.Given.Case != nil {
		given = *t.Given.Case
	}
	of := given.object("test")
	if of.Spec.Severity.Rank() == 0 {
		c.fail("given.case.severity: %q is none of Informational, Low, Medium, High and Critical", given.Severity)
		return
	}
	in, err := guard.InputOf(casefile.Vars(of), spec)
	if c.failed(err) {
		return
	}
	in.Facts.Now = at(t.Given.Time)
	if in.Facts.History, err = history(t.Given.Ran, in.Facts.Now); c.failed(err) {
		return
	}
	for _, l := range policy.Lookups(ctx, in) {
		value, said, err := t.Given.Lookups.lookUp(l.Operation, l.Input)
		if !said {
			c.fail("lookup %s asks %s %s, of which the test says nothing: add it, or \"*\", under given.lookups", l.Name, l.Operation, compact(l.Input))
		}
		if err == nil {
			value, err = plain(value)
		}
		in.Facts.Answer(policy, l.Name, value, cmp.Or(l.Err, err))
	}
	c.verdict(guard.Evaluate(ctx, []*guard.Policy{policy}, nil, in), name, t.Expect)
}

// verdict holds what a Guardrail says up to what the test expects.
func (c *checker) verdict(verdict guard.Verdict, name string, expect guardrailExpect) {
	c.trace("verdict %s %s: %s", verdict.Answer, verdict.Rule, verdict.Because)
	for _, p := range verdict.Trace {
		for _, r := range p.Rules {
			c.trace("        %s", compact(r))
		}
	}
	text(c, "answer", &expect.Answer, verdict.Answer)
	if want := expect.Rule; want != nil {
		rule := strings.TrimPrefix(verdict.Rule, name+"/")
		text(c, "rule", want, rule)
	}
	if want := expect.Because; want != nil && !strings.Contains(verdict.Because, *want) {
		c.fail("because: expected it to say %q, came %q", *want, verdict.Because)
	}
	ask := v1alpha1.Ask{}
	if verdict.Ask != nil {
		ask = *verdict.Ask
	}
	text(c, "verb", expect.Verb, ask.Verb)
	if expect.Count != nil && *expect.Count != ask.Count {
		c.fail("count: expected %d, came %d", *expect.Count, ask.Count)
	}
}

// proposed is the action that the test proposes. Its target is what the connector says it is, unless the test does.
func proposed(catalog *Catalog, t guardrailTest) (v1alpha1.ActionSpec, error) {
	spec := v1alpha1.ActionSpec{
		Operation: t.Given.Operation, Requester: v1alpha1.PlaybookRunSpec{}.Actor(""),
	}
	if t.Expect.Answer == "" {
		return spec, fmt.Errorf("expect.answer is missing: write Allow, Ask or Deny")
	}
	input := object(t.Given.Input)
	if input == nil {
		input = map[string]any{}
	}
	raw, err := json.Marshal(input)
	if err != nil {
		return spec, err
	}
	spec.Input = apiextensionsv1.JSON{Raw: raw}
	if err := into(t.Given.Requester, &spec.Requester); err != nil {
		return spec, fmt.Errorf("given.requester: %w", err)
	}
	if t.Given.Target != nil {
		if err := into(t.Given.Target, &spec.Target); err != nil {
			return spec, fmt.Errorf("given.target: %w", err)
		}
		return spec, nil
	}
	tool, _, _, err := catalog.tool(t.Given.Operation)
	if err != nil {
		return spec, err
	}
	if tool == nil {
		return spec, fmt.Errorf("the target of %s cannot be told: give it under given.target", t.Given.Operation)
	}
	_, name, _ := strings.Cut(t.Given.Operation, "/")
	spec.Target, err = tool.Target(name, input)
	return spec, err
}

// into reads named values into a value of the API and refuses names that it does not have.
func into(from map[string]any, to any) error {
	if from == nil {
		return nil
	}
	decoder := json.NewDecoder(strings.NewReader(compact(from)))
	decoder.DisallowUnknownFields()
	return decoder.Decode(to)
}

// mostRan bounds what one entry says ran before.
const mostRan = 10_000

// history is what ran before, as the test says.
func history(ran []ranGiven, now time.Time) (*guard.History, error) {
	out := &guard.History{}
	for i, r := range ran {
		ago := time.Duration(0)
		if r.Ago != "" {
			var err error
			if ago, err = time.ParseDuration(r.Ago); err != nil {
				return nil, fmt.Errorf("given.ran[%d].ago: %w", i, err)
			}
		}
		if r.Times < 0 || r.Times > mostRan {
			return nil, fmt.Errorf("given.ran[%d].times: %d is not between 0 and %d", i, r.Times, mostRan)
		}
		for n := range max(r.Times, 1) {
			uid := fmt.Sprintf("ran-%d-%d", i, n)
			out.Usage = append(out.Usage, guard.Usage{Action: uid, Operation: r.Operation, BeganTime: now.Add(-ago)})
			out.Ended = append(out.Ended, guard.Ended{Action: uid, Handle: uid, Operation: r.Operation, Time: now.Add(-ago), Wrong: r.Wrong})
		}
	}
	return out, nil
}

// permission is what guardrails and people say of an action now.
func (w *world) permission(a *v1alpha1.Action, l *ledger) action.Permission {
	in, err := guard.InputOf(w.caseType.Vars(w.ctx, w.of), a.Spec)
	if w.checker.failed(err) {
		return action.Permission{}
	}
	ran := make([]v1alpha1.Action, len(w.actions))
	for i, one := range w.actions {
		ran[i] = *one
	}
	in.Facts = guard.Facts{Now: w.now, Self: string(a.UID), History: guard.HistoryOf(ran)}
	for _, policy := range w.policies {
		for _, lookup := range policy.Lookups(w.ctx, in) {
			value, err := any(nil), lookup.Err
			if err == nil {
				value, err = w.read(lookup.Operation, lookup.Input, "guardrail "+policy.Name)
			}
			in.Facts.Answer(policy, lookup.Name, value, err)
		}
	}
	verdict := guard.Evaluate(w.ctx, w.policies, nil, in)
	p := action.Permission{Verdict: v1alpha1.GuardVerdict{
		Answer: verdict.Answer, Rule: verdict.Rule, Because: verdict.Because, Time: metav1.NewMicroTime(w.now),
	}}
	if verdict.Answer != v1alpha1.AnswerAsk {
		return p
	}
	p.Question = verdict.Question(a.Spec, w.now)
	if a.Status.State == v1alpha1.ActionAsking {
		l.decision = w.people[a.Spec.Step] // people answer what they are asked, not before
	}
	person := v1alpha1.Approval{Decision: "test", Actor: v1alpha1.Actor{Username: "a person of the test"}, Time: metav1.NewMicroTime(w.now)}
	switch l.decision {
	case approve:
		p.Approved, p.Approvals = true, []v1alpha1.Approval{person}
	case deny:
		p.Denied, p.DeniedBecause = &person, "as the test says"
	}
	return p
}
