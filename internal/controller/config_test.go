// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/test/fixture"
)

// Configuration that cannot be used says which field and why, and says so once.
func TestConfigurationThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t)
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: w.Namespace} }
	for name, test := range map[string]struct {
		object loop.Object
		edit   func(loop.Object)
		reason string
		words  []string
	}{
		"a playbook whose condition does not compile": {
			&v1alpha1.Playbook{ObjectMeta: named("isolate-pod")},
			func(o loop.Object) { o.(*v1alpha1.Playbook).Spec.Steps[3].If = "steps.keep.answr ==" },
			v1alpha1.InvalidExpressionReason, []string{"spec.steps[3]", "if"},
		},
		"a case type whose match does not compile": {
			&v1alpha1.CaseType{ObjectMeta: named("runtime-threat")},
			func(o loop.Object) { o.(*v1alpha1.CaseType).Spec.Match = "signal.category = 'Runtime'" },
			v1alpha1.InvalidExpressionReason, []string{"spec.match"},
		},
		"a guardrail whose rule does not compile": {
			&v1alpha1.Guardrail{ObjectMeta: named("runtime-containment")},
			func(o loop.Object) { o.(*v1alpha1.Guardrail).Spec.Rules[1].If = "severity >" },
			v1alpha1.InvalidExpressionReason, []string{"spec.rules[1]", "asks a person"},
		},
		"a mapping whose title does not compile": {
			&v1alpha1.Mapping{ObjectMeta: named("falco")},
			func(o loop.Object) { o.(*v1alpha1.Mapping).Spec.Signal.Title = "payload.rule +" },
			v1alpha1.InvalidExpressionReason, []string{"title"},
		},
		"a source whose mapping does not exist": {
			&v1alpha1.Source{ObjectMeta: named("falco")},
			func(o loop.Object) { o.(*v1alpha1.Source).Spec.MappingRef.Name = "falko" },
			v1alpha1.ReferenceNotFoundReason, []string{"falko", "apply it"},
		},
		"a source whose secret may not be read": {
			&v1alpha1.Source{ObjectMeta: named("falco")},
			func(o loop.Object) { o.(*v1alpha1.Source).Spec.Webhook.Authentication.Bearer.SecretRef.Name = "others" },
			v1alpha1.SecretForbiddenReason, []string{"others", "kubectl -n"},
		},
		"an evidence log whose key has no such name": {
			&v1alpha1.EvidenceLog{ObjectMeta: named("default")},
			func(o loop.Object) { o.(*v1alpha1.EvidenceLog).Spec.SigningKeyRef.Key = "kee" },
			v1alpha1.SecretNotFoundReason, []string{"kee"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := test.object
			before := fixture.Await(w, o, "to be there", func(loop.Object) bool { return true }).DeepCopyObject().(loop.Object)
			test.edit(o)
			if err := fixture.Admin().Update(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			fixture.Await(w, o, "to be said unusable", func(o loop.Object) bool {
				return meta.IsStatusConditionTrue(o.Head().Conditions, v1alpha1.StalledCondition) && o.Head().ObservedGeneration == o.GetGeneration()
			})
			ready := meta.FindStatusCondition(o.Head().Conditions, v1alpha1.ReadyCondition)
			if ready.Status != metav1.ConditionFalse || ready.Reason != test.reason {
				t.Errorf("Ready is %s, %s: %s; want False, %s", ready.Status, ready.Reason, ready.Message, test.reason)
			}
			for _, word := range test.words {
				if !strings.Contains(ready.Message, word) {
					t.Errorf("the message %q does not say %q", ready.Message, word)
				}
			}
			w.Check()
			back := before.DeepCopyObject().(loop.Object)
			back.SetResourceVersion("")
			back.SetResourceVersion(o.GetResourceVersion())
			if err := fixture.Admin().Update(t.Context(), back); err != nil {
				t.Fatal(err)
			}
			w.AwaitReady()
		})
	}
}

