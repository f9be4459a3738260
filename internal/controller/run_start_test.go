// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
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
