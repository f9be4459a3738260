// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture"
)

// asking makes the guardrail ask before anything is done.
func asking(ask v1alpha1.Ask) fixture.Edit {
	return func(o client.Object) {
		if g, ok := o.(*v1alpha1.Guardrail); ok {
			g.Spec.Rules = []v1alpha1.GuardrailRule{{Name: "people", Ask: &ask}}
		}
	}
}

// askingOne is asking for one approver within an hour.
func askingOne() v1alpha1.Ask {
	return v1alpha1.Ask{Because: "isolation needs a second pair of eyes", ValidFor: &metav1.Duration{Duration: time.Hour}}
}

// verifying is longer than a target may take to show what it acknowledged.
const verifying = time.Minute

func wantState(t *testing.T, a *v1alpha1.Action, state v1alpha1.ActionState, words string) {
	t.Helper()
	if a.Status.State != state || !strings.Contains(a.Status.Message, words) {
		t.Errorf("action %s is %s: %s; want %s, saying %q", a.Spec.Handle, a.Status.State, a.Status.Message, state, words)
	}
}

func TestApprovalByAnEntitledPersonExecutes(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t, asking(askingOne()))
	pod := w.Pod("web-1")
	c := w.Alert(pod)
	q := w.AwaitQuestion(c, "isolate")
	if w.Isolated(pod) {
		t.Fatal("the pod is isolated before anybody approved")
	}
	if q.Because != "isolation needs a second pair of eyes" || !strings.Contains(q.Prompt, pod.Name) {
		t.Errorf("the question is %q, because %q", q.Prompt, q.Because)
	}
	w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(q, "Go on")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	a := w.ActionOf(c, "isolate")
	wantState(t, a, v1alpha1.ActionSucceeded, "")
	if len(a.Status.Approvals) != 1 || a.Status.Approvals[0].Actor.Username != fixture.Lead {
		t.Errorf("the approvals are %+v, want one by %s", a.Status.Approvals, fixture.Lead)
	}
	if !w.Isolated(pod) {
		t.Error("the pod is not isolated")
	}
	twice := w.Decide(fixture.Lead2, c, fixture.Approve(q, "Me too"))
	w.Judged(twice, v1alpha1.DecisionVoid, v1alpha1.LateReason, "isolate")
	w.Check()
}

