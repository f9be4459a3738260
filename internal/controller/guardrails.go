// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/decision"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/guard"
	"github.com/casebook-dev/casebook/internal/kube"
)

// guardrails reads what guardrails and people say of an action. Two namespaces are heard, the tenant's and the
// operator's; one that cannot be heard allows nothing.
type guardrails struct {
	client     client.Reader
	live       client.Reader // what is counted when a process starts is read past the cache
	connectors *connectors
	namespace  string // the operator's own
	budgets    guard.Ledger

	mu      sync.Mutex
	counted map[string]bool // namespaces whose actions this process has read live
}

// lookupsOfGuardrails made at once.
const lookupsOfGuardrails = 4

// permission is what guardrails and people say of an action now. A place in every budget is taken for one that may begin.
func (g *guardrails) permission(ctx context.Context, a *v1alpha1.Action, now time.Time) (action.Permission, error) {
	var c v1alpha1.Case
	key := types.NamespacedName{Namespace: a.Namespace, Name: a.Spec.CaseRef.Name}
	if err := g.client.Get(ctx, key, &c); err != nil && !apierrors.IsNotFound(err) {
		return action.Permission{}, fmt.Errorf("read the case of action %s: %w", a.Name, err)
	}
	asked, err := g.proposal(ctx, a, &c, now)
	if err != nil {
		return action.Permission{}, err
	}
	verdict := asked.evaluate(ctx)
	if verdict.Answer == v1alpha1.AnswerAllow && !g.reserve(asked, a, now) {
		asked.in.Facts.History = g.standing(asked, a)
		verdict = asked.evaluate(ctx)
	}
	p := action.Permission{Verdict: v1alpha1.GuardVerdict{
		Answer: verdict.Answer, Rule: verdict.Rule, Because: verdict.Because, Time: metav1.NewMicroTime(now),
	}, Unanswered: verdict.Unanswered, RetryAfter: asked.leave}
	if verdict.Answer != v1alpha1.AnswerAsk {
		return p, nil
	}
	wanted := a.Spec
	if wanted.Requester, err = g.requester(ctx, a); err != nil {
		return p, err
	}
	p.Question = verdict.Question(wanted, now)
	if err := g.hear(ctx, a, &p); err != nil {
		return p, err
	}
	if p.Approved && p.Denied == nil {
		g.budgets.Note(a.Namespace, guard.Usage{Action: string(a.UID), Operation: a.Spec.Operation, BeganTime: now})
	}
	return p, nil
}

// proposal is an action as the guardrails are asked about it.
type proposal struct {
	tenant, operator []*guard.Policy
	in               guard.Input
	listed           *guard.History // what the API lists; nil where nothing counts it
	leave            time.Duration  // how long the lookups that failed want to be left alone
}

func (p proposal) policies() []*guard.Policy { return slices.Concat(p.operator, p.tenant) }

// budgets are the states of all that count an action.
func (p proposal) budgets(a *v1alpha1.Action, now time.Time, began []guard.Usage) (out []guard.BudgetState) {
	for _, policy := range p.policies() {
		out = append(out, policy.Budgets(a.Spec.Operation, now, began, string(a.UID))...)
	}
	return out
}

// evaluate asks the rules. One that thinks for too long cannot be decided.
func (p proposal) evaluate(ctx context.Context) guard.Verdict {
	ctx, cancel := context.WithTimeout(ctx, loop.Thinking)
	defer cancel()
	return guard.Evaluate(ctx, p.tenant, p.operator, p.in)
}

// proposal reads all that the guardrails of both namespaces want to know.
func (g *guardrails) proposal(ctx context.Context, a *v1alpha1.Action, c *v1alpha1.Case, now time.Time) (proposal, error) {
	out, err := g.covering(ctx, a.Namespace)
	if err != nil {
		return out, err
	}
	ct, err := typeOf(ctx, g.client, c)
	if err != nil {
		return out, err
	}
	if out.in, err = guard.InputOf(ct.Vars(ctx, c), a.Spec); err != nil {
		return out, err
	}
	out.in.Facts = guard.Facts{Now: now, Self: string(a.UID)}
	if guard.WantsHistory(out.policies(), a.Spec.Operation) {
		if out.listed, err = g.history(ctx, a.Namespace); err != nil {
			return out, err
		}
		out.in.Facts.History = g.standing(out, a)
	}
	g.lookUp(ctx, &out)
	return out, nil
}

