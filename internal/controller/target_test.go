// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/connector/kubernetes"
	"github.com/casebook-dev/casebook/test/fixture"
)

// meddler gets between an operator and its target: it runs do in place of a send, and may send itself.
type meddler struct {
	connector.Opener
	do func(ctx context.Context, send func() connector.Result) connector.Result
}

func meddling(do func(ctx context.Context, send func() connector.Result) connector.Result) fixture.Faults {
	return fixture.Faults{Connectors: func(next connector.Opener) connector.Opener { return meddler{next, do} }}
}

// Open implements connector.Opener.
func (m meddler) Open(object *v1alpha1.Connector) (connector.Connector, error) {
	opened, err := m.Opener.Open(object)
	return meddled{opened, m}, err
}

type meddled struct {
	connector.Connector
	meddler
}

// Do implements connector.Connector.
func (m meddled) Do(ctx context.Context, request connector.Request) connector.Result {
	return m.do(ctx, func() connector.Result { return m.Connector.Do(ctx, request) })
}

// label sets a pod's label as somebody else would.
func label(t *testing.T, pod *corev1.Pod, value string) {
	t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, kubernetes.IsolatedLabel, value)
	if err := fixture.Admin().Patch(context.Background(), pod.DeepCopy(), client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Error(err)
	}
}

func headline(a *v1alpha1.Action) metav1.Condition {
	if c := meta.FindStatusCondition(a.Status.Conditions, v1alpha1.ExecutedCondition); c != nil {
		return *c
	}
	return metav1.Condition{}
}

// A pod of the same name that was made anew is another pod: it is not touched.
func TestPodReplacedByAnotherOfItsName(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t, asking(askingOne()))
	pod := w.Pod("web-1")
	c := w.Alert(pod)
	q := w.AwaitQuestion(c, "isolate")
	if err := fixture.Admin().Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	w.AwaitGone(pod)
	another := w.Pod("web-1")
	w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(q, "Go on")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	a := w.ActionOf(c, "isolate")
	wantState(t, a, v1alpha1.ActionFailed, "another pod of the same name")
	if h := headline(a); h.Reason != v1alpha1.TargetReplacedReason || len(a.Status.Attempts) > 0 {
		t.Errorf("the reason is %s after %d attempts", h.Reason, len(a.Status.Attempts))
	}
	if w.Isolated(another) {
		t.Error("the new pod is isolated")
	}
	w.Check()
}

// Replaced between the announcement and the send: the send itself is pinned.
func TestPodReplacedBetweenAnnouncementAndSend(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	pod := w.Pod("web-1")
	var another *corev1.Pod
	w.Run(meddling(func(ctx context.Context, send func() connector.Result) connector.Result {
		if another == nil {
			if err := fixture.Admin().Delete(ctx, pod.DeepCopy(), client.GracePeriodSeconds(0)); err != nil {
				t.Error(err)
			}
			w.AwaitGone(pod.DeepCopy())
			another = w.Pod("web-1")
		}
		return send()
	}))
	w.AwaitReady()
	c := w.Alert(pod)
	a := w.ActionOf(c, "isolate")
	if h := headline(a); a.Status.State != v1alpha1.ActionFailed || h.Reason != v1alpha1.TargetReplacedReason {
		t.Errorf("the action is %s, %s: %s", a.Status.State, h.Reason, a.Status.Message)
	}
	if w.Isolated(another) {
		t.Error("the new pod is isolated")
	}
	w.Check()
}

// A rival sets the label between our send and the look at what became of it: that is not our success.
func TestRivalWritesBetweenSendAndOutcome(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	pod := w.Pod("web-1")
	w.Run(meddling(func(_ context.Context, send func() connector.Result) connector.Result {
		result := send()
		label(t, pod, "rival")
		return result
	}))
	w.AwaitReady()
	c := w.Alert(pod)
	a := w.ActionIn(c, "isolate", v1alpha1.ActionVerifying)
	if attempt := a.Status.Attempts[0]; attempt.Outcome != v1alpha1.OutcomeAcknowledged {
		t.Errorf("the attempt is %s: %s", attempt.Outcome, attempt.Message)
	}
	w.Forward(verifying)
	fixture.Await(w, a, "to end", func(a *v1alpha1.Action) bool { return a.Status.State.Ended() })
	wantState(t, a, v1alpha1.ActionFailed, "casebook.dev/isolated=rival")
	if h := headline(a); h.Reason != v1alpha1.NotAsDesiredReason {
		t.Errorf("the reason is %s", h.Reason)
	}
	w.Check()
}

