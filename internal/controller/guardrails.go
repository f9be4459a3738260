// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/decision"
	"github.com/casebook-dev/casebook/internal/guard"
	"github.com/casebook-dev/casebook/internal/kube"
)

// guardrails reads what guardrails and people say of an action. Two namespaces are heard, the tenant's and the
// operator's; one that cannot be heard allows nothing.
type guardrails struct {
	client    client.Reader
	namespace string // the operator's own
}

// permission is what guardrails and people say of an action now.
func (g *guardrails) permission(ctx context.Context, a *v1alpha1.Action, now time.Time) (action.Permission, error) {
	var c v1alpha1.Case
	key := types.NamespacedName{Namespace: a.Namespace, Name: a.Spec.CaseRef.Name}
	if err := g.client.Get(ctx, key, &c); err != nil && !apierrors.IsNotFound(err) {
		return action.Permission{}, fmt.Errorf("read the case of action %s: %w", a.Name, err)
	}
	verdict, err := g.verdict(ctx, a.Namespace, a.Spec, &c)
	if err != nil {
		return action.Permission{}, err
	}
	p := action.Permission{Verdict: v1alpha1.GuardVerdict{
		Answer: verdict.Answer, Rule: verdict.Rule, Because: verdict.Because, Time: metav1.NewMicroTime(now),
	}}
	if verdict.Answer != v1alpha1.AnswerAsk {
		return p, nil
	}
	p.Question = question(a, verdict, now)
	return p, g.hear(ctx, a, &p)
}

// verdict evaluates the guardrails of both namespaces. One that does not compile counts as asking: an operator's typo
// must not let anything through.
func (g *guardrails) verdict(ctx context.Context, namespace string, spec v1alpha1.ActionSpec, c *v1alpha1.Case) (guard.Verdict, error) {
	tenant, err := g.policies(ctx, namespace)
	if err != nil {
		return guard.Verdict{}, err
	}
	var operator []*guard.Policy
	if namespace != g.namespace {
		if operator, err = g.policies(ctx, g.namespace); err != nil {
			return guard.Verdict{}, err
		}
	}
	in, err := guard.InputOf(casefile.Vars(c), spec)
	if err != nil {
		return guard.Verdict{}, err
	}
	return guard.Evaluate(ctx, tenant, operator, in), nil
}

func (g *guardrails) policies(ctx context.Context, namespace string) ([]*guard.Policy, error) {
	var list v1alpha1.GuardrailList
	if err := g.client.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("list the guardrails of namespace %s: %w", namespace, err)
	}
	out := make([]*guard.Policy, 0, len(list.Items))
	for i := range list.Items {
		policy, err := guard.Compile(&list.Items[i])
		if err != nil {
			policy, err = guard.Compile(asking(&list.Items[i]))
		}
		if err != nil {
			return nil, err
		}
		out = append(out, policy)
	}
	return out, nil
}

// asking stands for a guardrail that does not compile: it covers the same, and asks.
func asking(broken *v1alpha1.Guardrail) *v1alpha1.Guardrail {
	out := &v1alpha1.Guardrail{}
	out.Name = broken.Name
	out.Spec.Covers = broken.Spec.Covers
	out.Spec.Rules = []v1alpha1.GuardrailRule{{Name: "does-not-compile", Ask: &v1alpha1.Ask{
		Because: "guardrail " + broken.Name + " does not compile, so its rules cannot answer: see kubectl describe guardrail " + broken.Name,
	}}}
	return out
}

func question(a *v1alpha1.Action, verdict guard.Verdict, now time.Time) *v1alpha1.Question {
	ask := verdict.Ask
	excluded := guard.ExcludedFrom(*ask, a.Spec.Requester, a.Spec.Author)
	return &v1alpha1.Question{
		Kind: v1alpha1.QuestionApproval, Prompt: fmt.Sprintf("%s on %s?", a.Spec.Operation, describeTarget(a.Spec.Target)),
		Verb: ask.Verb, Groups: ask.Groups, Excluded: excluded, Count: ask.Count, Digest: a.Spec.PlanDigest, Because: verdict.Because,
		DueTime: metav1.NewMicroTime(now.Add(ask.ValidFor.Duration)),
	}
}

// hear counts the decisions on exactly this plan.
func (g *guardrails) hear(ctx context.Context, a *v1alpha1.Action, p *action.Permission) error {
	counted, err := countedDecisions(ctx, g.client, a.Namespace, a.Spec.CaseRef, a.Spec.Handle, a.Spec.PlanDigest)
	if err != nil {
		return err
	}
	p.Approved, _, p.Approvals = decision.Quorum(*p.Question, counted)
	if no := earliest(denials(counted)); no != nil {
		p.Denied = &v1alpha1.Approval{Decision: no.Name, Actor: *no.Spec.Actor, Time: casefile.DecidedTime(no)}
		p.DeniedBecause = no.Spec.Message
	}
	return nil
}

func denials(counted []v1alpha1.Decision) []v1alpha1.Decision {
	return slices.DeleteFunc(slices.Clone(counted), func(d v1alpha1.Decision) bool { return d.Spec.Verdict != v1alpha1.VerdictDeny })
}

// countedDecisions are the decisions on one question of a case that count.
func countedDecisions(ctx context.Context, c client.Reader, namespace string, of v1alpha1.RecordRef, handle, digest string) ([]v1alpha1.Decision, error) {
	var list v1alpha1.DecisionList
	if err := c.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{kube.ByCase: of.Name}); err != nil {
		return nil, fmt.Errorf("list the decisions of case %s: %w", of.Name, err)
	}
	var out []v1alpha1.Decision
	for _, d := range list.Items {
		answers := d.Spec.Answer != nil && d.Spec.Answer.Handle == handle && d.Spec.Answer.Digest == digest
		if answers && d.Spec.CaseRef.UID == of.UID && d.Status.State == v1alpha1.DecisionCounted {
			out = append(out, d)
		}
	}
	return out, nil
}
