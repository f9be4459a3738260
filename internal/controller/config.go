// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/casefile"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/guard"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/internal/normalize"
)

// configKind drives a kind of configuration: it checks that an object can be used, and says so. What the check found is
// noted in the status by the function it returns, usable or not.
type configKind[T loop.Object] struct {
	check func(ctx context.Context, obj T) (note func(T), err error)
	// recheck is how often the check is made anew, where the world outside the API can change its answer.
	recheck time.Duration
}

// checked is what a check found, and why the object cannot be used.
type checked[T loop.Object] struct {
	note   func(T)
	cannot error
}

// Observe makes the check. That the object cannot be used is an answer, not a failure.
func (k configKind[T]) Observe(ctx context.Context, obj T) (w checked[T], _ error) {
	w.note, w.cannot = k.check(ctx, obj)
	return w, nil
}

// Decide notes what the check found.
func (k configKind[T]) Decide(_ context.Context, obj T, w checked[T], _ time.Time) loop.Plan[struct{}] {
	if w.note != nil {
		w.note(obj)
	}
	return loop.Plan[struct{}]{
		Recheck:  k.recheck,
		Headline: metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReadyReason, Message: "in use"},
		Fault:    w.cannot,
	}
}

// lineOf is how long a list in a column of kubectl get may be, in code points.
const lineOf = 48

// oneLine names as many of some things as fit in a column, and … for the rest. A first name that is too long is cut.
func oneLine[E any](all []E, name func(E) string) string {
	line := ""
	for i, one := range all {
		next, room := name(one), lineOf
		if i < len(all)-1 {
			room -= utf8.RuneCountInString(", …")
		}
		if i > 0 {
			next = line + ", " + next
		}
		switch runes := []rune(next); {
		case len(runes) <= room:
			line = next
		case i == 0:
			return string(runes[:lineOf-1]) + "…"
		default:
			return line + ", …"
		}
	}
	return line
}

// Act has nothing to do.
func (configKind[T]) Act(context.Context, T, struct{}) error { return nil }

// checks are what makes each kind of configuration usable.
type checks struct {
	client     client.Client
	live       client.Reader // Secrets are read where they are used, never cached
	connectors *connectors
}

func (k *checks) mapping(_ context.Context, m *v1alpha1.Mapping) (func(*v1alpha1.Mapping), error) {
	if _, err := normalize.Compile(m); err != nil {
		return nil, fault.Terminalf(v1alpha1.InvalidExpressionReason, "%w", err)
	}
	return nil, nil
}

func (k *checks) guardrail(_ context.Context, g *v1alpha1.Guardrail) (func(*v1alpha1.Guardrail), error) {
	note := func(g *v1alpha1.Guardrail) { g.Status.Covers = oneLine(g.Spec.Covers, strings.Clone) }
	if _, err := guard.Compile(g); err != nil {
		return note, fault.Terminalf(v1alpha1.InvalidExpressionReason, "%w; until then every operation it covers asks a person", err)
	}
	return note, nil
}

func (k *checks) source(ctx context.Context, s *v1alpha1.Source) (func(*v1alpha1.Source), error) {
	if s.Spec.Only != "" {
		if _, err := sourceConditions.CompileBool(s.Spec.Only); err != nil {
			return nil, fault.Terminalf(v1alpha1.InvalidExpressionReason, "spec.only: %w", err)
		}
	}
	if err := k.exists(ctx, &v1alpha1.Mapping{}, "mapping", s.Namespace, s.Spec.MappingRef.Name); err != nil {
		return nil, err
	}
	for _, ref := range secretsOf(s) {
		if _, err := kube.Secret(ctx, k.live, s.Namespace, ref); err != nil {
			return nil, err
		}
	}
	return func(s *v1alpha1.Source) { s.Status.Endpoint = "/v1/" + s.Namespace + "/" + s.Name }, nil
}

var sourceConditions = expr.MustNew(expr.Source)

func secretsOf(s *v1alpha1.Source) []v1alpha1.SecretKeyRef {
	if s.Spec.Webhook == nil {
		return nil
	}
	switch auth := s.Spec.Webhook.Authentication; {
	case auth.Bearer != nil:
		return []v1alpha1.SecretKeyRef{auth.Bearer.SecretRef}
	case auth.HMAC != nil:
		return []v1alpha1.SecretKeyRef{auth.HMAC.SecretRef}
	default:
		return nil
	}
}

func (k *checks) caseType(ctx context.Context, t *v1alpha1.CaseType) (func(*v1alpha1.CaseType), error) {
	note := func(t *v1alpha1.CaseType) {
		t.Status.Starts = oneLine(t.Spec.Playbooks, func(p v1alpha1.CasePlaybook) string { return p.Name })
	}
	if _, err := casefile.Compile(t); err != nil {
		return note, fault.Terminalf(v1alpha1.InvalidExpressionReason, "%w", err)
	}
	for i, playbook := range t.Spec.Playbooks {
		if err := k.exists(ctx, &v1alpha1.Playbook{}, "playbook", t.Namespace, playbook.Name); err != nil {
			return note, fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "spec.playbooks[%d]: %w", i, err)
		}
	}
	for i, enrichment := range t.Spec.Enrich {
		if err := k.operation(ctx, t.Namespace, enrichment.Lookup, connector.FindRead); err != nil {
			return note, fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "spec.enrich[%d].lookup: %w", i, err)
		}
	}
	return note, nil
}

// operation wants a connector to have an operation that find finds: one that reads, or one that changes something.
func (k *checks) operation(ctx context.Context, namespace, name string, find func([]connector.Operation, string) (connector.Operation, error)) error {
	connectorName, operation := splitOperation(name)
	opened, err := k.connectors.open(ctx, namespace, connectorName)
	if err != nil {
		return err
	}
	_, err = find(opened.Operations(), operation)
	return err
}

func (k *checks) exists(ctx context.Context, obj client.Object, kind, namespace, name string) error {
	err := k.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, obj)
	if apierrors.IsNotFound(err) {
		return fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "there is no %s %s in namespace %s: apply it", kind, name, namespace)
	}
	return err
}

// mutations checks the operations that a playbook names.
func (k *checks) mutations(ctx context.Context, namespace string, operations []string) error {
	for _, operation := range slices.Sorted(slices.Values(operations)) {
		if err := k.operation(ctx, namespace, operation, connector.FindMutation); err != nil {
			return fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "operation %s: %w", operation, err)
		}
	}
	return nil
}
