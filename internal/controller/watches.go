// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/kube"
)

// caseOf names the case of a record; empty for anything else.
func caseOf(o client.Object) string {
	switch record := o.(type) {
	case *v1alpha1.Signal:
		return record.Spec.CaseRef.Name
	case *v1alpha1.PlaybookRun:
		return record.Spec.CaseRef.Name
	case *v1alpha1.Action:
		return record.Spec.CaseRef.Name
	case *v1alpha1.Decision:
		return record.Spec.CaseRef.Name
	case *v1alpha1.Case:
		return record.Name
	default:
		return ""
	}
}

// toCase wakes the case of a record, if it has one.
func toCase() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		if caseOf(o) == "" {
			return nil
		}
		return []reconcile.Request{request(o.GetNamespace(), caseOf(o))}
	})
}

// toRun wakes the run whose step an action is.
func toRun() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, o client.Object) []reconcile.Request {
		if run := o.(*v1alpha1.Action).Spec.RunRef; run != nil {
			return []reconcile.Request{request(o.GetNamespace(), run.Name)}
		}
		return nil
	})
}

// toRunsOfCase wakes the runs of a record's case.
func toRunsOfCase(c client.Reader) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		if caseOf(o) == "" {
			return nil
		}
		return listed(ctx, c, &v1alpha1.PlaybookRunList{}, client.InNamespace(o.GetNamespace()), client.MatchingFields{kube.ByCase: caseOf(o)})
	})
}

// toActionsDecided wakes the actions of a decision's case; for one about a whole namespace those of the namespace that have
// not ended, of every namespace if it is the operator's.
func toActionsDecided(c client.Reader, operator string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		if caseOf(o) == "" {
			return openActions(ctx, c, operator, o.GetNamespace())
		}
		return listed(ctx, c, &v1alpha1.ActionList{}, client.InNamespace(o.GetNamespace()), client.MatchingFields{kube.ByCase: caseOf(o)})
	})
}

// toOpenActions wakes the actions that a guardrail may speak of: those of its namespace that have not ended, of every
// namespace for the operator's.
func toOpenActions(c client.Reader, operator string) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		return openActions(ctx, c, operator, o.GetNamespace())
	})
}

// openActions are the actions of a namespace that have not ended; of every namespace, for the operator's.
func openActions(ctx context.Context, c client.Reader, operator, namespace string) []reconcile.Request {
	if namespace == operator {
		namespace = metav1.NamespaceAll
	}
	return listedIf(ctx, c, &v1alpha1.ActionList{}, func(o client.Object) bool { return !o.(*v1alpha1.Action).Status.State.Ended() }, client.InNamespace(namespace))
}

// toCasesOfType wakes the cases of a type.
func toCasesOfType(c client.Reader) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		return listed(ctx, c, &v1alpha1.CaseList{}, client.InNamespace(o.GetNamespace()), client.MatchingLabels{v1alpha1.TypeLabel: o.GetName()})
	})
}

// allIn wakes every object of a kind in the namespace of what changed.
func allIn(c client.Reader, list client.ObjectList) handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		return listed(ctx, c, list.DeepCopyObject().(client.ObjectList), client.InNamespace(o.GetNamespace()))
	})
}

func listed(ctx context.Context, c client.Reader, list client.ObjectList, options ...client.ListOption) []reconcile.Request {
	return listedIf(ctx, c, list, func(client.Object) bool { return true }, options...)
}

// listedIf are the requests of what is listed and to be woken. It keeps no object, so the cache need not copy them.
func listedIf(ctx context.Context, c client.Reader, list client.ObjectList, wake func(client.Object) bool, options ...client.ListOption) []reconcile.Request {
	options = append(options, client.UnsafeDisableDeepCopy)
	if err := c.List(ctx, list, options...); err != nil {
		log.FromContext(ctx).Error(err, "A change wakes nobody: what it concerns cannot be listed")
		return nil
	}
	var out []reconcile.Request
	_ = meta.EachListItem(list, func(o runtime.Object) error { // the function never fails
		named := o.(client.Object)
		if wake(named) {
			out = append(out, request(named.GetNamespace(), named.GetName()))
		}
		return nil
	})
	return out
}

func request(namespace, name string) ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}
}