func TestDenialEndsTheRun(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t, asking(askingOne()))
	pod := w.Pod("web-1")
	c := w.Alert(pod)
	q := w.AwaitQuestion(c, "isolate")
	w.Judged(w.Decide(fixture.Lead, c, fixture.Deny(q, "It is the shop's only pod")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	wantState(t, w.ActionOf(c, "isolate"), v1alpha1.ActionDenied, "denied by mia: It is the shop's only pod")
	run := w.AwaitRun(c, v1alpha1.RunState.Ended)
	if run.Status.State != v1alpha1.RunFailed || !strings.Contains(run.Status.Message, "step isolate: denied by mia") {
		t.Errorf("the run is %s: %s", run.Status.State, run.Status.Message)
	}
	w.Judged(w.Decide(fixture.Lead2, c, fixture.Approve(q, "I would")), v1alpha1.DecisionVoid, v1alpha1.LateReason)
	if w.Isolated(pod) {
		t.Error("the pod is isolated although a person denied it")
	}
	w.Check()
}

func TestTwoApprovers(t *testing.T) {
	t.Parallel()
	ask := askingOne()
	ask.Count = 2
	w := fixture.Start(t, asking(ask))

	pod := w.Pod("web-1")
	c := w.Alert(pod)
	q := w.AwaitQuestion(c, "isolate")
	w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(q, "Go on")), v1alpha1.DecisionCounted, v1alpha1.CountedReason, "1 of 2")
	w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(q, "Really")), v1alpha1.DecisionVoid, v1alpha1.LateReason, "each person counts once")
	if w.ActionIn(c, "isolate", v1alpha1.ActionAsking); w.Isolated(pod) {
		t.Error("the pod is isolated by one of two approvers")
	}
	w.Judged(w.Decide(fixture.Lead2, c, fixture.Approve(q, "Yes")), v1alpha1.DecisionCounted, v1alpha1.CountedReason, "2 of 2")
	if a := w.ActionOf(c, "isolate"); a.Status.State != v1alpha1.ActionSucceeded || len(a.Status.Approvals) != 2 {
		t.Errorf("action is %s with %d approvals", a.Status.State, len(a.Status.Approvals))
	}

	other := w.Pod("web-2") // one approves and another denies: no is no
	c2 := w.Alert(other)
	q2 := w.AwaitQuestion(c2, "isolate")
	w.Judged(w.Decide(fixture.Lead, c2, fixture.Approve(q2, "Go on")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	w.Judged(w.Decide(fixture.Lead2, c2, fixture.Deny(q2, "Never")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	wantState(t, w.ActionOf(c2, "isolate"), v1alpha1.ActionDenied, "denied by max: Never")
	if w.Isolated(other) {
		t.Error("the pod is isolated although one of the approvers denied it")
	}
	w.Check()
}

func TestApprovalThatDoesNotCount(t *testing.T) {
	t.Parallel()
	t.Run("without a verb on cases admission refuses it", func(t *testing.T) {
		t.Parallel()
		w := fixture.Start(t, asking(askingOne()))
		c := w.Alert(w.Pod("web-1"))
		q := w.AwaitQuestion(c, "isolate")
		for person, words := range map[string]string{fixture.Analyst: `the verb "approve" on cases.casebook.dev is missing`, fixture.Stranger: "cannot create resource"} {
			if _, err := w.TryDecide(person, c, fixture.Approve(q, "ok")); err == nil || !strings.Contains(err.Error(), words) {
				t.Errorf("%s: %v; want it to say %q", person, err, words)
			}
		}
		w.Check()
	})
	t.Run("without the finer verb that the guardrail wants", func(t *testing.T) {
		t.Parallel()
		ask := askingOne()
		ask.Verb = "approve-hosts"
		w := fixture.Start(t, asking(ask))
		c := w.Alert(w.Pod("web-1"))
		d := w.Decide(fixture.Lead, c, fixture.Approve(w.AwaitQuestion(c, "isolate"), "ok"))
		w.Judged(d, v1alpha1.DecisionVoid, v1alpha1.NotEntitledReason, fixture.Lead, `"approve-hosts"`, w.Namespace)
		stillAsks(t, w, c)
	})
	t.Run("from outside the groups that the guardrail wants", func(t *testing.T) {
		t.Parallel()
		ask := askingOne()
		ask.Groups = []string{"platform"}
		w := fixture.Start(t, asking(ask))
		c := w.Alert(w.Pod("web-1"))
		d := w.Decide(fixture.Lead, c, fixture.Approve(w.AwaitQuestion(c, "isolate"), "ok"))
		w.Judged(d, v1alpha1.DecisionVoid, v1alpha1.NotEntitledReason, "group platform")
		stillAsks(t, w, c)
	})
	t.Run("for another digest than what would run", func(t *testing.T) {
		t.Parallel()
		w := fixture.Start(t, asking(askingOne()))
		c := w.Alert(w.Pod("web-1"))
		q := w.AwaitQuestion(c, "isolate")
		q.Digest = strings.Repeat("0", 64)
		w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(q, "ok")), v1alpha1.DecisionVoid, v1alpha1.StaleReason, "has changed since it was shown")
		stillAsks(t, w, c)
	})
	t.Run("after its time", func(t *testing.T) {
		t.Parallel()
		ask := askingOne()
		ask.ValidFor.Duration = 10 * time.Minute
		w := fixture.Start(t, asking(ask))
		pod := w.Pod("web-1")
		c := w.Alert(pod)
		q := w.AwaitQuestion(c, "isolate")
		w.Forward(20 * time.Minute) // the step has an hour
		wantState(t, w.ActionOf(c, "isolate"), v1alpha1.ActionExpired, "nobody entitled answered in time")
		w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(q, "ok")), v1alpha1.DecisionVoid, v1alpha1.LateReason)
		if w.Isolated(pod) {
			t.Error("the pod is isolated by an approval that came late")
		}
		w.Check()
	})
	t.Run("of a question that others must answer now", func(t *testing.T) {
		t.Parallel()
		ask := askingOne()
		ask.Count = 2
		w := fixture.Start(t, asking(ask))
		pod := w.Pod("web-1")
		c := w.Alert(pod)
		w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(w.AwaitQuestion(c, "isolate"), "ok")), v1alpha1.DecisionCounted, v1alpha1.CountedReason, "1 of 2")
		var g v1alpha1.Guardrail
		if err := fixture.Admin().Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: "runtime-containment"}, &g); err != nil {
			t.Fatal(err)
		}
		g.Spec.Rules[0].Ask.Count = 1
		if err := fixture.Admin().Update(t.Context(), &g); err != nil {
			t.Fatal(err)
		}
		asksOne := func(c *v1alpha1.Case) bool { return len(c.Status.Questions) == 1 && c.Status.Questions[0].Count == 1 }
		fixture.Await(w, c, "to ask one person", asksOne)
		stillAsks(t, w, c)
		w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(w.AwaitQuestion(c, "isolate"), "ok")), v1alpha1.DecisionCounted, v1alpha1.CountedReason, "1 of 1")
		wantState(t, w.ActionOf(c, "isolate"), v1alpha1.ActionSucceeded, "")
		w.Check()
	})
	t.Run("under a forged name", func(t *testing.T) {
		t.Parallel()
		ask := askingOne()
		ask.Groups = []string{"platform"}
		w := fixture.Start(t, asking(ask))
		c := w.Alert(w.Pod("web-1"))
		spec := fixture.Approve(w.AwaitQuestion(c, "isolate"), "ok")
		spec.Actor = &v1alpha1.Actor{Username: "root", UID: "0", Groups: []string{"platform"}}
		d := w.Decide(fixture.Lead, c, spec)
		if d.Spec.Actor.Username != fixture.Lead || strings.Contains(strings.Join(d.Spec.Actor.Groups, " "), "platform") {
			t.Errorf("the actor is %+v, want it stamped over", d.Spec.Actor)
		}
		w.Judged(d, v1alpha1.DecisionVoid, v1alpha1.NotEntitledReason)
		stillAsks(t, w, c)
	})
	t.Run("by who asked for it", func(t *testing.T) {
		t.Parallel()
		w := fixture.Start(t, asking(askingOne()))
		pod := w.Pod("web-1")
		c := w.Alert(w.Pod("web-2"))
		w.AwaitQuestion(c, "isolate")
		act := w.Decide(fixture.Lead, c, fixture.IsolateByHand(pod))
		w.Judged(act, v1alpha1.DecisionCounted, v1alpha1.CountedReason)
		var a v1alpha1.Action
		if err := fixture.Admin().Get(t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: act.Status.Action}, &a); err != nil {
			t.Fatal(err)
		}
		q := w.AwaitQuestion(c, a.Spec.Handle)
		w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(q, "ok")), v1alpha1.DecisionVoid, v1alpha1.NotEntitledReason, "whoever asked for it does not decide on it")
		w.Judged(w.Decide(fixture.Lead2, c, fixture.Approve(q, "ok")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
		wantState(t, w.ActionOf(c, a.Spec.Handle), v1alpha1.ActionSucceeded, "")
		if !w.Isolated(pod) {
			t.Error("the pod is not isolated")
		}
		w.Check()
	})
	t.Run("by who started its run", func(t *testing.T) {
		t.Parallel()
		w := fixture.Start(t, asking(askingOne()))
		pod := w.Pod("web-1")
		c := w.Alert(pod)
		w.AwaitQuestion(c, "isolate")
		run := v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictRun, Message: "Once more", Run: &v1alpha1.RunDecision{PlaybookRef: v1alpha1.LocalRef{Name: "isolate-pod"}}}
		w.Judged(w.Decide(fixture.Lead, c, run), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
		q := w.AwaitQuestion(c, "isolate-2")
		w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(q, "ok")), v1alpha1.DecisionVoid, v1alpha1.NotEntitledReason, "who asked for it or wrote its playbook")
		w.Judged(w.Decide(fixture.Lead2, c, fixture.Approve(q, "ok")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
		wantState(t, w.ActionOf(c, "isolate-2"), v1alpha1.ActionSucceeded, "")
		w.Check()
	})
}

// stillAsks wants the isolation not to be done.
func stillAsks(t *testing.T, w *fixture.World, c *v1alpha1.Case) {
	t.Helper()
	w.AwaitQuestion(c, "isolate")
	if a := w.ActionIn(c, "isolate", v1alpha1.ActionAsking); len(a.Status.Attempts) > 0 || len(a.Status.Approvals) > 0 {
		t.Errorf("the action has %d attempts and %d approvals", len(a.Status.Attempts), len(a.Status.Approvals))
	}
	w.Check()
}
