// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// questions lists what people can answer now, the most urgent first. A closed case
// asks nothing, and what is overdue can no longer be answered.
func (f *folding) questions(now time.Time) {
	f.status.Questions = nil
	if f.status.State == v1alpha1.CaseClosed {
		return
	}
	var open []v1alpha1.CaseQuestion
	for _, q := range Questions(f.world.Runs, f.world.Actions) {
		if !now.After(q.DueTime.Time) {
			open = append(open, q)
		}
	}
	f.status.Questions = open[:min(len(open), maxQuestions)]
}

// Questions are the questions that runs and actions hold: of actions in Asking and of
// waiting steps of runs that have not ended, sorted by due time. A handle may occur
// twice, when two runs of one playbook have come to the same step; the digest tells
// them apart.
func Questions(runs []v1alpha1.PlaybookRun, actions []v1alpha1.Action) []v1alpha1.CaseQuestion {
	var out []v1alpha1.CaseQuestion
	for _, a := range actions {
		if a.Status.State == v1alpha1.ActionAsking && a.Status.Question != nil {
			ref := &v1alpha1.RecordRef{Name: a.Name, UID: string(a.UID)}
			out = append(out, v1alpha1.CaseQuestion{Handle: a.Spec.Handle, ActionRef: ref, Question: *a.Status.Question.DeepCopy()})
		}
	}
	for _, r := range runs {
		for _, s := range r.Status.Steps {
			if !r.Status.State.Ended() && s.State == v1alpha1.StepWaiting && s.Question != nil {
				ref := &v1alpha1.RecordRef{Name: r.Name, UID: string(r.UID)}
				out = append(out, v1alpha1.CaseQuestion{Handle: r.Spec.Handle(s.Name), RunRef: ref, Question: *s.Question.DeepCopy()})
			}
		}
	}
	slices.SortFunc(out, func(a, b v1alpha1.CaseQuestion) int {
		return cmp.Or(a.DueTime.Compare(b.DueTime.Time), a.AskedTime.Compare(b.AskedTime.Time),
			strings.Compare(a.Handle, b.Handle), strings.Compare(holder(a), holder(b)))
	})
	return out
}

// holder names the record that holds a question.
func holder(q v1alpha1.CaseQuestion) string {
	if q.ActionRef != nil {
		return "action/" + q.ActionRef.Name
	}
	if q.RunRef != nil {
		return "run/" + q.RunRef.Name
	}
	return ""
}
