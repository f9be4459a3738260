// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/playbook"
)

// A case makes a run and then writes, in one update, what it found out and the run's name. A run that stepped in between
// read a case without enrichments and failed for good.
func TestRunDoesNothingBeforeItsCaseNamesIt(t *testing.T) {
	run := &v1alpha1.PlaybookRun{}
	run.Name = "rt-1-isolate"
	run.Spec.CaseRef.Name = "rt-1"
	kind := &runKind{client: oneCase{}}
	world, err := kind.Observe(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	plan := kind.Decide(t.Context(), run, world, time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC))
	if len(plan.Commands) > 0 || plan.Headline.Status != "" {
		t.Errorf("the run goes on: %+v", plan)
	}
	if diff := cmp.Diff(v1alpha1.PlaybookRunStatus{}, run.Status); diff != "" {
		t.Errorf("its status changed (-was +is):\n%s", diff)
	}
}

func TestRunIsStartable(t *testing.T) {
	for name, test := range map[string]struct {
		status v1alpha1.CaseStatus
		want   bool
	}{
		"not while the case names no run":      {v1alpha1.CaseStatus{State: v1alpha1.CaseTriage}, false},
		"not while the case names another run": {v1alpha1.CaseStatus{Playbooks: []v1alpha1.StartedPlaybook{{Name: "a", Run: "other"}}}, false},
		"once the case names it":               {v1alpha1.CaseStatus{Playbooks: []v1alpha1.StartedPlaybook{{Name: "a", Run: "other"}, {Name: "b", Run: "it"}}}, true},
		"to be aborted, if the case is closed": {v1alpha1.CaseStatus{State: v1alpha1.CaseClosed}, true},
	} {
		t.Run(name, func(t *testing.T) {
			run := &v1alpha1.PlaybookRun{}
			run.Name = "it"
			if got := startable(run, &v1alpha1.Case{Status: test.status}); got != test.want {
				t.Errorf("startable: %v, want %v", got, test.want)
			}
		})
	}
}

// oneCase is a cluster in which there is a case that nothing was written to yet, and nothing else.
type oneCase struct{ client.Client }

// Get finds it.
func (oneCase) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	into.(*v1alpha1.Case).Name = key.Name
	return nil
}

// A user joined, and was not looked up yet: what is known of the others is not taken for what is known of all, neither by a
// step's condition nor by a guardrail's.
func TestALookupNotMadeYetIsUnknown(t *testing.T) {
	compiled, err := playbook.Compile(v1alpha1.PlaybookSpec{Steps: []v1alpha1.Step{{Name: "done", Close: &v1alpha1.CloseStep{Classification: "FalsePositive"}}}})
	if err != nil {
		t.Fatal(err)
	}
	run := &v1alpha1.PlaybookRun{Spec: v1alpha1.PlaybookRunSpec{CaseRef: v1alpha1.RecordRef{Name: "rt-1"}, Revision: "r1"}}
	run.Namespace, run.Name = "soc", "rt-1-isolate"
	revisions := &pinned[*playbook.Compiled]{}
	revisions.cache.put(types.NamespacedName{Namespace: "soc", Name: "r1"}, compiled)
	world, err := (&runKind{client: joined{}, revisions: revisions}).Observe(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	a := &v1alpha1.Action{Spec: v1alpha1.ActionSpec{CaseRef: v1alpha1.RecordRef{Name: "rt-1"}, Operation: "idp/suspendUser", Input: apiextensionsv1.JSON{Raw: []byte(`{}`)}}}
	a.Namespace = "soc"
	var c v1alpha1.Case
	if err := (joined{}).Get(t.Context(), client.ObjectKey{Namespace: "soc", Name: "rt-1"}, &c); err != nil {
		t.Fatal(err)
	}
	asked, err := (&guardrails{client: joined{}, namespace: "casebook-system"}).proposal(t.Context(), a, &c, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for what, vars := range map[string]map[string]any{"a step": world.facts.Vars, "a guardrail": asked.in.Vars} {
		got := vars["enrichment"].(map[string]any)["person"]
		if _, unknown := got.(expr.Unavailable); !unknown {
			t.Errorf("%s sees %v of lookup person, which was not made for ben", what, got)
		}
	}
}

// joined is a cluster in which there is a case of two users, of whom one was looked up, and its type.
type joined struct{ client.Client }

// Get finds them.
func (joined) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	switch o := into.(type) {
	case *v1alpha1.Case:
		o.Namespace, o.Name, o.Spec.TypeRef.Name = key.Namespace, key.Name, "anomaly"
		o.Status.State, o.Status.Playbooks = v1alpha1.CaseInvestigating, []v1alpha1.StartedPlaybook{{Name: "isolate", Run: "rt-1-isolate"}}
		o.Status.Users = []v1alpha1.Entity{{Name: "ana"}, {Name: "ben"}}
		o.Status.Enrichments = []v1alpha1.EnrichmentRecord{{
			Name: "person", Lookup: "directory/findUser", Item: "ana", Result: &apiextensionsv1.JSON{Raw: []byte(`{"privileged":false}`)},
		}}
	case *v1alpha1.CaseType:
		o.Name = key.Name
		o.Spec.Enrich = []v1alpha1.Enrichment{{
			Name: "person", Lookup: "directory/findUser", ForEach: "case.users", Input: &apiextensionsv1.JSON{Raw: []byte(`{"login":"${item.name}"}`)},
		}}
	}
	return nil
}

// List finds nothing else.
func (joined) List(context.Context, client.ObjectList, ...client.ListOption) error { return nil }
