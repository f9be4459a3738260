// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// openingsShown bounds how many openings a record names.
const openingsShown = 8

// beforeIsolate says Desired for a pod that any isolation cuts off already: its
// mark alone would not do, the policy must stand as well.
func (c *connection) beforeIsolate(ctx context.Context, i isolation) (connector.Observation, error) {
	s, err := c.stand(ctx, i)
	if err != nil || s.pod == nil {
		return s.gone(i), err
	}
	label, labelled := s.label()
	by := i
	if labelled && label != i.mark {
		by.mark = label
		if s.policy, err = c.readPolicy(ctx, i.namespace, by.policyName()); err != nil {
			return connector.Observation{}, err
		}
	}
	observation, err := c.isolated(ctx, by, s)
	if !labelled {
		observation.AsLeft = true // as a release leaves it
		return observation, err
	}
	observation.AsLeft = label == i.mark
	if observation.Desired {
		observation.Message = fmt.Sprintf("pod %s is isolated already, by %s", i.podName(), label)
	}
	return observation, err
}

// verifyIsolate says Desired when the pinned pod has our mark, our policy stands
// as we made it, and nothing else lets traffic through.
func (c *connection) verifyIsolate(ctx context.Context, i isolation) (connector.Observation, error) {
	s, err := c.stand(ctx, i)
	if err != nil || s.pod == nil {
		return s.gone(i), err
	}
	return c.isolated(ctx, i, s)
}

// gone is the observation when the pinned pod is not there.
func (s standing) gone(i isolation) connector.Observation {
	message := fmt.Sprintf("pod %s with uid %s no longer exists", i.podName(), i.uid)
	if s.nowUID != "" {
		message = fmt.Sprintf("pod %s has uid %s now, not %s: it is another pod of the same name, and is not touched", i.podName(), s.nowUID, i.uid)
	}
	return connector.Observation{Gone: true, State: s.state(i), Message: message}
}

// isolated judges whether a pod that is there is cut off by this isolation.
func (c *connection) isolated(ctx context.Context, i isolation, s standing) (connector.Observation, error) {
	observation := connector.Observation{State: s.state(i)}
	if label, ok := s.label(); !ok || label != i.mark {
		observation.Message = fmt.Sprintf("pod %s has no label %s: nothing marks it for isolation", i.podName(), IsolatedLabel)
		if ok {
			observation.Message = fmt.Sprintf("pod %s has label %s=%s, not %s: someone else set it: ask who did, or remove the label",
				i.podName(), IsolatedLabel, label, i.mark)
		}
	} else if s.policy == nil {
		observation.Message = fmt.Sprintf("pod %s is marked %s=%s, but network policy %s does not exist", i.podName(), IsolatedLabel, label, i.policyName())
	} else if !i.ours(s.policy) {
		observation.Message = fmt.Sprintf("network policy %s/%s is not as Casebook made it: someone changed it: see kubectl -n %s get networkpolicy %s -o yaml --show-managed-fields",
			i.namespace, i.policyName(), i.namespace, i.policyName())
	} else {
		observation.Desired = true
	}
	openings, err := c.openings(ctx, s.pod)
	if err != nil {
		return connector.Observation{}, err
	}
	if len(openings) == 0 {
		return observation, nil
	}
	observation.State.(map[string]any)["openings"] = openings
	if observation.Desired {
		observation.Desired = false
		observation.Message = fmt.Sprintf("pod %s has the label and the policy, but is not cut off: %s", i.podName(), joined(openings))
	}
	return observation, nil
}

// openings are the reasons for which a pod that a deny policy selects can still
// be reached or reach others. Network policies only add up: what one allows,
// no other can deny.
func (c *connection) openings(ctx context.Context, pod *corev1.Pod) ([]any, error) {
	var found []any
	if pod.Spec.HostNetwork {
		found = append(found, "it uses the network of its node, which network policies do not govern")
	}
	list := &networkingv1.NetworkPolicyList{}
	if err := c.api.list(ctx, networkPolicies, pod.Namespace, list); err != nil {
		return nil, c.readFault(err, "list", networkPolicies, pod.Namespace, "network policies of namespace "+pod.Namespace)
	}
	for _, policy := range list.Items {
		selector, err := metav1.LabelSelectorAsSelector(&policy.Spec.PodSelector)
		if err == nil && selector.Matches(labels.Set(pod.Labels)) && allows(policy.Spec) && len(found) < openingsShown {
			found = append(found, "network policy "+policy.Name+" allows some of its traffic")
		}
	}
	return found, nil
}

