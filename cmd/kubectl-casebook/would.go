// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/guard"
	"github.com/casebook-dev/casebook/internal/report"
)

// would says for each operation whose target is known what guardrails would say if the viewer asked for it. It is a
// forecast: the controllers ask again, and they alone hear the operator's guardrails where the viewer may not.
func (c *cluster) would(ctx context.Context, of *v1alpha1.Case, viewer report.Viewer, list *report.Operations) {
	tenant, ok := c.policies(ctx, of.Namespace)
	if !ok {
		list.Silent = "the guardrails of namespace " + of.Namespace + " cannot be read"
		return
	}
	operator, ok := c.policies(ctx, operatorNamespace)
	if !ok {
		list.Silent = "the operator's own guardrails, which may be stricter"
	}
	for i := range list.Operations {
		operation := &list.Operations[i]
		if operation.Target == nil {
			continue
		}
		raw, err := json.Marshal(operation.Input)
		if err != nil {
			continue
		}
		in, err := guard.InputOf(casefile.Vars(of), v1alpha1.ActionSpec{
			Operation: operation.Operation, Input: apiextensionsv1.JSON{Raw: raw},
			Target: v1alpha1.Target{
				Type: operation.Target.Type, Namespace: operation.Target.Namespace, Name: operation.Target.Name, UID: operation.Target.UID,
			},
			Requester: v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: viewer.Username, Groups: viewer.Groups},
		})
		if err != nil {
			continue
		}
		verdict := guard.Evaluate(ctx, tenant, operator, in)
		operation.Verdict = &report.Verdict{Answer: string(verdict.Answer), Rule: verdict.Rule, Because: verdict.Because}
	}
}

// policies compiles the guardrails of a namespace. One that does not compile is as if it could not be read.
func (c *cluster) policies(ctx context.Context, namespace string) ([]*guard.Policy, bool) {
	var list v1alpha1.GuardrailList
	if c.List(ctx, &list, client.InNamespace(namespace)) != nil {
		return nil, false
	}
	out := make([]*guard.Policy, 0, len(list.Items))
	for i := range list.Items {
		policy, err := guard.Compile(&list.Items[i])
		if err != nil {
			return nil, false
		}
		out = append(out, policy)
	}
	return out, true
}
