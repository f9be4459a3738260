// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/evidence"
	"github.com/casebook-dev/casebook/internal/fault"
)

const (
	// sealEvery is how long changes are gathered before they are sealed: fewer, larger batches.
	sealEvery = 500 * time.Millisecond
	// keepEvery is how often the newest checkpoint is kept in the status.
	keepEvery = time.Minute
	// retryEvery is how often a bucket that failed is tried again.
	retryEvery = 5 * time.Second
)

// evidenceLogKind drains the journals of the cases that an EvidenceLog seals, and keeps the newest checkpoint in the
// log's own status, where a bucket that was rolled back shows.
type evidenceLogKind struct {
	sealer *Sealer
}

type sealed struct {
	key        string // public
	checkpoint string
	size       int64
	next       time.Duration
	fault      error // why not all could be sealed
}

// Observe seals what there is to seal. It is reading as far as the cluster is concerned: no record is written.
func (k *evidenceLogKind) Observe(ctx context.Context, of *v1alpha1.EvidenceLog) (sealed, error) {
	log, err := k.sealer.logFor(ctx, of)
	if _, terminal := errors.AsType[*fault.Terminal](err); terminal {
		return sealed{}, err
	}
	if err != nil {
		return sealed{fault: err}, nil //nolint:nilerr // a bucket that is away is a state of the log
	}
	out := sealed{key: log.VerifierKey()}
	if out.next, err = k.sealer.drain(ctx, of, log); err != nil {
		k.sealer.reopen(of)
		ctrl.LoggerFrom(ctx).Error(err, "Entries wait in their records")
		out.fault = err
	}
	out.checkpoint, out.size = log.Checkpoint()
	return out, nil
}

// Decide keeps the checkpoint, at most once a minute and only if the log grew.
func (k *evidenceLogKind) Decide(_ context.Context, of *v1alpha1.EvidenceLog, w sealed, now time.Time) loop.Plan[struct{}] {
	plan := loop.Plan[struct{}]{
		Recheck:  w.next,
		Headline: metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.CheckpointStoredReason, Message: "entries are sealed as they come"},
	}
	if w.fault != nil {
		plan.Recheck = retryEvery
		plan.Headline = metav1.Condition{
			Status: metav1.ConditionFalse, Reason: v1alpha1.BucketUnavailableReason,
			Message: "entries wait in their records until the bucket can be written: " + cause(w.fault).Error(),
		}
		return plan
	}
	of.Status.VerifierKey = w.key
	if of.Status.Size != nil && *of.Status.Size == w.size || w.checkpoint == "" {
		return plan
	}
	if kept := of.Status.CheckpointTime; kept != nil {
		if left := kept.Add(keepEvery).Sub(now); left > 0 {
			plan.Recheck = soonest(plan.Recheck, left)
			return plan
		}
	}
	at := metav1.NewTime(now)
	of.Status.Size, of.Status.Checkpoint, of.Status.CheckpointTime = &w.size, w.checkpoint, &at
	return plan
}

// cause is what is at the bottom of an error, of the first where there are several: what was being sealed when it failed
// differs from pass to pass, and a condition's message must not.
func cause(err error) error {
	for {
		var inner error
		switch e := err.(type) { //nolint:errorlint // it walks the chain itself
		case interface{ Unwrap() error }:
			inner = e.Unwrap()
		case interface{ Unwrap() []error }:
			if all := e.Unwrap(); len(all) > 0 {
				inner = all[0]
			}
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

// Act has nothing to do.
func (*evidenceLogKind) Act(context.Context, *v1alpha1.EvidenceLog, struct{}) error { return nil }

func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b < a {
		return b
	}
	return a
}

// sortDrafts puts what was first first, so that a case's entries read as a story; an object's own stay in order even if
// the clock went back between them.
func sortDrafts(drafts []evidence.Draft) {
	latest := map[string]time.Time{}
	at := make(map[string]time.Time, len(drafts))
	id := func(d evidence.Draft) string { return d.Object.UID + "/" + strconv.FormatInt(d.Sequence, 10) }
	for _, d := range drafts {
		if when := d.Time.Time; when.After(latest[d.Object.UID]) {
			latest[d.Object.UID] = when
		}
		at[id(d)] = latest[d.Object.UID]
	}
	slices.SortStableFunc(drafts, func(a, b evidence.Draft) int { return at[id(a)].Compare(at[id(b)]) })
}

func setupEvidence(mgr ctrl.Manager, _ client.Client, o Options, sealer *Sealer) error {
	leaving := &leavingNamespaces{sealer: sealer, events: mgr.GetEventRecorder("namespace")}
	if err := complete(mgr, "namespace", leaving, ctrl.NewControllerManagedBy(mgr).For(&corev1.Namespace{})); err != nil {
		return err
	}
	return complete(mgr, "evidencelog", &loop.Loop[*v1alpha1.EvidenceLog, sealed, struct{}]{
		Kind: &evidenceLogKind{sealer: sealer}, Headline: v1alpha1.ReadyCondition, Client: mgr.GetClient(),
		Events: mgr.GetEventRecorder("evidencelog"), Actor: "evidencelog", Clock: o.Clock, StalledRecheck: stalledRecheck,
	}, ctrl.NewControllerManagedBy(mgr).For(&v1alpha1.EvidenceLog{}).
		Watches(&v1alpha1.Case{}, sealer.marks()).Watches(&v1alpha1.Signal{}, sealer.marks()).
		Watches(&v1alpha1.PlaybookRun{}, sealer.marks()).Watches(&v1alpha1.Action{}, sealer.marks()).
		Watches(&v1alpha1.Decision{}, sealer.marks()).Watches(&corev1.Namespace{}, sealer.marksAll()))
}

// marks notes the case of a record that changed, and wakes its log after a moment in which more may come.
func (s *Sealer) marks() handler.EventHandler {
	wake := func(ctx context.Context, o client.Object, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		if caseOf(o) == "" {
			if log, ok := s.markNamespace(ctx, o.GetNamespace()); ok {
				q.AddAfter(reconcile.Request{NamespacedName: log}, sealEvery)
			}
			return
		}
		c, ok := o.(*v1alpha1.Case)
		if !ok {
			c = &v1alpha1.Case{}
			if s.client.Get(ctx, client.ObjectKey{Namespace: o.GetNamespace(), Name: caseOf(o)}, c) != nil {
				return // the case's own event marks it when it comes
			}
		}
		q.AddAfter(reconcile.Request{NamespacedName: s.mark(c)}, sealEvery)
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			wake(ctx, e.Object, q)
		},
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			wake(ctx, e.ObjectNew, q)
		},
	}
}

// marksAll notes every case of a namespace that is being deleted.
func (s *Sealer) marksAll() handler.EventHandler {
	return handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, o client.Object) []reconcile.Request {
		if o.GetDeletionTimestamp().IsZero() {
			return nil
		}
		var list v1alpha1.CaseList
		if err := s.client.List(ctx, &list, client.InNamespace(o.GetName())); err != nil {
			return nil
		}
		var out []reconcile.Request
		for i := range list.Items {
			out = append(out, reconcile.Request{NamespacedName: s.mark(&list.Items[i])})
		}
		if log, ok := s.markNamespace(ctx, o.GetName()); ok {
			out = append(out, reconcile.Request{NamespacedName: log})
		}
		return out
	})
}
