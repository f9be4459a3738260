// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/guard"
	"github.com/casebook-dev/casebook/internal/kube"
)

// hold withholds an action while its namespace, or everything, is frozen. It is asked of the cache when an attempt is
// decided, and of the API server before its first byte.
func (k *actionKind) hold(ctx context.Context, reader client.Reader, a *v1alpha1.Action, w *actionWorld) error {
	tenant, err := freezes(ctx, reader, a.Namespace)
	if err != nil {
		return err
	}
	var operator []v1alpha1.Decision
	if a.Namespace != k.guardrails.namespace {
		if operator, err = freezes(ctx, reader, k.guardrails.namespace); err != nil {
			return err
		}
	}
	if frozen := guard.Frozen(tenant, operator); frozen != nil && w.Withheld == "" {
		w.Withheld = fmt.Sprintf("namespace %s is frozen by %s: %s", frozen.Namespace, cmp.Or(frozen.By, "somebody"), frozen.Message)
	}
	return nil
}

// freezes are the freezes and thaws of a namespace.
func freezes(ctx context.Context, reader client.Reader, namespace string) ([]v1alpha1.Decision, error) {
	var list v1alpha1.DecisionList
	if err := reader.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{kube.ByCase: ""}); err != nil {
		return nil, fmt.Errorf("list the freezes of namespace %s: %w", namespace, err)
	}
	return list.Items, nil
}

// resolutionsOf are the counted decisions on what became of an action.
func resolutionsOf(ctx context.Context, c client.Reader, a *v1alpha1.Action) ([]v1alpha1.Resolution, error) {
	if a.Status.State != v1alpha1.ActionUnknown && len(a.Status.Resolutions) == 0 {
		return nil, nil
	}
	var list v1alpha1.DecisionList
	if err := c.List(ctx, &list, client.InNamespace(a.Namespace), client.MatchingFields{kube.ByCase: a.Spec.CaseRef.Name}); err != nil {
		return nil, fmt.Errorf("list the decisions of case %s: %w", a.Spec.CaseRef.Name, err)
	}
	var out []v1alpha1.Resolution
	for i := range list.Items {
		d := &list.Items[i]
		if d.Spec.Resolve == nil || d.Spec.Actor == nil || d.Spec.Resolve.ActionRef.UID != string(a.UID) || d.Status.State != v1alpha1.DecisionCounted {
			continue
		}
		out = append(out, v1alpha1.Resolution{
			Decision: d.Name, Outcome: d.Spec.Resolve.Outcome, Message: d.Spec.Message, Actor: *d.Spec.Actor, Time: casefile.DecidedTime(d),
		})
	}
	return out, nil
}
