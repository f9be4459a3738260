// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/kube"
)

// markNamespace notes that a decision about a whole namespace is to be sealed, and says in which log. It is kept under the
// empty name, which no case has.
func (s *Sealer) markNamespace(ctx context.Context, namespace string) (types.NamespacedName, bool) {
	owner, err := logOf(ctx, s.client, namespace)
	if err != nil {
		return types.NamespacedName{}, false
	}
	log := s.keyOf(namespace, owner)
	s.putBack(log, []types.NamespacedName{{Namespace: namespace}})
	return log, true
}

// sealNamespace seals the decisions that are about the whole namespace, filed under the namespace itself as if it were a
// case. They stay in the API until the namespace leaves: a freeze is in force until it is thawed.
func (s *Sealer) sealNamespace(ctx context.Context, log Log, name string) error {
	var ns corev1.Namespace
	if err := s.client.Get(ctx, types.NamespacedName{Name: name}, &ns); err != nil {
		return client.IgnoreNotFound(err)
	}
	records, err := s.caseless(ctx, name)
	if err != nil || len(records) == 0 {
		return err
	}
	filed := &v1alpha1.Case{ObjectMeta: metav1.ObjectMeta{Namespace: name, Name: ns.Name, UID: ns.UID}}
	if err := s.append(ctx, log, filed, records); err != nil {
		return err
	}
	if ns.DeletionTimestamp.IsZero() {
		return nil
	}
	for _, record := range records {
		if err := s.delete(ctx, record); err != nil {
			return err
		}
	}
	return nil
}

// caseless are the decisions of a namespace that are on no case.
func (s *Sealer) caseless(ctx context.Context, namespace string) ([]loop.Object, error) {
	var list v1alpha1.DecisionList
	if err := s.client.List(ctx, &list, client.InNamespace(namespace), client.MatchingFields{kube.ByCase: ""}); err != nil {
		return nil, fmt.Errorf("list the decisions about namespace %s: %w", namespace, err)
	}
	out := make([]loop.Object, 0, len(list.Items))
	for i := range list.Items {
		out = append(out, &list.Items[i])
	}
	return out, nil
}