// What kubectl get shows in one line is there, usable or not.
func TestConfigurationSaysInOneLineWhatItIsAbout(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t, func(o client.Object) {
		if ct, ok := o.(*v1alpha1.CaseType); ok {
			ct.Spec.Playbooks = append(ct.Spec.Playbooks, v1alpha1.CasePlaybook{Name: "isolate-again"})
		}
	})
	w.Run(fixture.Faults{})
	named := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name, Namespace: w.Namespace} }
	g := &v1alpha1.Guardrail{ObjectMeta: named("runtime-containment")}
	fixture.Await(w, g, "to say what it covers", func(g *v1alpha1.Guardrail) bool { return g.Status.Covers == strings.Join(g.Spec.Covers, ", ") })
	g.Spec.Covers, g.Spec.Rules[1].If = []string{"kubernetes/isolatePod", "kubernetes/releasePod", "idp/suspendUser"}, "severity >"
	if err := fixture.Admin().Update(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	fixture.Await(w, g, "to say what it covers now, and that it does not compile", func(g *v1alpha1.Guardrail) bool {
		return g.Status.Covers == "kubernetes/isolatePod, kubernetes/releasePod, …" && meta.IsStatusConditionTrue(g.Status.Conditions, v1alpha1.StalledCondition)
	})
	fixture.Await(w, &v1alpha1.CaseType{ObjectMeta: named("runtime-threat")}, "to name a playbook that is missing", func(ct *v1alpha1.CaseType) bool {
		return ct.Status.Starts == "isolate-pod, isolate-again" && meta.IsStatusConditionTrue(ct.Status.Conditions, v1alpha1.StalledCondition)
	})
	fixture.Await(w, &v1alpha1.Connector{ObjectMeta: named("kubernetes")}, "to say what it offers", func(c *v1alpha1.Connector) bool {
		return len(c.Status.Operations) > 0 && strings.HasPrefix(c.Status.Offers, c.Status.Operations[0].Name+", ")
	})
}

// A run goes on with the revision it pinned, whatever becomes of its playbook.
func TestRunGoesOnWithItsPinnedRevision(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testing.T, *v1alpha1.Playbook){
		"the playbook is deleted": func(t *testing.T, pb *v1alpha1.Playbook) {
			if err := fixture.Admin().Delete(t.Context(), pb); err != nil {
				t.Fatal(err)
			}
		},
		"the playbook does not compile any more": func(t *testing.T, pb *v1alpha1.Playbook) {
			pb.Spec.Steps[3].If = "steps.keep.answer =="
			if err := fixture.Admin().Update(t.Context(), pb); err != nil {
				t.Fatal(err)
			}
		},
		"the playbook would do something else": func(t *testing.T, pb *v1alpha1.Playbook) {
			pb.Spec.Steps = pb.Spec.Steps[:2]
			if err := fixture.Admin().Update(t.Context(), pb); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := fixture.NewTenant(t)
			first := w.Run(fixture.Faults{})
			w.AwaitReady()
			pod := w.Pod("web-1")
			c := w.Alert(pod)
			q := w.AwaitQuestion(c, "keep")
			first.Stop() // what was compiled must not be kept in memory alone
			pb := &v1alpha1.Playbook{ObjectMeta: metav1.ObjectMeta{Name: "isolate-pod", Namespace: w.Namespace}}
			change(t, fixture.Await(w, pb, "to be there", func(*v1alpha1.Playbook) bool { return true }))
			w.Run(fixture.Faults{})
			w.Judged(w.Decide(fixture.Lead, c, fixture.Answer(q, "release")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
			wantState(t, w.ActionOf(c, "release"), v1alpha1.ActionSucceeded, "")
			if run := w.AwaitRun(c, v1alpha1.RunState.Ended); run.Status.State != v1alpha1.RunSucceeded {
				t.Errorf("the run is %s: %s", run.Status.State, run.Status.Message)
			}
			if w.Isolated(pod) {
				t.Error("the pod is still isolated")
			}
		})
	}
}

// A guardrail with a typo lets nothing through unattended: it asks, and says that it is why.
func TestGuardrailThatDoesNotCompileAsks(t *testing.T) {
	t.Parallel()
	w := fixture.NewTenant(t, func(o client.Object) {
		if g, ok := o.(*v1alpha1.Guardrail); ok {
			g.Spec.Rules[1].If = "severity >"
		}
	})
	w.Run(fixture.Faults{})
	pod := w.Pod("web-1")
	c := w.Alert(pod)
	q := w.AwaitQuestion(c, "isolate")
	if !strings.Contains(q.Because, "guardrail runtime-containment does not compile") {
		t.Errorf("it asks because %q", q.Because)
	}
	if w.Isolated(pod) {
		t.Error("the pod is isolated although the guardrail cannot answer")
	}
	w.Judged(w.Decide(fixture.Lead, c, fixture.Approve(q, "The typo is being fixed")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	wantState(t, w.ActionOf(c, "isolate"), v1alpha1.ActionSucceeded, "")
	w.Evidence(c, false)
	w.Check()
}

// A guardrail denies: nothing is done, and the rule says why.
func TestGuardrailDenies(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t, func(o client.Object) {
		if g, ok := o.(*v1alpha1.Guardrail); ok {
			g.Spec.Rules[0].If, g.Spec.Rules[0].Deny = "target.namespace.startsWith('shop-')", "The shop sells today"
		}
	})
	pod := w.Pod("web-1")
	c := w.Alert(pod)
	a := w.ActionOf(c, "isolate")
	wantState(t, a, v1alpha1.ActionDenied, "The shop sells today")
	if a.Status.Verdict.Rule != "runtime-containment/protected-namespaces" || w.Isolated(pod) {
		t.Errorf("rule %s decided; the pod is isolated: %t", a.Status.Verdict.Rule, w.Isolated(pod))
	}
	w.Check()
}
