// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/playbook"
	"github.com/casebook-dev/casebook/internal/report"
)

// plan reads what a question is about, and computes the digest of exactly that: the answer binds to what was shown, not
// to what the case says about it. A digest that differs from the question's is refused here, and would be by the
// controllers.
func plan(ctx context.Context, c *cluster, of *v1alpha1.Case, q v1alpha1.CaseQuestion) (report.Plan, error) {
	subject := of.Name + "/" + q.Handle
	switch {
	case q.ActionRef != nil:
		asking := &v1alpha1.Action{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: of.Namespace, Name: q.ActionRef.Name}, asking); err != nil {
			return report.Plan{}, apiError("read action "+q.ActionRef.Name+" of "+subject, err)
		}
		return planOfAction(of, q, asking)
	case q.RunRef != nil:
		run := &v1alpha1.PlaybookRun{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: of.Namespace, Name: q.RunRef.Name}, run); err != nil {
			return report.Plan{}, apiError("read run "+q.RunRef.Name+" of "+subject, err)
		}
		return planOfChoice(of, q, run)
	default:
		return report.Plan{}, refusedf("cannot show what %s decides: the question names neither an action nor a run", subject).
			so("Look at it: kubectl get case %s -n %s -o yaml", of.Name, of.Namespace)
	}
}

func planOfAction(of *v1alpha1.Case, q v1alpha1.CaseQuestion, asking *v1alpha1.Action) (report.Plan, error) {
	digest, err := action.PlanDigest(asking.Spec)
	if err != nil {
		return report.Plan{}, refusedf("cannot compute what %s/%s decides: %w", of.Name, q.Handle, err)
	}
	same := string(asking.UID) == q.ActionRef.UID && asking.Spec.CaseRef.UID == string(of.UID) &&
		digest == q.Digest && digest == asking.Spec.PlanDigest
	if !same {
		return report.Plan{}, changed(of, q)
	}
	return report.PlanOfAction(asking, q, digest), nil
}

func planOfChoice(of *v1alpha1.Case, q v1alpha1.CaseQuestion, run *v1alpha1.PlaybookRun) (report.Plan, error) {
	for _, step := range run.Status.Steps {
		asked := step.Question
		if asked == nil || step.State != v1alpha1.StepWaiting || asked.Digest != q.Digest ||
			playbook.QuestionDigest(string(run.UID), step.Name, asked.Prompt, asked.Options) != q.Digest {
			continue
		}
		// What is shown comes from the run, which asks; the case only repeats it.
		q.Question = *asked
		return report.PlanOfChoice(of.Name, run, q), nil
	}
	return report.Plan{}, changed(of, q)
}

func changed(of *v1alpha1.Case, q v1alpha1.CaseQuestion) error {
	return refusedf("cannot decide %s/%s: what would run is not what the case asks about", of.Name, q.Handle).
		so("Nothing was decided. Read the case again: kubectl casebook case %s", of.Name)
}
