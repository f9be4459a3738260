// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller_test

import (
	"testing"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/test/fixture"
)

// The first story: an alert, an isolation that a guardrail allows, a question that nobody answers, and a release.
func TestAlertIsolatesAndSilenceReleases(t *testing.T) {
	t.Parallel()
	w := fixture.Start(t)
	pod := w.Pod("web-1")
	c := w.Alert(pod)

	w.AwaitQuestion(c, "keep")
	w.AwaitState(c, v1alpha1.CaseContained)
	if isolate := w.ActionOf(c, "isolate"); isolate.Status.State != v1alpha1.ActionSucceeded || len(isolate.Status.Attempts) != 1 {
		t.Errorf("the isolation is %s after %d attempts", isolate.Status.State, len(isolate.Status.Attempts))
	}
	if !w.Isolated(pod) {
		t.Error("the pod is not isolated")
	}

	w.Forward(4*time.Hour + time.Minute)
	if release := w.ActionOf(c, "release"); release.Status.State != v1alpha1.ActionSucceeded {
		t.Errorf("the release is %s: %s", release.Status.State, release.Status.Message)
	}
	if w.Isolated(pod) {
		t.Error("the pod is still isolated")
	}
	w.AwaitRest(c)
	w.AwaitState(c, v1alpha1.CaseInvestigating) // what contained it was taken back
	w.Judged(w.Decide(fixture.Analyst, c, fixture.Close("BenignPositive", "Nobody wanted it kept")), v1alpha1.DecisionCounted, v1alpha1.CountedReason)
	w.AwaitState(c, v1alpha1.CaseClosed)
	w.Evidence(c, true)
	w.Check()
}
