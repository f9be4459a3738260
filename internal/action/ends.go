// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// Fail ends an action that cannot be done, for a reason of the API, before anything of it is in doubt. An action whose
// attempt is under way is left alone.
func Fail(status *v1alpha1.ActionStatus, reason, message string, now time.Time) Step {
	switch status.State {
	case v1alpha1.ActionExecuting, v1alpha1.ActionSettling, v1alpha1.ActionVerifying:
		return Step{Recheck: 10 * time.Second}
	default:
		return stop(status, v1alpha1.ActionFailed, reason, message, now)
	}
}

// stop ends an action that is not to go on. One of which an attempt may have reached the target does not end as if nothing
// had happened: a person finds out.
func stop(status *v1alpha1.ActionStatus, state v1alpha1.ActionState, reason, message string, now time.Time) Step {
	if doubted(status) {
		return end(status, v1alpha1.ActionUnknown, v1alpha1.OutcomeUnknownReason,
			"an attempt may have happened, and no other is made ("+message+"): find out what happened", now)
	}
	return end(status, state, reason, message, now)
}

// Person is the journal's form of an actor.
func Person(actor v1alpha1.Actor) *v1alpha1.JournalActor {
	return &v1alpha1.JournalActor{Type: v1alpha1.ActorPerson, Name: actor.Username, UID: actor.UID, Groups: actor.Groups}
}

// end ends an action. What was asked stays: an answer that comes late is told that it does.
func end(status *v1alpha1.ActionStatus, state v1alpha1.ActionState, reason, message string, now time.Time) Step {
	at := metav1.NewMicroTime(now)
	status.State, status.Message, status.EndTime = state, message, &at
	return Step{Headline: condition(state, reason, message)}
}

// ended repeats the headline that the end gave.
func ended(status *v1alpha1.ActionStatus) metav1.Condition {
	if c := meta.FindStatusCondition(status.Conditions, v1alpha1.ExecutedCondition); c != nil {
		return metav1.Condition{Status: c.Status, Reason: c.Reason, Message: c.Message}
	}
	return condition(status.State, string(status.State), status.Message)
}

// waiting is the headline while nothing is known yet.
func waiting(message string) metav1.Condition {
	return metav1.Condition{Status: metav1.ConditionUnknown, Reason: v1alpha1.RetryingReason, Message: message}
}

func condition(state v1alpha1.ActionState, reason, message string) metav1.Condition {
	c := metav1.Condition{Status: metav1.ConditionFalse, Reason: reason, Message: message}
	switch state {
	case v1alpha1.ActionSucceeded, v1alpha1.ActionNotNeeded:
		c.Status = metav1.ConditionTrue
	case v1alpha1.ActionUnknown:
		c.Status = metav1.ConditionUnknown
	}
	return c
}

func closeAttempt(attempt *v1alpha1.Attempt, outcome v1alpha1.AttemptOutcome, reason, message string, at time.Time) {
	when := metav1.NewMicroTime(at)
	attempt.Outcome, attempt.Reason, attempt.Message, attempt.EndTime = outcome, reason, message, &when
}

func last(status *v1alpha1.ActionStatus) *v1alpha1.Attempt {
	return &status.Attempts[len(status.Attempts)-1]
}

// pause is how long the next attempt waits after one that was not sent: from one second, doubling, to a minute; longer if
// the target asked for that.
func pause(status *v1alpha1.ActionStatus) time.Duration {
	if len(status.Attempts) == 0 || last(status).Outcome != v1alpha1.OutcomeNotSent {
		return 0 // after a doubt, the settling was the pause
	}
	pause := min(time.Second<<min(last(status).Number-1, 6), time.Minute)
	if asked := last(status).RetryAfter; asked != nil {
		pause = max(pause, asked.Duration)
	}
	return pause
}

// judgeAgain is when an action that asks for want of a lookup is judged again: after as long again as it has asked, from one
// second to a minute.
func judgeAgain(asksFor time.Duration) time.Duration {
	return min(max(asksFor, time.Second), time.Minute)
}

// keepVerdict notes the verdict; one that says the same keeps its time, so that an unchanged world writes nothing. One that
// asks what is asked already for want of a lookup says nothing new, however the lookup failed this time: else a target that
// stays away would fill the journal.
func keepVerdict(status *v1alpha1.ActionStatus, p Permission) {
	was, verdict := status.Verdict, p.Verdict
	switch {
	case was == nil || was.Answer != verdict.Answer:
	case p.Unanswered && SameQuestion(status.Question, p.Question):
		return
	case was.Rule == verdict.Rule && was.Because == verdict.Because:
		return
	}
	status.Verdict = &verdict
}

func approver(p Permission) *v1alpha1.JournalActor {
	if p.Verdict.Answer != v1alpha1.AnswerAsk || len(p.Approvals) == 0 {
		return nil
	}
	return Person(p.Approvals[len(p.Approvals)-1].Actor)
}
