// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/guard"
	"github.com/casebook-dev/casebook/internal/report"
)

// would says for each operation whose target is known what guardrails would say if the viewer asked for it. It is a
// forecast: the controllers ask again, and they alone make lookups and hear the operator's guardrails where the viewer
// may not.
func (c *cluster) would(ctx context.Context, of *v1alpha1.Case, viewer report.Viewer, connectors []v1alpha1.Connector, list *report.Operations) {
	heard, err := c.hear(ctx, nil, time.Now())
	if err != nil {
		list.Silent = "the guardrails of namespace " + of.Namespace + " cannot be read"
		return
	}
	var silent []string
	if heard.operatorAway {
		silent = append(silent, "the operator's own guardrails, which may be stricter")
	}
	vars, lookups := c.caseVars(ctx, of), false
	for i := range list.Operations {
		operation := &list.Operations[i]
		if operation.Target == nil {
			continue
		}
		raw, err := json.Marshal(operation.Input)
		if err != nil {
			continue
		}
		target := v1alpha1.Target{
			Type: operation.Target.Type, Namespace: operation.Target.Namespace, Name: operation.Target.Name, UID: operation.Target.UID,
		}
		connector, name, _ := strings.Cut(operation.Operation, "/")
		if at := slices.IndexFunc(connectors, func(c v1alpha1.Connector) bool { return c.Name == connector }); at >= 0 {
			if told, err := targetOf(&connectors[at], name, raw); err == nil {
				target = told
			}
		}
		in, err := guard.InputOf(vars, v1alpha1.ActionSpec{
			Operation: operation.Operation, Input: apiextensionsv1.JSON{Raw: raw}, Target: target,
			Requester: v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: viewer.Username, Groups: viewer.Groups},
		})
		if err != nil {
			continue
		}
		in.Facts = heard.facts
		verdict := guard.Evaluate(ctx, heard.tenant, heard.operator, in)
		operation.Verdict = &report.Verdict{Answer: string(verdict.Answer), Rule: verdict.Rule, Because: verdict.Because}
		lookups = lookups || slices.ContainsFunc(slices.Concat(heard.tenant, heard.operator), func(p *guard.Policy) bool {
			return len(p.Lookups(ctx, in)) > 0
		})
	}
	if lookups {
		silent = append(silent, "the lookups of guardrails, without which they are on the safe side")
	}
	list.Silent = strings.Join(silent, "; ")
}

// caseVars are what a case gives to expressions. Whoever may not read its type is not told which lookups are still to come.
func (c *cluster) caseVars(ctx context.Context, of *v1alpha1.Case) map[string]any {
	var ct v1alpha1.CaseType
	if c.Get(ctx, client.ObjectKey{Namespace: of.Namespace, Name: casefile.TypeName(of)}, &ct) != nil {
		return casefile.Vars(of)
	}
	compiled, err := casefile.Compile(&ct)
	if err != nil {
		return casefile.Vars(of)
	}
	return compiled.Vars(ctx, of)
}

// heard are the guardrails that the person may read, and what they are told of the namespace.
type heard struct {
	tenant, operator []*guard.Policy
	// operatorAway says that the operator's guardrails could not be read.
	operatorAway bool
	facts        guard.Facts
	freeze       *report.Freeze
	// not says what could not be read.
	not []string
}

// hear reads the guardrails of the namespace, and where the person may those of the operator's, and what ran. An error
// means that not even the namespace's own can be read.
func (c *cluster) hear(ctx context.Context, in *guard.Input, now time.Time) (*heard, error) {
	h := &heard{}
	var err error
	if h.tenant, err = c.policies(ctx, c.namespace); err != nil {
		return nil, apiError("read the guardrails of namespace "+c.namespace, err)
	}
	if c.namespace != operatorNamespace {
		if h.operator, err = c.policies(ctx, operatorNamespace); err != nil {
			h.operatorAway = true
			h.not = append(h.not, notHeard("the guardrails", operatorNamespace, "and they may be stricter"))
		}
	}
	h.facts.Now = now
	var actions v1alpha1.ActionList
	if c.List(ctx, &actions, client.InNamespace(c.namespace)) == nil {
		h.facts.History = guard.HistoryOf(actions.Items)
	} else {
		h.not = append(h.not, notHeard("the actions", c.namespace, "so budgets and breakers ask"))
	}
	if in != nil {
		in.Facts = h.facts
		c.frozen(ctx, h)
	}
	return h, nil
}

// policies compiles the guardrails of a namespace. One that does not compile asks, as it does for the controllers.
func (c *cluster) policies(ctx context.Context, namespace string) ([]*guard.Policy, error) {
	var list v1alpha1.GuardrailList
	if err := c.List(ctx, &list, client.InNamespace(namespace)); err != nil {
		return nil, err
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

// frozen reads whether a freeze stands over the namespace.
func (c *cluster) frozen(ctx context.Context, h *heard) {
	var sides [2][]v1alpha1.Decision
	for i, namespace := range []string{c.namespace, operatorNamespace} {
		for _, verdict := range []v1alpha1.Verdict{v1alpha1.VerdictFreeze, v1alpha1.VerdictThaw} {
			var list v1alpha1.DecisionList
			if c.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{"spec.verdict": string(verdict)}) != nil {
				h.not = append(h.not, notHeard("the decisions", namespace, "and they may freeze everything"))
				break
			}
			sides[i] = append(sides[i], list.Items...)
		}
	}
	if f := guard.Frozen(sides[0], sides[1]); f != nil {
		h.freeze = &report.Freeze{Namespace: f.Namespace, Decision: f.Decision, By: cmp.Or(f.By, "nobody"), Message: f.Message, Since: f.Since.UTC()}
	}
}