// covering is a proposal without its input: the guardrails of both namespaces.
func (g *guardrails) covering(ctx context.Context, namespace string) (out proposal, err error) {
	if out.tenant, err = g.policies(ctx, namespace); err != nil || namespace == g.namespace {
		return out, err
	}
	out.operator, err = g.policies(ctx, g.namespace)
	return out, err
}

// history is what ran in a namespace. A process that did not announce it reads it live once: what another announced a
// moment ago may not have come to this cache yet.
func (g *guardrails) history(ctx context.Context, namespace string) (*guard.History, error) {
	g.mu.Lock()
	known := g.counted[namespace]
	g.mu.Unlock()
	reader := g.client
	if !known {
		reader = g.live
	}
	var list v1alpha1.ActionList
	// What is counted is only read: the cache need not copy every action that ever ran.
	if err := reader.List(ctx, &list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("count the actions of namespace %s: %w", namespace, err)
	}
	history := guard.HistoryOf(list.Items)
	if !known {
		for _, usage := range history.Usage {
			g.budgets.Note(namespace, usage)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.counted == nil {
			g.counted = map[string]bool{}
		}
		g.counted[namespace] = true
	}
	return history, nil
}

// standing is what the API lists, and what this process reserved for others.
func (g *guardrails) standing(p proposal, a *v1alpha1.Action) *guard.History {
	if p.listed == nil {
		return nil
	}
	return &guard.History{Ended: p.listed.Ended, Usage: g.budgets.Usage(a.Namespace, string(a.UID), p.listed.Usage)}
}

// reserve takes a place in every budget for an action that may begin unattended.
func (g *guardrails) reserve(p proposal, a *v1alpha1.Action, now time.Time) bool {
	if p.listed == nil {
		return true
	}
	usage := guard.Usage{Action: string(a.UID), Operation: a.Spec.Operation, BeganTime: now}
	_, ok := g.budgets.Reserve(a.Namespace, usage, p.policies(), p.listed.Usage)
	return ok
}

// overdrawn says which budget is used up after all for an action that is about to be sent for the first time, and that
// nobody approved; empty if none is. The place that this process took was taken in its own memory: another that believes
// to lead, or did a moment ago, took places in its own. Each announces before it reads what the others announced, so that
// of two that take the last place at least one sees the other. It reads live only where a budget counts the operation, and no
// more often than the budget lets actions begin.
func (g *guardrails) overdrawn(ctx context.Context, a *v1alpha1.Action, now time.Time) (string, error) {
	attended := a.Status.Verdict == nil || a.Status.Verdict.Answer != v1alpha1.AnswerAllow
	began, _ := guard.Began(a)
	if attended || !began.Equal(lastAttempt(a).StartTime.Time) {
		return "", nil
	}
	p, err := g.covering(ctx, a.Namespace)
	if err != nil || len(p.budgets(a, now, nil)) == 0 {
		return "", err
	}
	var list v1alpha1.ActionList
	if err := g.live.List(ctx, &list, client.InNamespace(a.Namespace)); err != nil {
		return "", fmt.Errorf("count the actions of namespace %s before sending: %w", a.Namespace, err)
	}
	others := slices.DeleteFunc(guard.HistoryOf(list.Items).Usage, func(u guard.Usage) bool { return u.Action == string(a.UID) })
	for _, state := range p.budgets(a, now, others) {
		if state.Over() {
			return state.String(), nil
		}
	}
	return "", nil
}

// release gives up what was reserved for an action that ended before anything of it began.
func (g *guardrails) release(a *v1alpha1.Action) {
	if _, began := guard.Began(a); !began {
		g.budgets.Release(a.Namespace, string(a.UID))
	}
}

// lookUp makes the lookups that the guardrails declare, each in its guardrail's own namespace. One that fails is unknown,
// and the rules that need it answer on the safe side.
func (g *guardrails) lookUp(ctx context.Context, p *proposal) {
	ctx, cancel := context.WithTimeout(ctx, lookupsWithin)
	defer cancel()
	type answer struct {
		policy *guard.Policy
		lookup guard.Lookup
		value  any
	}
	var answers []*answer
	for _, policy := range p.policies() {
		for _, lookup := range policy.Lookups(ctx, p.in) {
			answers = append(answers, &answer{policy: policy, lookup: lookup})
		}
	}
	var group errgroup.Group
	group.SetLimit(lookupsOfGuardrails)
	for _, a := range answers {
		group.Go(func() error {
			if a.lookup.Err == nil {
				a.value, a.lookup.Err = g.connectors.lookUp(ctx, a.policy.Namespace, a.lookup.Operation, a.lookup.Input)
			}
			return nil
		})
	}
	_ = group.Wait() // no lookup fails the others
	for _, a := range answers {
		p.in.Facts.Answer(a.policy, a.lookup.Name, a.value, a.lookup.Err)
		if wait, ok := errors.AsType[*fault.Wait](a.lookup.Err); ok {
			p.leave = max(p.leave, wait.After)
		}
	}
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
			policy = guard.Broken(&list.Items[i], err)
		}
		out = append(out, policy)
	}
	return out, nil
}

