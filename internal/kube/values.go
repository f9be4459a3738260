// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kube

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Values reads what connectors name: Secrets and ConfigMaps, live, each time.
type Values struct {
	// Live reads past the cache.
	Live client.Reader
}

// Secret is one key of a Secret; see the function of this name.
func (v Values) Secret(ctx context.Context, namespace string, ref v1alpha1.SecretKeyRef) ([]byte, error) {
	return Secret(ctx, v.Live, namespace, ref)
}

// ConfigMap is one key of a ConfigMap. What stands in the way is a terminal fault with the command that mends it.
func (v Values) ConfigMap(ctx context.Context, namespace string, ref v1alpha1.ConfigMapKeyRef) ([]byte, error) {
	var found corev1.ConfigMap
	err := v.Live.Get(ctx, client.ObjectKey{Namespace: namespace, Name: ref.Name}, &found)
	switch {
	case apierrors.IsForbidden(err):
		return nil, fault.Terminalf(v1alpha1.ConfigMapForbiddenReason,
			"the operator may not read configmap %s: kubectl -n %s create role read-%s --verb=get --resource=configmaps --resource-name=%s, and bind it to its ServiceAccounts",
			ref.Name, namespace, ref.Name, ref.Name)
	case apierrors.IsNotFound(err):
		return nil, fault.Terminalf(v1alpha1.ConfigMapNotFoundReason, "there is no configmap %s in namespace %s: create it", ref.Name, namespace)
	case err != nil:
		return nil, fmt.Errorf("read configmap %s/%s: %w", namespace, ref.Name, err)
	}
	if text, ok := found.Data[ref.Key]; ok {
		return []byte(text), nil
	}
	if raw, ok := found.BinaryData[ref.Key]; ok {
		return raw, nil
	}
	return nil, fault.Terminalf(v1alpha1.ConfigMapNotFoundReason, "configmap %s in namespace %s has no key %s", ref.Name, namespace, ref.Key)
}