// A lost answer is neither success nor failure: the target is asked, and the effect is there once.
func TestLostAnswerIsReadBack(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	pod := w.Pod("web-1")
	var sends atomic.Int64
	w.Run(meddling(func(_ context.Context, send func() connector.Result) connector.Result {
		sends.Add(1)
		send()
		return connector.Result{Outcome: v1alpha1.OutcomeInDoubt, Reason: v1alpha1.OutcomeUnknownReason, Message: "the answer was lost"}
	}))
	w.AwaitReady()
	c := w.Alert(pod)
	a := w.ActionOf(c, "isolate")
	wantState(t, a, v1alpha1.ActionSucceeded, "")
	if n := len(a.Status.Attempts); n != 1 || a.Status.Attempts[0].Outcome != v1alpha1.OutcomeInDoubt || sends.Load() != 1 {
		t.Errorf("there are %d attempts, the first %s, and %d sends", n, a.Status.Attempts[0].Outcome, sends.Load())
	}
	if !w.Isolated(pod) {
		t.Error("the pod is not isolated")
	}
	w.Check()
}

// A lost request looks like a lost answer: the target shows that nothing happened, and it is sent again.
func TestLostRequestIsSentAgain(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	pod := w.Pod("web-1")
	var sends atomic.Int64
	w.Run(meddling(func(_ context.Context, send func() connector.Result) connector.Result {
		if sends.Add(1) == 1 {
			return connector.Result{Outcome: v1alpha1.OutcomeInDoubt, Reason: v1alpha1.OutcomeUnknownReason, Message: "the connection was reset"}
		}
		return send()
	}))
	w.AwaitReady()
	c := w.Alert(pod)
	a := w.ActionOf(c, "isolate")
	wantState(t, a, v1alpha1.ActionSucceeded, "")
	if n := len(a.Status.Attempts); n != 2 || a.Status.Attempts[0].Outcome != v1alpha1.OutcomeInDoubt || a.Status.Attempts[1].Outcome != v1alpha1.OutcomeAcknowledged {
		t.Errorf("there are %d attempts: %+v", n, a.Status.Attempts)
	}
	if !w.Isolated(pod) {
		t.Error("it is said to have succeeded, and the pod is not isolated")
	}
	w.Check()
}

// Nothing was sent: it is tried again, each time announced.
func TestNotSentIsTriedAgain(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t)
	pod := w.Pod("web-1")
	var sends atomic.Int64
	w.Run(meddling(func(_ context.Context, send func() connector.Result) connector.Result {
		if sends.Add(1) == 1 {
			return connector.Result{Outcome: v1alpha1.OutcomeNotSent, Reason: connector.UnreachableReason, Message: "connection refused"}
		}
		return send()
	}))
	w.AwaitReady()
	c := w.Alert(pod)
	a := w.ActionOf(c, "isolate")
	wantState(t, a, v1alpha1.ActionSucceeded, "")
	// What never reached the target leaves room for what did; the journal has it.
	if len(a.Status.Attempts) != 1 || a.Status.Attempts[0].Number != 2 || a.Status.Attempts[0].Outcome != v1alpha1.OutcomeAcknowledged {
		t.Errorf("the attempts are %+v", a.Status.Attempts)
	}
	w.Check()
}

// A rollback is taken only while the target is as it was left.
func TestRollbackLeavesARivalsIsolationAlone(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t)
	pod := w.Pod("web-1")
	c := w.Alert(pod)
	w.AwaitQuestion(c, "keep")
	label(t, pod, "rival")
	isolate := w.ActionOf(c, "isolate")
	w.Judged(w.Decide(fixture.Lead, c, fixture.Rollback(isolate, "Planned test")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	a := w.ActionOf(c, "rollback-isolate")
	wantState(t, a, v1alpha1.ActionFailed, "rival")
	if h := headline(a); h.Reason != v1alpha1.TargetChangedReason || len(a.Status.Attempts) > 0 {
		t.Errorf("the reason is %s after %d attempts", h.Reason, len(a.Status.Attempts))
	}
	w.Check()
}