// allows reports whether a policy lets any traffic through.
func allows(spec networkingv1.NetworkPolicySpec) bool {
	for _, direction := range spec.PolicyTypes { // the API server fills them in
		if direction == networkingv1.PolicyTypeIngress && len(spec.Ingress) > 0 ||
			direction == networkingv1.PolicyTypeEgress && len(spec.Egress) > 0 {
			return true
		}
	}
	return false
}

func joined(openings []any) string {
	texts := make([]string, len(openings))
	for i, opening := range openings {
		texts[i], _ = opening.(string)
	}
	return strings.Join(texts, "; ")
}

// doIsolate applies the policy, which selects nothing yet, and then the label
// that it selects: no moment shows a marked pod that is not cut off.
func (c *connection) doIsolate(ctx context.Context, i isolation) connector.Result {
	made, result := c.applyPolicy(ctx, i)
	if result.Outcome != v1alpha1.OutcomeAcknowledged {
		return result
	}
	reply := c.api.apply(ctx, pods, i.namespace, i.pod, i.manager(), i.labelObject(), &corev1.Pod{})
	result = c.classify(ctx, reply, step{"label pod " + i.podName(), "patch", pods, i.namespace})
	switch result.Outcome {
	case v1alpha1.OutcomeAcknowledged:
		result.Message = fmt.Sprintf("pod %s labelled %s=%s, network policy %s applied", i.podName(), IsolatedLabel, i.mark, i.policyName())
	case v1alpha1.OutcomeNotSent: // of the second write: half of it is done
		result.Outcome = v1alpha1.OutcomeInDoubt
		result.Message = fmt.Sprintf("network policy %s is applied, but: %s", i.policyName(), result.Message)
	case v1alpha1.OutcomeRefused:
		result.Message += c.takeBack(ctx, i, made)
	}
	return result
}

// applyPolicy returns the policy if this call made it.
func (c *connection) applyPolicy(ctx context.Context, i isolation) (made *networkingv1.NetworkPolicy, result connector.Result) {
	policy := &networkingv1.NetworkPolicy{}
	reply := c.api.apply(ctx, networkPolicies, i.namespace, i.policyName(), i.manager(), i.policyObject(), policy)
	result = c.classify(ctx, reply, step{"apply network policy " + i.namespace + "/" + i.policyName(), "patch", networkPolicies, i.namespace})
	if reply.err == nil && reply.created {
		return policy, result
	}
	return nil, result
}

// takeBack removes the policy that this very call made, after its label was
// refused. It selects nothing, so a failure leaves litter and no harm; an older
// policy may belong to a pod that is isolated, and stays.
func (c *connection) takeBack(ctx context.Context, i isolation, made *networkingv1.NetworkPolicy) string {
	if made == nil {
		return ""
	}
	if reply := c.api.remove(ctx, networkPolicies, i.namespace, made.Name, made.UID); reply.err != nil {
		return fmt.Sprintf("; network policy %s/%s, which selects nothing, may be left: delete it: %v", i.namespace, made.Name, reply.err)
	}
	return ""
}

// policyObject and labelObject are what is applied: exactly the fields that we own.
func (i isolation) policyObject() map[string]any {
	return map[string]any{
		"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
		"metadata": map[string]any{
			"name": i.policyName(), "namespace": i.namespace,
			"labels": map[string]any{ManagedByLabel: ManagedBy},
		},
		"spec": i.policySpec(),
	}
}

// The uid pins the pod: the API server answers 409 where no pod has the name and
// 422 where another pod has.
func (i isolation) labelObject() map[string]any {
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{
			"name": i.pod, "namespace": i.namespace, "uid": string(i.uid),
			"labels": map[string]any{IsolatedLabel: i.mark},
		},
	}
}
