// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

func TestApprove(t *testing.T) {
	n := newTenant(t)
	a := n.asking(n.openCase("rt-1"), "isolate")
	n.judge(func(d *v1alpha1.Decision) v1alpha1.DecisionStatus {
		a.Status.Approvals = []v1alpha1.Approval{{Decision: d.Name, Actor: *d.Spec.Actor, Time: later()}}
		n.succeed(a)
		return counts(d)
	})
	n.mia("approve", "rt-1", "-m", "Called the owner").want(t, exitDone,
		"You approve, as mia (group soc-leads), for case rt-1:", "kubernetes/isolatePod   Pod shop/web-6d4f9", `"uid": "4b1f6d0e"`,
		"rollback    kubernetes/releasePod", "Approved.", "Succeeded, verified", "approved by mia (soc-leads)",
		`kubectl casebook rollback rt-1/isolate -m "…"`)
	made := n.decisions()
	if len(made) != 1 {
		t.Fatalf("%d decisions, want one", len(made))
	}
	want := v1alpha1.DecisionSpec{
		CaseRef: a.Spec.CaseRef, Verdict: v1alpha1.VerdictApprove, Message: "Called the owner",
		Answer: &v1alpha1.AnswerDecision{Handle: "isolate", Digest: a.Spec.PlanDigest},
		Actor:  &v1alpha1.Actor{Username: "mia", Groups: []string{"soc-leads", "system:authenticated"}},
	}
	if diff := cmp.Diff(want, made[0].Spec); diff != "" {
		t.Errorf("the decision (-want +got):\n%s", diff)
	}
	if !strings.HasPrefix(made[0].Name, "rt-1-approve-") {
		t.Errorf("the decision is called %s, want rt-1-approve-…", made[0].Name)
	}
}

func TestApproveByWhoMayNot(t *testing.T) {
	n := newTenant(t)
	n.asking(n.openCase("rt-1"), "isolate")
	got := n.ana("approve", "rt-1/isolate", "-m", "ok")
	got.want(t, exitRefused,
		`error: cannot approve rt-1/isolate: ana may not approve in case rt-1: the verb "approve" on cases.casebook.dev is missing`,
		"Who may answer: one person of group soc-leads with the verb approve.")
	if strings.Count(got.err, "\n") != 2 {
		t.Errorf("the error is not one line and a remedy: %q", got.err)
	}
	n.as("eve", "outsiders", "approve", "rt-1", "-m", "ok").want(t, exitRefused,
		`eve lacks the verb "get" on cases.casebook.dev in namespace `+n.namespace)
	if made := n.decisions(); len(made) != 0 {
		t.Errorf("there are decisions: %v", made)
	}
}

func TestApproveWhatIsNotWhatTheCaseAsks(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("rt-1")
	n.asking(c, "isolate")
	c.Status.Questions[0].Digest = strings.Repeat("00", 32)
	n.status(c)
	n.mia("approve", "rt-1", "-m", "ok").want(t, exitRefused, "what would run is not what the case asks about", "Nothing was decided.")
	if made := n.decisions(); len(made) != 0 {
		t.Errorf("there are decisions: %v", made)
	}
}

func TestQuestionsAreNamedWhereThereAreSeveral(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("rt-1")
	n.asking(c, "isolate")
	n.choosing(c, "keep")
	n.mia("approve", "rt-1", "-m", "ok").want(t, exitUsage, "it has 2 open questions, and none is named",
		`kubectl casebook approve rt-1/isolate -m "…"`, `kubectl casebook answer rt-1/keep release -m "…"`)
	n.mia("approve", "rt-1/nothing", "-m", "ok").want(t, exitRefused, "Open: rt-1/isolate, rt-1/keep")
	n.mia("answer", "rt-1/isolate", "yes").want(t, exitUsage, "it asks for an approval")
	n.mia("answer", "rt-1/keep", "perhaps").want(t, exitUsage, "Options: keep, release")
	if made := n.decisions(); len(made) != 0 {
		t.Errorf("there are decisions: %v", made)
	}
}

