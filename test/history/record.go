// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package history

import (
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
)

// IntentOf is the making of an action. What its operation declares and its guardrails want is not in it, and is added by
// the caller: Verifiable, Asks.
func IntentOf(a *v1alpha1.Action) Event {
	e := Event{
		Kind: Intended, Action: a.Name, Key: action.Key(a.Namespace, a.Name, a.Spec.PlanDigest), Target: a.Spec.Target.Name,
		Digest: a.Spec.PlanDigest, Operation: a.Spec.Operation, Semantics: a.Spec.Semantics,
	}
	if of := a.Spec.RollbackOf; of != nil {
		e.RollbackOf = of.Name
	}
	return e
}

// StatusOf is what the storing of a status says, in order: the announcement of an attempt, if it has one that was not
// there before, and the status itself.
func StatusOf(was, is *v1alpha1.Action) []Event {
	wrote := Event{Kind: Wrote, Action: is.Name, State: is.Status.State}
	if c := meta.FindStatusCondition(is.Status.Conditions, v1alpha1.ExecutedCondition); c != nil {
		wrote.Reason = c.Reason
	}
	now := lastAttempt(is)
	wrote.Attempt, wrote.Ended = now.Number, now.Outcome
	if now.Number <= lastAttempt(was).Number {
		return []Event{wrote}
	}
	return []Event{{
		Kind: Announced, Action: is.Name, Attempt: now.Number, Key: now.Key, Start: now.StartTime.Time,
		Allowed: is.Status.Verdict.Answer == v1alpha1.AnswerAllow,
	}, wrote}
}

func lastAttempt(a *v1alpha1.Action) v1alpha1.Attempt {
	if n := len(a.Status.Attempts); n > 0 {
		return a.Status.Attempts[n-1]
	}
	return v1alpha1.Attempt{}
}
