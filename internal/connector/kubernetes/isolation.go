// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

const (
	// IsolatedLabel on a pod names the isolation that selects it.
	IsolatedLabel = "casebook.dev/isolated"
	// ManagedByLabel is the well-known label that says who made an object.
	ManagedByLabel = "app.kubernetes.io/managed-by"
	// ManagedBy is its value on what this connector makes.
	ManagedBy = "casebook"

	policyPrefix  = "casebook-isolate-"
	managerPrefix = "casebook-"
)

// isolation is what is to be made, or taken away: a label on one pod and the
// policy that selects it.
type isolation struct {
	namespace, pod string
	uid            types.UID
	mark           string // value of IsolatedLabel
}

func newIsolation(target v1alpha1.Target, mark string) isolation {
	return isolation{namespace: target.Namespace, pod: target.Name, uid: types.UID(target.UID), mark: markValue(mark)}
}

// markValue makes a mark fit for a label's value and for a part of an object's
// name. A mark that fits is kept, so that people recognise the action; of others
// a readable beginning and 128 bits of a digest remain.
func markValue(mark string) string {
	if len(validation.IsValidLabelValue(mark)) == 0 && len(validation.IsDNS1123Subdomain(mark)) == 0 {
		return mark
	}
	sum := sha256.Sum256([]byte(mark))
	var head strings.Builder
	for _, r := range strings.ToLower(mark) {
		if head.Len() == 24 {
			break
		}
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			head.WriteRune(r)
		}
	}
	return strings.TrimPrefix(strings.Trim(head.String(), "-")+"-"+hex.EncodeToString(sum[:16]), "-")
}

// manager is the field manager of this isolation alone: if all had one, the
// label of one would silently replace that of another.
func (i isolation) manager() string { return managerPrefix + i.mark }

func (i isolation) policyName() string { return policyPrefix + i.mark }

func (i isolation) podName() string { return i.namespace + "/" + i.pod }

// policySpec denies all traffic of the pods with the label: both directions are
// named and no rule allows anything.
func (i isolation) policySpec() networkingv1.NetworkPolicySpec {
	return networkingv1.NetworkPolicySpec{
		PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{IsolatedLabel: i.mark}},
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
	}
}

// ours reports whether a policy is exactly what this isolation makes.
func (i isolation) ours(policy *networkingv1.NetworkPolicy) bool {
	return policy != nil && policy.DeletionTimestamp == nil && policy.Name == i.policyName() &&
		policy.Labels[ManagedByLabel] == ManagedBy && equality.Semantic.DeepEqual(policy.Spec, i.policySpec())
}

// standing is how a pod and the policy of an isolation stand.
type standing struct {
	pod    *corev1.Pod // the pinned pod; nil if gone
	nowUID types.UID   // the uid of whatever has its name; empty if nothing has
	policy *networkingv1.NetworkPolicy
}

// label is the isolation that the pod is marked with, and whether it is.
func (s standing) label() (string, bool) {
	if s.pod == nil {
		return "", false
	}
	value, ok := s.pod.Labels[IsolatedLabel]
	return value, ok
}

// stand reads the pod and the policy.
func (c *connection) stand(ctx context.Context, i isolation) (standing, error) {
	var s standing
	pod, err := c.readPod(ctx, i.namespace, i.pod)
	if err != nil {
		return s, err
	}
	if pod != nil {
		s.nowUID = pod.UID
		if pod.UID == i.uid {
			s.pod = pod
		}
	}
	s.policy, err = c.readPolicy(ctx, i.namespace, i.policyName())
	return s, err
}

// readPod returns nil for a pod that is not there.
func (c *connection) readPod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	pod := &corev1.Pod{}
	err := c.api.get(ctx, pods, namespace, name, pod)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return pod, c.readFault(err, "get", pods, namespace, "pod "+namespace+"/"+name)
}

// readPolicy returns nil for a policy that is not there.
func (c *connection) readPolicy(ctx context.Context, namespace, name string) (*networkingv1.NetworkPolicy, error) {
	policy := &networkingv1.NetworkPolicy{}
	err := c.api.get(ctx, networkPolicies, namespace, name, policy)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return policy, c.readFault(err, "get", networkPolicies, namespace, "network policy "+namespace+"/"+name)
}

// state is what was read, for the record.
func (s standing) state(i isolation) map[string]any {
	state := map[string]any{
		"pod":    map[string]any{"namespace": i.namespace, "name": i.pod, "uid": string(s.nowUID)},
		"policy": map[string]any{"name": i.policyName(), "exists": s.policy != nil, "intact": i.ours(s.policy)},
	}
	if value, ok := s.label(); ok {
		state["isolatedBy"] = value
	}
	return state
}
