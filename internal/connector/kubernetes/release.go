// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// beforeRelease never says Gone: a policy that outlives its pod is still ours to
// remove.
func (c *connection) beforeRelease(ctx context.Context, i isolation) (connector.Observation, error) {
	s, err := c.stand(ctx, i)
	if err != nil {
		return connector.Observation{}, err
	}
	return s.released(i), nil
}

// verifyRelease says Desired when neither the label nor the policy stands.
func (c *connection) verifyRelease(ctx context.Context, i isolation) (connector.Observation, error) {
	return c.beforeRelease(ctx, i)
}

// released judges whether an isolation is taken back, and whether what is left
// of it is ours to take.
func (s standing) released(i isolation) connector.Observation {
	observation := connector.Observation{State: s.state(i)}
	label, labelled := s.label()
	switch {
	case labelled && label != i.mark:
		observation.Message = fmt.Sprintf("pod %s has label %s=%s now, not %s: someone else isolated it: releasing it is for them to do",
			i.podName(), IsolatedLabel, label, i.mark)
	case s.policy != nil && s.policy.DeletionTimestamp == nil && !i.ours(s.policy):
		observation.Message = fmt.Sprintf("network policy %s/%s is not as Casebook made it: someone changed it: see kubectl -n %s get networkpolicy %s -o yaml --show-managed-fields",
			i.namespace, i.policyName(), i.namespace, i.policyName())
	case !labelled && s.policy == nil:
		observation.Desired, observation.AsLeft = true, true
		observation.Message = fmt.Sprintf("pod %s is not isolated by %s, and its network policy does not exist", i.podName(), i.mark)
	case !labelled:
		observation.AsLeft = true
		observation.Message = fmt.Sprintf("network policy %s/%s selects no pod any more", i.namespace, i.policyName())
	default:
		observation.AsLeft = true
		observation.Message = fmt.Sprintf("pod %s is isolated by %s", i.podName(), i.mark)
	}
	return observation
}

// doRelease removes the label and then the policy: no moment shows a marked pod
// that is not cut off. It looks first, so that it can be repeated and so that it
// takes nothing that a rival set meanwhile; the writes are pinned to what it saw.
func (c *connection) doRelease(ctx context.Context, i isolation) connector.Result {
	s, err := c.stand(ctx, i)
	if err != nil {
		return connector.NotBegun(ctx, err)
	}
	seen := s.released(i)
	if !seen.AsLeft {
		return connector.Failed(v1alpha1.OutcomeRefused, v1alpha1.TargetChangedReason, "could not release: %s", seen.Message)
	}
	begun := false
	if _, labelled := s.label(); labelled {
		result := c.removeLabel(ctx, i)
		if result.Outcome != v1alpha1.OutcomeAcknowledged {
			return result
		}
		begun = true
	}
	if s.policy != nil {
		result := c.removePolicy(ctx, i, s)
		if result.Outcome != v1alpha1.OutcomeAcknowledged {
			return halfReleased(result, begun)
		}
	}
	return connector.Result{
		Outcome: v1alpha1.OutcomeAcknowledged,
		Message: fmt.Sprintf("pod %s released, network policy %s deleted", i.podName(), i.policyName()),
	}
}

// halfReleased keeps a release of which the label is done and the policy is not
// from being taken for one that did nothing. Repeating it meets the policy alone.
func halfReleased(result connector.Result, begun bool) connector.Result {
	if !begun {
		return result
	}
	result.Outcome = v1alpha1.OutcomeInDoubt
	result.Message = "the label is removed, but: " + result.Message
	return result
}

// removeLabel removes the label while the pod has the uid and the label our
// value, by a JSON patch that tests both: an apply without the field would leave
// it standing where another manager co-owns it.
func (c *connection) removeLabel(ctx context.Context, i isolation) connector.Result {
	const path = "/metadata/labels/casebook.dev~1isolated" // IsolatedLabel as RFC 6901 writes it
	reply := c.api.jsonPatch(ctx, pods, i.namespace, i.pod, i.manager(), []map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": i.uid},
		{"op": "test", "path": path, "value": i.mark},
		{"op": "remove", "path": path},
	}, &corev1.Pod{})
	result := c.classify(ctx, reply, step{"remove the label of pod " + i.podName(), "patch", pods, i.namespace})
	if result.Outcome != v1alpha1.OutcomeRefused || !testFailed(reply.err) {
		return result
	}
	// The pod changed since it was looked at. If nothing of ours is left on it, that is what was wanted.
	pod, err := c.readPod(ctx, i.namespace, i.pod)
	if err != nil {
		return result
	}
	if pod == nil || pod.UID != i.uid || pod.Labels[IsolatedLabel] == "" {
		return connector.Result{Outcome: v1alpha1.OutcomeAcknowledged}
	}
	return connector.Failed(v1alpha1.OutcomeRefused, v1alpha1.TargetChangedReason,
		"could not release pod %s: its label %s became %s meanwhile: someone else isolated it", i.podName(), IsolatedLabel, pod.Labels[IsolatedLabel])
}

// testFailed reports whether a JSON patch was refused for what it tests, or for
// a pod that is no longer there.
func testFailed(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsInvalid(err)
}

// removePolicy deletes the policy that was seen, and no other of its name.
func (c *connection) removePolicy(ctx context.Context, i isolation, s standing) connector.Result {
	reply := c.api.remove(ctx, networkPolicies, i.namespace, i.policyName(), s.policy.UID)
	if apierrors.IsNotFound(reply.err) {
		return connector.Result{Outcome: v1alpha1.OutcomeAcknowledged}
	}
	return c.classify(ctx, reply, step{"delete network policy " + i.namespace + "/" + i.policyName(), "delete", networkPolicies, i.namespace})
}
