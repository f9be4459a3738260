// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package action is the action protocol as a pure function: from an action as it stands and what was observed, to its
// next state and at most one command.
//
//	Pending ─allow─▶ announced ─▶ Executing ─ack──▶ Verifying ─▶ Succeeded | Failed
//	   │ask             ▲             ├─refused──▶ Failed
//	   ▼                │             ├─not sent─▶ Ready (again, after a pause)
//	 Asking ─approved───┘             └─in doubt─▶ Settling ─by semantics─▶ Succeeded | Ready | Unknown
//
// An attempt is announced in one write and sent only by a pass that reads that write back; the process that announced it
// is the only one that may send it. What becomes of an attempt whose process is gone is decided by the operation's
// declared semantics and never guessed.
package action

import (
	"cmp"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

const (
	// Skew is how much longer than an attempt's deadline another process waits before it takes the attempt over.
	Skew = 2 * time.Second
	// VerifyWithin is how long a target may take to show the desired state after it acknowledged.
	VerifyWithin = 30 * time.Second
	// MaxAttempts bounds the executions of one action.
	MaxAttempts = 5
)

// Command is what the world is asked to do next.
type Command string

// Send sends the announced attempt. It is the only command with an effect outside the cluster's records.
const Send Command = "Send"

// Permission is what guardrails and people say of an action now.
type Permission struct {
	// Verdict is what the guardrails say.
	Verdict v1alpha1.GuardVerdict
	// Question is what people are to be asked when the verdict is Ask.
	Question *v1alpha1.Question
	// Approvals are the counted decisions for this plan, one a person.
	Approvals []v1alpha1.Approval
	// Approved says that the approvals suffice.
	Approved bool
	// Denied is the decision that said no, if one did.
	Denied *v1alpha1.Approval
	// DeniedBecause is its message.
	DeniedBecause string
}

// Sight is what a read of the target showed.
type Sight struct {
	// Desired: the target is as the operation wants it.
	Desired bool
	// AsLeft: the target is as the action to be rolled back left it.
	AsLeft bool
	// Gone: the pinned target does not exist any more, or another has its name.
	Gone bool
	// State is what was read, as JSON.
	State *apiextensionsv1.JSON
	// Message says what was found, for people.
	Message string
}

// Sent is what became of a request that this process sent.
type Sent struct {
	// Outcome tells acknowledged, refused, not sent and in doubt apart.
	Outcome v1alpha1.AttemptOutcome
	// Reason says in one word why it was refused.
	Reason string
	// Message is what the target said.
	Message string
	// RetryAfter is how long the target asks to be left alone; zero if it does not say.
	RetryAfter time.Duration
	// Time is when it was known.
	Time time.Time
}

// World is what was observed.
type World struct {
	// Holder identifies this process; it differs from one start of the operator to the next.
	Holder string
	// Permission is what guardrails and people say now.
	Permission Permission
	// Before is what a read before the first attempt showed; nil when it was not made.
	Before *Sight
	// After is what a read after an attempt showed; nil when it was not made.
	After *Sight
	// Sent is what this process knows of the last attempt; nil when it has not sent it.
	Sent *Sent
	// Verifiable says that the operation can be read back.
	Verifiable bool
	// VerifyWithin is how long the target may take to show what it acknowledged; zero: [VerifyWithin].
	VerifyWithin time.Duration
	// KeyRetention is how long the target knows the idempotency key, where the semantics are Keyed.
	KeyRetention time.Duration
	// ForwardSettled is when nothing of the action that is taken back can arrive any more; zero: it cannot now.
	ForwardSettled time.Time
	// Resolutions are the counted decisions on what became of this action.
	Resolutions []v1alpha1.Resolution
	// Settle is how long a request whose answer was lost may still arrive.
	Settle time.Duration
	// Timeout is the deadline of one exchange.
	Timeout time.Duration
	// Withheld says why nothing may be sent now, for example that the evidence is not kept.
	Withheld string
}

// Step is what Next answers beside the changed status.
type Step struct {
	// Command is what to do, or empty.
	Command Command
	// Recheck is when to look again; zero: on an event.
	Recheck time.Duration
	// Headline is the Executed condition; empty while there is nothing to say.
	Headline metav1.Condition
	// Actor is the person whose decision moved the action, if one did.
	Actor *v1alpha1.JournalActor
}

// Reads says which reads of the target Next wants to see.
type Reads struct {
	// Before: read before announcing an attempt.
	Before bool
	// After: read back after an attempt.
	After bool
}

// Wants says which reads the next call of Next needs, for an action with this status and permission.
func Wants(status v1alpha1.ActionStatus, p Permission, now time.Time, settle time.Duration) Reads {
	switch status.State {
	case v1alpha1.ActionVerifying:
		return Reads{After: true}
	case v1alpha1.ActionSettling:
		return Reads{After: settled(status, now, settle)}
	case "", v1alpha1.ActionPending, v1alpha1.ActionReady, v1alpha1.ActionAsking, v1alpha1.ActionHeld:
		return Reads{Before: permitted(p)}
	default:
		return Reads{}
	}
}

func permitted(p Permission) bool {
	return p.Verdict.Answer == v1alpha1.AnswerAllow || p.Verdict.Answer == v1alpha1.AnswerAsk && p.Approved && p.Denied == nil
}

// Next moves an action on: it changes status and says what to do. It is total: a state that has ended is left as it is.
func Next(namespace, name string, spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) Step {
	switch status.State {
	case "", v1alpha1.ActionPending, v1alpha1.ActionAsking, v1alpha1.ActionReady, v1alpha1.ActionHeld:
		return begin(namespace, name, spec, status, w, now)
	case v1alpha1.ActionExecuting:
		return execute(spec, status, w, now)
	case v1alpha1.ActionSettling:
		return settle(spec, status, w, now)
	case v1alpha1.ActionVerifying:
		return verify(status, w, now)
	default:
		return Step{Headline: ended(status)}
	}
}

// begin goes from the intent to an announced attempt, as far as guardrails, people and the target allow.
func begin(namespace, name string, spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) Step {
	if !now.Before(spec.DeadlineTime.Time) {
		return end(status, v1alpha1.ActionExpired, v1alpha1.DeadlinePassedReason, "the deadline passed before it could be done", now)
	}
	keepVerdict(status, w.Permission.Verdict)
	if step, stop := permit(spec, status, w, now); stop {
		return step
	}
	if w.Withheld != "" {
		status.State, status.Message = v1alpha1.ActionHeld, w.Withheld
		return Step{Recheck: 10 * time.Second}
	}
	if again := retryAt(status); now.Before(again) {
		status.State = v1alpha1.ActionReady
		return Step{Recheck: again.Sub(now)}
	}
	if step, stop := lookBefore(spec, status, w, now); stop {
		return step
	}
	if len(status.Attempts) >= MaxAttempts {
		return end(status, v1alpha1.ActionFailed, v1alpha1.RefusedReason,
			fmt.Sprintf("given up after %d attempts: %s", MaxAttempts, status.Attempts[len(status.Attempts)-1].Message), now)
	}
	announce(namespace, name, spec, status, w, now)
	return Step{Recheck: time.Millisecond, Actor: approver(w.Permission)}
}

// permit applies guardrails and people's answers; stop means that the action cannot go on now.
func permit(spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) (Step, bool) {
	p := w.Permission
	switch {
	case p.Verdict.Answer == v1alpha1.AnswerDeny:
		return end(status, v1alpha1.ActionDenied, v1alpha1.DeniedByGuardrailReason, p.Verdict.Because, now), true
	case p.Denied != nil:
		step := end(status, v1alpha1.ActionDenied, v1alpha1.DeniedByPersonReason, "denied by "+p.Denied.Actor.Username+": "+p.DeniedBecause, now)
		step.Actor = Person(p.Denied.Actor)
		return step, true
	case p.Verdict.Answer == v1alpha1.AnswerAllow:
		status.Question = nil
		return Step{}, false
	}
	ask(spec, status, p, now)
	status.Approvals = p.Approvals
	due := status.Question.DueTime.Time
	if p.Approved && (now.Before(due) || len(status.Attempts) > 0) {
		return Step{}, false // the question stays: an approval may be used while it stood, or once it was used
	}
	if !now.Before(due) {
		return end(status, v1alpha1.ActionExpired, v1alpha1.ApprovalExpiredReason, "nobody entitled answered in time", now), true
	}
	status.State, status.Message = v1alpha1.ActionAsking, p.Verdict.Because
	return Step{Recheck: due.Sub(now), Headline: metav1.Condition{
		Status: metav1.ConditionUnknown, Reason: v1alpha1.ApprovalRequiredReason, Message: status.Question.Prompt,
	}}, true
}

// ask puts the question, or keeps the one that stands if it still asks for the same.
func ask(spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, p Permission, now time.Time) {
	if q := status.Question; q != nil && q.Digest == spec.PlanDigest && q.Verb == p.Question.Verb && q.Count == p.Question.Count {
		return
	}
	question := p.Question.DeepCopy()
	question.AskedTime = metav1.NewMicroTime(now)
	if question.DueTime.IsZero() || question.DueTime.After(spec.DeadlineTime.Time) {
		question.DueTime = spec.DeadlineTime
	}
	status.Question = question
}

// lookBefore applies the precondition read.
func lookBefore(spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) (Step, bool) {
	before := w.Before
	if before == nil {
		status.State = v1alpha1.ActionReady
		return Step{Recheck: time.Second}, true
	}
	if len(status.Attempts) == 0 {
		status.Before = before.State
	}
	switch {
	case before.Gone:
		return end(status, v1alpha1.ActionFailed, v1alpha1.TargetReplacedReason, before.Message, now), true
	case before.Desired && doubted(status):
		return done(status, before, now), true // an attempt in doubt did it
	case before.Desired:
		return end(status, v1alpha1.ActionNotNeeded, v1alpha1.AlreadySoReason, cmp.Or(before.Message, "the target was already as desired"), now), true
	case spec.RollbackOf != nil && !before.AsLeft:
		return end(status, v1alpha1.ActionFailed, v1alpha1.TargetChangedReason, before.Message, now), true
	}
	return Step{}, false
}

func announce(namespace, name string, spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) {
	status.State, status.Message = v1alpha1.ActionExecuting, ""
	status.Attempts = append(status.Attempts, v1alpha1.Attempt{
		Number:       int32(len(status.Attempts) + 1),
		Key:          Key(namespace, name, spec.PlanDigest),
		Holder:       w.Holder,
		StartTime:    metav1.NewMicroTime(now),
		DeadlineTime: metav1.NewMicroTime(now.Add(w.Timeout)),
	})
}

// execute sends an attempt that this process announced, notes what became of one it sent, and waits out one that
// another process announced.
func execute(spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) Step {
	attempt := last(status)
	if attempt.Holder != w.Holder {
		if left := attempt.DeadlineTime.Add(Skew).Sub(now); left > 0 {
			return Step{Recheck: left}
		}
		return doubt(status, "the operator that announced this attempt stopped before it told the outcome", now)
	}
	if w.Sent != nil {
		return note(status, w, now)
	}
	if reason := unsendable(spec, status, w, now); reason != "" {
		closeAttempt(attempt, v1alpha1.OutcomeNotSent, "", reason, now)
		status.State, status.Message = v1alpha1.ActionReady, reason
		return Step{Recheck: time.Second}
	}
	return Step{Command: Send}
}

// unsendable says why an announced attempt must not be sent after all: guardrails and people are heard again on the
// pass that acts.
func unsendable(spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) string {
	digest, err := PlanDigest(spec)
	switch {
	case err != nil || digest != spec.PlanDigest:
		return "not sent: the plan is not what its digest says"
	case !now.Before(last(status).DeadlineTime.Time):
		return "not sent: the attempt's deadline had passed"
	case w.Withheld != "":
		return "not sent: " + w.Withheld
	case !permitted(w.Permission):
		return "not sent: it is no longer permitted: " + w.Permission.Verdict.Because
	}
	return ""
}

// note writes down what became of the attempt that this process sent.
func note(status *v1alpha1.ActionStatus, w World, now time.Time) Step {
	sent := w.Sent
	attempt := last(status)
	closeAttempt(attempt, sent.Outcome, sent.Reason, sent.Message, sent.Time)
	switch sent.Outcome {
	case v1alpha1.OutcomeAcknowledged:
		if !w.Verifiable {
			return end(status, v1alpha1.ActionSucceeded, v1alpha1.AcknowledgedReason, cmp.Or(sent.Message, "the target acknowledged it; there is nothing to read back"), now)
		}
		status.State = v1alpha1.ActionVerifying
		return verify(status, w, now)
	case v1alpha1.OutcomeRefused:
		return end(status, v1alpha1.ActionFailed, cmp.Or(sent.Reason, v1alpha1.RefusedReason), sent.Message, now)
	case v1alpha1.OutcomeNotSent:
		status.State, status.Message = v1alpha1.ActionReady, sent.Message
		return Step{Recheck: retryAt(status).Sub(now)}
	default:
		status.State, status.Message = v1alpha1.ActionSettling, sent.Message
		return Step{Recheck: w.Settle}
	}
}

func doubt(status *v1alpha1.ActionStatus, message string, now time.Time) Step {
	closeAttempt(last(status), v1alpha1.OutcomeInDoubt, "", message, now)
	status.State, status.Message = v1alpha1.ActionSettling, message
	return Step{Recheck: time.Millisecond}
}

// settle decides, once the request can no longer arrive, what the doubt comes to.
func settle(spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) Step {
	if !settled(*status, now, w.Settle) {
		return Step{Recheck: last(status).EndTime.Add(w.Settle).Sub(now)}
	}
	if w.After != nil && w.After.Desired {
		return done(status, w.After, now)
	}
	switch spec.Semantics {
	case v1alpha1.Idempotent, v1alpha1.Keyed:
		status.State = v1alpha1.ActionReady
		return Step{Recheck: time.Millisecond}
	case v1alpha1.ReadBack:
		if w.After == nil {
			return end(status, v1alpha1.ActionUnknown, v1alpha1.OutcomeUnknownReason, "the target could not be read after the doubt: find out what happened", now)
		}
		status.State = v1alpha1.ActionReady
		return Step{Recheck: time.Millisecond}
	default:
		return end(status, v1alpha1.ActionUnknown, v1alpha1.OutcomeUnknownReason, "it may or may not have happened, and repeating is not safe: find out what happened", now)
	}
}

func settled(status v1alpha1.ActionStatus, now time.Time, settle time.Duration) bool {
	if len(status.Attempts) == 0 || last(&status).EndTime == nil {
		return true
	}
	return !now.Before(last(&status).EndTime.Add(settle))
}

// verify reads back until the target is as desired, or too late.
func verify(status *v1alpha1.ActionStatus, w World, now time.Time) Step {
	if w.After != nil && w.After.Desired {
		return done(status, w.After, now)
	}
	if now.After(last(status).EndTime.Add(VerifyWithin)) {
		message := "the target could not be read back"
		if w.After != nil {
			status.After = w.After.State
			message = "the target acknowledged it but is not as desired: " + w.After.Message
		}
		return end(status, v1alpha1.ActionFailed, v1alpha1.NotAsDesiredReason, message, now)
	}
	return Step{Recheck: time.Second}
}

func done(status *v1alpha1.ActionStatus, after *Sight, now time.Time) Step {
	status.After = after.State
	return end(status, v1alpha1.ActionSucceeded, v1alpha1.VerifiedReason, cmp.Or(after.Message, "read back: the target is as desired"), now)
}