func TestAnswer(t *testing.T) {
	n := newTenant(t)
	c := n.openCase("rt-1")
	asked := n.choosing(c, "keep").Status.Steps[0].Question
	n.judge(func(d *v1alpha1.Decision) v1alpha1.DecisionStatus {
		c.Status.Questions = nil
		n.status(c)
		return counts(d)
	})
	n.mia("answer", "rt-1", "keep", "-m", "until tomorrow").want(t, exitDone, `You answer "keep", as mia (group soc-leads), for case rt-1:`, "Answered.")
	if got := n.decisions()[0].Spec.Answer; got.Option != "keep" || got.Digest != asked.Digest {
		t.Errorf("the answer is %+v", got)
	}
}

func TestApproveAndDenyChooseBetweenTwoOptions(t *testing.T) {
	for verb, option := range map[string]string{"approve": "keep", "deny": "release"} {
		n := newTenant(t)
		c := n.openCase("rt-1")
		n.choosing(c, "keep")
		n.judge(func(d *v1alpha1.Decision) v1alpha1.DecisionStatus {
			c.Status.Questions = nil
			n.status(c)
			return counts(d)
		})
		n.mia(verb, "rt-1/keep", "-m", "so be it").want(t, exitDone, `You answer "`+option+`"`, "Answered.")
		if got := n.decisions()[0].Spec; got.Verdict != v1alpha1.VerdictAnswer || got.Answer.Option != option {
			t.Errorf("%s decided %+v", verb, got)
		}
	}
}

func TestDeny(t *testing.T) {
	n := newTenant(t)
	a := n.asking(n.openCase("rt-1"), "isolate")
	n.judge(func(d *v1alpha1.Decision) v1alpha1.DecisionStatus {
		a.Status.State, a.Status.Question, a.Status.Message = v1alpha1.ActionDenied, nil, "mia denied it: a surgeon's laptop"
		n.status(a)
		return counts(d)
	})
	n.mia("deny", "rt-1", "-m", "a surgeon's laptop").want(t, exitDone, "You deny, as mia", "Denied.", "Denied: mia denied it")
}

func TestApprovalThatDoesNotCount(t *testing.T) {
	n := newTenant(t)
	n.asking(n.openCase("rt-1"), "isolate")
	n.judge(func(*v1alpha1.Decision) v1alpha1.DecisionStatus {
		return v1alpha1.DecisionStatus{State: v1alpha1.DecisionVoid, Reason: v1alpha1.NotEntitledReason, Message: "mia asked for it, and the requester may not approve"}
	})
	n.mia("approve", "rt-1", "-m", "ok").want(t, exitRefused, "the decision is void (NotEntitled): mia asked for it", "Who may answer: one person of group soc-leads")
	got := n.mia("approve", "rt-1", "-m", "ok", "-o", "json")
	got.want(t, exitRefused, `"state": "Void"`, `"reason": "NotEntitled"`)
}

func TestApprovedActionThatFails(t *testing.T) {
	n := newTenant(t)
	a := n.asking(n.openCase("rt-1"), "isolate")
	n.judge(func(d *v1alpha1.Decision) v1alpha1.DecisionStatus {
		a.Status.State, a.Status.Question, a.Status.Message = v1alpha1.ActionFailed, nil, "the pod is gone"
		n.status(a)
		return counts(d)
	})
	n.mia("approve", "rt-1", "-m", "ok").want(t, exitRefused, "kubernetes/isolatePod is Failed: the pod is gone", "kubectl casebook why rt-1/isolate")
}

func TestApproveWithoutAnswerInTime(t *testing.T) {
	n := newTenant(t)
	n.asking(n.openCase("rt-1"), "isolate")
	n.mia("approve", "rt-1", "-m", "ok", "--timeout", "100ms").want(t, exitTimeout, "is recorded as rt-1-approve-", "kubectl casebook timeline rt-1")
	n.mia("approve", "rt-1", "-m", "ok", "--wait=false").want(t, exitDone, "is recorded; nothing has come of it yet")
}
