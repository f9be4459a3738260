// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package casefile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// questions lists what people can answer now, the most urgent first. A closed case
// asks only what became of an action, and what is overdue can no longer be answered.
func (f *folding) questions(now time.Time) {
	var open []v1alpha1.CaseQuestion
	for _, q := range Questions(f.world.Runs, f.world.Actions) {
		if q.Kind == v1alpha1.QuestionResolution || f.status.State != v1alpha1.CaseClosed && !now.After(q.DueTime.Time) {
			open = append(open, q)
		}
	}
	f.status.Questions = open[:min(len(open), maxQuestions)]
}

// Asks is what an action asks people now: to approve it, or, where its outcome is
// Unknown, what became of it. It is nil for one that asks nothing.
func Asks(a *v1alpha1.Action) *v1alpha1.Question {
	switch a.Status.State {
	case v1alpha1.ActionAsking:
		return a.Status.Question.DeepCopy()
	case v1alpha1.ActionUnknown:
		prompt := fmt.Sprintf("Did %s on %s happen? Look at the target, then say so.", a.Spec.Operation, DescribeTarget(a.Spec.Target))
		return &v1alpha1.Question{
			Kind: v1alpha1.QuestionResolution, Prompt: cut(prompt, maxBecause), Because: cut(a.Status.Message, maxBecause),
			Verb: "resolve", Count: 1, AskedTime: metav1.NewMicroTime(endTime(*a)),
		}
	default:
		return nil
	}
}

// Questions are the questions that runs and actions hold: of actions ([Asks]) and of
// waiting steps of runs that have not ended, sorted by due time, those without one
// first: they never end by themselves. A handle may occur twice, when two runs of one
// playbook have come to the same step; the digest tells them apart.
func Questions(runs []v1alpha1.PlaybookRun, actions []v1alpha1.Action) []v1alpha1.CaseQuestion {
	var out []v1alpha1.CaseQuestion
	for i := range actions {
		a := &actions[i]
		if q := Asks(a); q != nil {
			ref := &v1alpha1.RecordRef{Name: a.Name, UID: string(a.UID)}
			out = append(out, v1alpha1.CaseQuestion{Handle: a.Spec.Handle, ActionRef: ref, Question: *q})
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

// DescribeTarget says what an operation changes, for people: pod shop/web-6d4f9.
func DescribeTarget(t v1alpha1.Target) string {
	name := t.Name
	if t.Namespace != "" {
		name = t.Namespace + "/" + name
	}
	return strings.ToLower(t.Type) + " " + name
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
