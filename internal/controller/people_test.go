// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"slices"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture"
)

// What people do with a case beside answering: comment, assign, close it as its type wants, and open it again.
func TestPeopleWorkOnACase(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t)
	pod := w.Pod("web-1")
	c := w.Alert(pod)
	q := w.AwaitQuestion(c, "keep")
	counted := func(person string, spec v1alpha1.DecisionSpec) {
		t.Helper()
		w.Judged(w.Decide(person, c, spec), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	}
	void := func(person string, spec v1alpha1.DecisionSpec, reason string, words ...string) {
		t.Helper()
		w.Judged(w.Decide(person, c, spec), v1alpha1.DecisionVoid, reason, words...)
	}

	counted(fixture.Analyst, v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictComment, Message: "Looking"})
	counted(fixture.Analyst, v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictAssign, Assign: &v1alpha1.AssignDecision{Owner: fixture.Analyst, Queue: "night"}})
	fixture.Await(w, c, "to be assigned", func(c *v1alpha1.Case) bool { return c.Status.Owner == fixture.Analyst && c.Status.Queue == "night" })

	void(fixture.Lead, fixture.Answer(q, "burn"), v1alpha1.InvalidSpecReason, "keep, release")
	void(fixture.Analyst, fixture.Answer(q, "keep"), v1alpha1.NotEntitledReason, "soc-leads")
	void(fixture.Analyst, fixture.Close("TruePositive", "Done"), v1alpha1.InvalidSpecReason, c.Name+"/keep is still open")
	counted(fixture.Lead, fixture.Answer(q, "keep"))
	void(fixture.Lead2, fixture.Answer(q, "release"), v1alpha1.LateReason)
	w.AwaitRest(c)

	counted(fixture.Analyst, fixture.Close("TruePositive", "Confirmed with the shop team"))
	w.AwaitState(c, v1alpha1.CaseClosed)
	if c.Status.Closure.By.Name != fixture.Analyst || c.Status.Closure.Note != "Confirmed with the shop team" {
		t.Errorf("the closure is %+v", c.Status.Closure)
	}
	w.Evidence(c, true)
	void(fixture.Analyst, fixture.IsolateByHand(pod), v1alpha1.LateReason, "reopen it first")

	counted(fixture.Analyst, v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictReopen, Message: "Another pod talks to it"})
	fixture.Await(w, c, "to be open again", func(c *v1alpha1.Case) bool { return c.Status.State != v1alpha1.CaseClosed })
	if c.Status.Closure != nil {
		t.Errorf("an open case says how it closed: %+v", c.Status.Closure)
	}
	counted(fixture.Analyst, fixture.Close("FalsePositive", "It was the backup"))
	w.AwaitState(c, v1alpha1.CaseClosed)
	w.Evidence(c, true)
	w.Check()
}

// A playbook that is started by hand is refused where an input is missing, rather than failing once it runs.
func TestRunByHandNeedsItsInputs(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t)
	c := w.Alert(w.Pod("web-1"))
	pb := &v1alpha1.Playbook{ObjectMeta: metav1.ObjectMeta{Name: "note-user", Namespace: w.Namespace}, Spec: v1alpha1.PlaybookSpec{
		Description: "Takes note of a user.",
		Inputs:      []v1alpha1.PlaybookInput{{Name: "user", Type: "User"}},
		Steps:       []v1alpha1.Step{{Name: "contained", Set: &v1alpha1.SetStep{State: v1alpha1.CaseContained}}},
	}}
	if err := fixture.Admin().Create(t.Context(), pb); err != nil {
		t.Fatal(err)
	}
	fixture.Await(w, pb, "to compile", func(pb *v1alpha1.Playbook) bool { return pb.Status.Revision != "" })
	run := func(inputs string) *v1alpha1.Decision {
		spec := v1alpha1.DecisionSpec{Verdict: v1alpha1.VerdictRun, Message: "Look at her, too", Run: &v1alpha1.RunDecision{PlaybookRef: v1alpha1.LocalRef{Name: pb.Name}}}
		if inputs != "" {
			spec.Run.Inputs = &apiextensionsv1.JSON{Raw: []byte(inputs)}
		}
		return w.Decide(fixture.Analyst, c, spec)
	}
	example := "for example: kubectl casebook run " + c.Name + " note-user --input user=ana@example.com"
	w.Judged(run(""), v1alpha1.DecisionVoid, v1alpha1.InvalidSpecReason, "the input user is missing", example)
	w.Judged(run(`{"usr":"ana"}`), v1alpha1.DecisionVoid, v1alpha1.InvalidSpecReason, "the input user is missing", example)
	w.Judged(run(`{"user":["ana"]}`), v1alpha1.DecisionVoid, v1alpha1.InvalidSpecReason, "the input user must be a User", example)
	d := run(`{"user":"ana"}`)
	w.Judged(d, v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	fixture.Await(w, c, "to run it, and nothing that was refused", func(c *v1alpha1.Case) bool {
		at := slices.IndexFunc(c.Status.Playbooks, func(p v1alpha1.StartedPlaybook) bool { return p.Name == pb.Name })
		return at >= 0 && c.Status.Playbooks[at].Item == d.Name && c.Status.Playbooks[at].Run != ""
	})
	w.Check()
}

// A critical case closes only with the root cause that its type wants.
func TestCriticalCaseNeedsARootCause(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t)
	pod := w.Pod("web-1")
	pod.Labels["criticality"] = "high" // one step above the signal's High
	if err := fixture.Admin().Update(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	c := w.Alert(pod)
	q := w.AwaitQuestion(c, "keep")
	if c.Status.Severity != v1alpha1.SeverityCritical {
		t.Fatalf("the case is %s: %+v", c.Status.Severity, c.Status.SeverityTrace)
	}
	w.Judged(w.Decide(fixture.Lead, c, fixture.Answer(q, "keep")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	w.AwaitRest(c)
	spec := fixture.Close("TruePositive", "Confirmed")
	w.Judged(w.Decide(fixture.Analyst, c, spec), v1alpha1.DecisionVoid, v1alpha1.InvalidSpecReason, "root cause")
	spec.Close.RootCause = "An old image"
	w.Judged(w.Decide(fixture.Analyst, c, spec), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	w.AwaitState(c, v1alpha1.CaseClosed)
	w.Check()
}

// A playbook reads a lookup that has nothing to ask as its tests do: it is the empty list, and no riddle.
func TestRunSeesALookupThatHasNothingToAsk(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t, func(o client.Object) {
		switch o := o.(type) {
		case *v1alpha1.CaseType:
			o.Spec.Enrich = append(o.Spec.Enrich, v1alpha1.Enrichment{Name: "machines", ForEach: "case.hosts", Lookup: "kubernetes/getPod"})
		case *v1alpha1.Playbook:
			o.Spec.Steps[0].If = "size(enrichment.machines) == 0"
		}
	})
	pod := w.Pod("web-1")
	c := w.Alert(pod)
	wantState(t, w.ActionOf(c, "isolate"), v1alpha1.ActionSucceeded, "")
	w.Check()
}
