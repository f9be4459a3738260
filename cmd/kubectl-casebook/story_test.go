// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/playbook"
)

const podInput = `{"name":"web-6d4f9","namespace":"shop","uid":"4b1f6d0e"}`

// hostile is the name of a host that would redraw an approver's terminal and turn a line around. No title can: the schema
// refuses it.
const hostile = "shell in \x1b[2J\x1b[31mweb \u202egnp.exe\u202c"

// newCase makes a case that no controller has looked at.
func (n *tenant) newCase(name string) *v1alpha1.Case {
	n.t.Helper()
	c := &v1alpha1.Case{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: name, Labels: map[string]string{v1alpha1.TypeLabel: "runtime-threat"}},
		Spec: v1alpha1.CaseSpec{
			TypeRef: v1alpha1.LocalRef{Name: "runtime-threat"}, Title: "shell in web", Severity: v1alpha1.SeverityHigh,
			CorrelationKey: strings.Repeat("ab", 32), CorrelatedBy: "hosts=" + hostile,
			SignalRef: v1alpha1.LocalRef{Name: "falco-1"}, EvidenceLog: v1alpha1.LogOfTenant,
		},
	}
	n.create(c)
	return c
}

// openCase makes a case about one pod.
func (n *tenant) openCase(name string) *v1alpha1.Case {
	n.t.Helper()
	c := n.newCase(name)
	c.Status = v1alpha1.CaseStatus{
		State: v1alpha1.CaseTriage, Severity: v1alpha1.SeverityHigh, Queue: "runtime",
		Hosts:  []v1alpha1.Entity{{Name: hostile}},
		Assets: []v1alpha1.Entity{{Type: "Pod", Namespace: "shop", Name: "web-6d4f9"}},
		Enrichments: []v1alpha1.EnrichmentRecord{{
			Name: "workload", Lookup: "kubernetes/getPod", Time: metav1.NowMicro(),
			Result: &apiextensionsv1.JSON{Raw: []byte(`{"found":true,"pod":` + podInput + `,"workload":{"kind":"Deployment","name":"web"}}`)},
		}},
	}
	n.status(c)
	return c
}

// asking makes an action that waits for an approval, and lets the case ask for it.
func (n *tenant) asking(c *v1alpha1.Case, handle string) *v1alpha1.Action {
	n.t.Helper()
	a := n.action(c, handle)
	q := v1alpha1.Question{
		Kind: v1alpha1.QuestionApproval, Prompt: "Isolate pod shop/web-6d4f9?", Verb: "approve", Groups: []string{"soc-leads"}, Count: 1,
		Digest: a.Spec.PlanDigest, AskedTime: metav1.NowMicro(), DueTime: later(),
	}
	a.Status = v1alpha1.ActionStatus{
		State: v1alpha1.ActionAsking, Question: &q,
		Verdict: &v1alpha1.GuardVerdict{Answer: v1alpha1.AnswerAsk, Because: "no rule answers", Time: metav1.NowMicro()},
	}
	n.status(a)
	c.Status.Questions = append(c.Status.Questions, v1alpha1.CaseQuestion{
		Handle: handle, ActionRef: &v1alpha1.RecordRef{Name: a.Name, UID: string(a.UID)}, Question: q,
	})
	n.status(c)
	return a
}

// action makes an action of a playbook.
func (n *tenant) action(c *v1alpha1.Case, handle string) *v1alpha1.Action {
	n.t.Helper()
	a := &v1alpha1.Action{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: c.Name + "-" + strings.ToLower(handle), Labels: map[string]string{v1alpha1.CaseLabel: c.Name}},
		Spec: v1alpha1.ActionSpec{
			CaseRef: v1alpha1.RecordRef{Name: c.Name, UID: string(c.UID)}, Handle: handle, Operation: "kubernetes/isolatePod",
			ConnectorRef: v1alpha1.RecordRef{Name: "kubernetes", UID: "uid-1"}, Input: apiextensionsv1.JSON{Raw: []byte(podInput)},
			Target: v1alpha1.Target{Type: "Pod", Namespace: "shop", Name: "web-6d4f9", UID: "4b1f6d0e"},
			Effect: v1alpha1.EffectReversible, Semantics: v1alpha1.Idempotent, Rollback: v1alpha1.RollbackPlan{Operation: "kubernetes/releasePod"},
			Requester: v1alpha1.JournalActor{Type: v1alpha1.ActorAutomation, Name: "playbookrun", Revision: "isolate-pod-1"}, DeadlineTime: later(),
		},
	}
	var err error
	if a.Spec.PlanDigest, err = action.PlanDigest(a.Spec); err != nil {
		n.t.Fatal(err)
	}
	n.create(a)
	return a
}

// choosing makes a run that waits for a choice, and lets the case ask for it.
func (n *tenant) choosing(c *v1alpha1.Case, handle string) *v1alpha1.PlaybookRun {
	n.t.Helper()
	r := &v1alpha1.PlaybookRun{
		ObjectMeta: metav1.ObjectMeta{Namespace: n.namespace, Name: c.Name + "-run", Labels: map[string]string{v1alpha1.CaseLabel: c.Name}},
		Spec: v1alpha1.PlaybookRunSpec{
			CaseRef: v1alpha1.RecordRef{Name: c.Name, UID: string(c.UID)}, PlaybookRef: v1alpha1.LocalRef{Name: "isolate-pod"}, Revision: "isolate-pod-1",
		},
	}
	n.create(r)
	q := v1alpha1.Question{
		Kind: v1alpha1.QuestionChoice, Prompt: "Keep pod shop/web-6d4f9 isolated?", Options: []string{"keep", "release"}, Verb: "approve",
		Groups: []string{"soc-leads"}, Count: 1, AskedTime: metav1.NowMicro(), DueTime: later(),
	}
	q.Digest = playbook.QuestionDigest(string(r.UID), handle, q.Prompt, q.Options)
	r.Status = v1alpha1.PlaybookRunStatus{State: v1alpha1.RunWaiting, Step: handle, Steps: []v1alpha1.StepStatus{{
		Name: handle, State: v1alpha1.StepWaiting, Question: &q, StartTime: metav1.NowMicro(),
	}}}
	n.status(r)
	c.Status.Questions = append(c.Status.Questions, v1alpha1.CaseQuestion{
		Handle: handle, RunRef: &v1alpha1.RecordRef{Name: r.Name, UID: string(r.UID)}, Question: q,
	})
	n.status(c)
	return r
}

// succeed ends an action as done and verified.
func (n *tenant) succeed(a *v1alpha1.Action) {
	now := metav1.NewMicroTime(time.Now())
	a.Status.State, a.Status.Question, a.Status.EndTime = v1alpha1.ActionSucceeded, nil, &now
	a.Status.Conditions = []metav1.Condition{{
		Type: v1alpha1.ExecutedCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.VerifiedReason, LastTransitionTime: metav1.Now(),
	}}
	n.status(a)
}
