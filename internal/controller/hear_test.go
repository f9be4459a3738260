// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
)

// What people said counts for the plan, the action and the question that they said it of, and for no other.
func TestApprovalsThatAreHeard(t *testing.T) {
	made := time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)
	asked := made.Add(10 * time.Minute)
	type said struct {
		verdict        v1alpha1.Verdict
		handle, digest string
		minute         int // after the action was made
		state          v1alpha1.DecisionState
	}
	yes, no := said{v1alpha1.VerdictApprove, "suspend", "plan", 11, v1alpha1.DecisionCounted}, said{v1alpha1.VerdictDeny, "suspend", "plan", 11, v1alpha1.DecisionCounted}
	but := func(s said, change func(*said)) said { change(&s); return s }
	for name, test := range map[string]struct {
		said             said
		approved, denied bool
	}{
		"an approval":                             {yes, true, false},
		"a denial":                                {no, false, true},
		"an approval of another plan":             {but(yes, func(s *said) { s.digest = "other" }), false, false},
		"a denial of another plan":                {but(no, func(s *said) { s.digest = "other" }), false, false},
		"an approval of another step":             {but(yes, func(s *said) { s.handle = "other" }), false, false},
		"a denial of another step":                {but(no, func(s *said) { s.handle = "other" }), false, false},
		"an approval that does not count":         {but(yes, func(s *said) { s.state = v1alpha1.DecisionVoid }), false, false},
		"a denial that does not count":            {but(no, func(s *said) { s.state = v1alpha1.DecisionVoid }), false, false},
		"an approval of what was asked before":    {but(yes, func(s *said) { s.minute = 5 }), false, false},
		"a denial of what was asked before":       {but(no, func(s *said) { s.minute = 5 }), false, true},
		"a denial of an action like it before it": {but(no, func(s *said) { s.minute = -5 }), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			at := made.Add(time.Duration(test.said.minute) * time.Minute)
			d := v1alpha1.Decision{Spec: v1alpha1.DecisionSpec{
				Verdict: test.said.verdict, Actor: &v1alpha1.Actor{Username: "mia"}, Answer: &v1alpha1.AnswerDecision{Handle: test.said.handle, Digest: test.said.digest},
			}}
			d.CreationTimestamp = metav1.NewTime(at)
			d.Status.State = test.said.state
			d.Status.Journal = []v1alpha1.JournalEntry{{Sequence: 1, Time: metav1.NewMicroTime(at)}}
			a := &v1alpha1.Action{Spec: v1alpha1.ActionSpec{Handle: "suspend", PlanDigest: "plan"}}
			a.CreationTimestamp = metav1.NewTime(made)
			a.Status.Question = &v1alpha1.Question{Kind: v1alpha1.QuestionApproval, Count: 1, Digest: "plan", AskedTime: metav1.NewMicroTime(asked)}
			p := action.Permission{Question: &v1alpha1.Question{Kind: v1alpha1.QuestionApproval, Count: 1, Digest: "plan"}}
			g := &guardrails{client: view{tenant: []v1alpha1.Decision{d}}}
			if err := g.hear(t.Context(), a, &p); err != nil {
				t.Fatal(err)
			}
			if p.Approved != test.approved || (p.Denied != nil) != test.denied {
				t.Errorf("approved %v, denied %v; want %v, %v", p.Approved, p.Denied, test.approved, test.denied)
			}
		})
	}
}