// requester is who wants an action: where its run was started by hand, the person who did that, for the run is only their tool.
func (g *guardrails) requester(ctx context.Context, a *v1alpha1.Action) (v1alpha1.JournalActor, error) {
	if a.Spec.RunRef == nil {
		return a.Spec.Requester, nil
	}
	var run v1alpha1.PlaybookRun
	if err := g.client.Get(ctx, types.NamespacedName{Namespace: a.Namespace, Name: a.Spec.RunRef.Name}, &run); err != nil {
		return a.Spec.Requester, fmt.Errorf("read run %s, which wants action %s: %w", a.Spec.RunRef.Name, a.Name, err)
	}
	by := run.Spec.DecisionRef
	if by == nil {
		return a.Spec.Requester, nil
	}
	var d v1alpha1.Decision
	if err := g.client.Get(ctx, types.NamespacedName{Namespace: a.Namespace, Name: by.Name}, &d); err != nil {
		return a.Spec.Requester, fmt.Errorf("read decision %s, which started run %s: %w", by.Name, run.Name, err)
	}
	return casefile.Person(d.Spec.Actor), nil
}

// hear counts the decisions on exactly this plan: who approved since it was asked as it is asked now, and who ever denied it.
func (g *guardrails) hear(ctx context.Context, a *v1alpha1.Action, p *action.Permission) error {
	counted, err := countedDecisions(ctx, g.client, a.Namespace, a.Spec.CaseRef, a.Spec.Handle, a.Spec.PlanDigest)
	if err != nil {
		return err
	}
	if action.SameQuestion(a.Status.Question, p.Question) {
		p.Approved, _, p.Approvals = decision.Quorum(*a.Status.Question, counted)
	}
	if no := earliest(denials(counted, a)); no != nil {
		p.Denied = &v1alpha1.Approval{Decision: no.Name, Actor: *no.Spec.Actor, Time: casefile.DecidedTime(no)}
		p.DeniedBecause = no.Spec.Message
	}
	return nil
}

// denials are those of an action: one of another action with the same plan, before this one was made, was not meant for it.
func denials(counted []v1alpha1.Decision, a *v1alpha1.Action) []v1alpha1.Decision {
	return slices.DeleteFunc(slices.Clone(counted), func(d v1alpha1.Decision) bool {
		return d.Spec.Verdict != v1alpha1.VerdictDeny || d.CreationTimestamp.Before(&a.CreationTimestamp)
	})
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
