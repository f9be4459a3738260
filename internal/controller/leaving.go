// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// leavingAgain is how often a namespace that waits for its records is looked at.
const leavingAgain = time.Second

// leavingNamespaces seals what is left in namespaces that are being deleted, once their EvidenceLog is gone: the namespace
// controller deletes that, and the Secret with its key, while records wait.
type leavingNamespaces struct {
	sealer *Sealer
	events events.EventRecorder
}

// Reconcile seals in the log that was open for the namespace; in the operator's if this process never had it open.
func (k *leavingNamespaces) Reconcile(ctx context.Context, ns *corev1.Namespace) (ctrl.Result, error) {
	if ns.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	var cases v1alpha1.CaseList
	if err := k.sealer.client.List(ctx, &cases, client.InNamespace(ns.Name)); err != nil {
		return ctrl.Result{}, err
	}
	caseless, err := k.sealer.caseless(ctx, ns.Name)
	if err != nil || len(cases.Items)+len(caseless) == 0 {
		return ctrl.Result{}, err
	}
	key := types.NamespacedName{Namespace: ns.Name, Name: v1alpha1.DefaultEvidenceLog}
	if err := k.sealer.client.Get(ctx, key, &v1alpha1.EvidenceLog{}); !apierrors.IsNotFound(err) {
		return ctrl.Result{RequeueAfter: leavingAgain}, err // while it is there, its own controller seals
	}
	log, err := k.sealer.lastLog(ctx, key)
	if err == nil {
		for i := range cases.Items {
			k.sealer.mark(&cases.Items[i])
		}
		k.sealer.putBack(key, []types.NamespacedName{{Namespace: ns.Name}})
		gone := &v1alpha1.EvidenceLog{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
		_, err = k.sealer.drain(ctx, gone, log)
	}
	if err != nil && !apierrors.IsConflict(err) {
		k.events.Eventf(ns, nil, corev1.EventTypeWarning, v1alpha1.BucketUnavailableReason, "Seal",
			"the namespace waits for %d case(s) that are not sealed: %s", len(cases.Items), err)
		return ctrl.Result{RequeueAfter: retryEvery}, nil
	}
	return ctrl.Result{RequeueAfter: leavingAgain}, nil
}

// lastLog is the log that this process has open for an EvidenceLog that is gone, or else the operator's: what is not
// trimmed yet is sealed there from its beginning.
func (s *Sealer) lastLog(ctx context.Context, gone types.NamespacedName) (Log, error) {
	s.mu.Lock()
	known, ok := s.logs[gone]
	s.mu.Unlock()
	if ok {
		return known, nil
	}
	var operators v1alpha1.EvidenceLog
	err := s.client.Get(ctx, types.NamespacedName{Namespace: s.namespace, Name: v1alpha1.DefaultEvidenceLog}, &operators)
	if apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("evidence log %s and its key are gone, and there is no EvidenceLog %s in namespace %s: create one, and they are sealed there",
			gone, v1alpha1.DefaultEvidenceLog, s.namespace)
	}
	if err != nil {
		return nil, fmt.Errorf("read evidence log %s/%s: %w", s.namespace, v1alpha1.DefaultEvidenceLog, err)
	}
	log, err := s.logFor(ctx, &operators)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open evidence log %s/%s in place of %s, which is gone", s.namespace, v1alpha1.DefaultEvidenceLog, gone), err)
	}
	return log, nil
}
