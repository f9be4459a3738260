// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package action is the action protocol as a pure function: from an action as it stands and what was observed, to its
// next state and at most one command.
//
//	Pending ─allow─▶ announced ─▶ Executing ─ack──▶ Verifying ─▶ Succeeded | Failed
//	   │ask             ▲             ├─refused──▶ Verifying ─▶ Failed | NotNeeded | Succeeded
//	   ▼                │             ├─not sent─▶ Ready (again, after a pause)
//	 Asking ─approved───┘             └─in doubt─▶ Settling ─by semantics─▶ Succeeded | Ready | Unknown
//	                                  Unknown ─resolved by a person─▶ Succeeded | Failed | Ready
//
// An attempt is announced in one write and sent only by a pass that reads that write back; the process that announced it
// is the only one that may send it. What becomes of an attempt whose process is gone is decided by the operation's
// declared semantics and never guessed.
//
// What must not be cut short (an attempt of another process, settling, reading back) is measured by how long this process
// has seen it, never by what two clocks say: a clock that jumps cannot make it shorter.
package action

import (
	"cmp"
	"fmt"
	"slices"
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
	// MaxAttempts bounds the executions that may have reached the target; a person's Retry allows as many again.
	MaxAttempts = 5
	// readAgain is when a target that could not be read is read again.
	readAgain = 2 * time.Second
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
	// Unanswered says that the verdict is Ask for want of a lookup that failed: asked again, it may be another.
	Unanswered bool
	// RetryAfter is how long what failed wants to be left alone; zero if it does not say.
	RetryAfter time.Duration
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
	// ReadError says why a read that was wanted gave nothing.
	ReadError string
	// SeenFor is how long this process has seen the action as it stands: in this state, with this attempt. By a clock that
	// does not jump.
	SeenFor time.Duration
	// Late says that the deadline of the last attempt, which this process announced, has passed, by a clock that does not
	// jump. An attempt whose announcement it does not remember is late.
	Late bool
	// Sent is what this process knows of the last attempt; nil when it has not sent it.
	Sent *Sent
	// Verifiable says that the operation can be read back.
	Verifiable bool
	// VerifyWithin is how long the target may take to show what it acknowledged; zero: [VerifyWithin].
	VerifyWithin time.Duration
	// KeyRetention is how long the target knows the idempotency key, where the semantics are Keyed.
	KeyRetention time.Duration
	// Unready says why a rollback cannot begin yet: what it takes back has not ended. Empty otherwise.
	Unready string
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
	// Announced says that an attempt is announced by this step.
	Announced bool
	// Recheck is when to look again; zero: on an event.
	Recheck time.Duration
	// Headline is the Executed condition; empty while there is nothing to say.
	Headline metav1.Condition
	// Actor is the person whose decision moved the action, if one did.
	Actor *v1alpha1.JournalActor
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
		if last(status).Outcome == v1alpha1.OutcomeRefused {
			return refused(status, w, w.SeenFor, now)
		}
		return verify(status, w, w.SeenFor, now)
	case v1alpha1.ActionUnknown:
		return resolve(status, w, now)
	default:
		return Step{Headline: ended(status)}
	}
}

// begin goes from the intent to an announced attempt, as far as guardrails, people and the target allow.
func begin(namespace, name string, spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) Step {
	if !now.Before(spec.DeadlineTime.Time) {
		return stop(status, v1alpha1.ActionExpired, v1alpha1.DeadlinePassedReason, "the deadline passed before it could be done", now)
	}
	keepVerdict(status, w.Permission)
	if step, stop := permit(spec, status, w, now); stop {
		return step
	}
	if w.Withheld != "" {
		status.State, status.Message = v1alpha1.ActionHeld, w.Withheld
		return Step{Recheck: 10 * time.Second}
	}
	if w.Unready != "" {
		status.State, status.Message = v1alpha1.ActionReady, w.Unready
		return Step{Recheck: readAgain}
	}
	if left := pause(status) - w.SeenFor; left > 0 && status.State == v1alpha1.ActionReady {
		return Step{Recheck: left}
	}
	if step, stop := lookBefore(spec, status, w, now); stop {
		return step
	}
	if doubted(status) && forgotten(spec, status, w, now) && !w.Verifiable {
		return end(status, v1alpha1.ActionUnknown, v1alpha1.OutcomeUnknownReason,
			"it may or may not have happened, and the target does not know the idempotency key any more: find out what happened", now)
	}
	if most := MaxAttempts * (1 + retries(status)); reached(status) >= most {
		return end(status, v1alpha1.ActionUnknown, v1alpha1.OutcomeUnknownReason,
			fmt.Sprintf("given up after %d attempts, each in doubt: %s", most, last(status).Message), now)
	}
	announce(namespace, name, spec, status, w, now)
	return Step{Announced: true, Recheck: time.Millisecond, Actor: approver(w.Permission)}
}

// permit applies guardrails and people's answers; stop means that the action cannot go on now.
func permit(spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) (Step, bool) {
	p := w.Permission
	switch {
	case p.Verdict.Answer == v1alpha1.AnswerDeny:
		return stop(status, v1alpha1.ActionDenied, v1alpha1.DeniedByGuardrailReason, p.Verdict.Because, now), true
	case p.Denied != nil:
		step := stop(status, v1alpha1.ActionDenied, v1alpha1.DeniedByPersonReason, "denied by "+p.Denied.Actor.Username+": "+p.DeniedBecause, now)
		step.Actor = Person(p.Denied.Actor)
		return step, true
	case p.Verdict.Answer == v1alpha1.AnswerAllow:
		status.Question = nil
		return Step{}, false
	}
	ask(spec, status, p, now)
	status.Approvals = p.Approvals
	if approved(status, p, now) {
		return Step{}, false // the question stays: the send is judged by it again
	}
	due := status.Question.DueTime.Time
	if !now.Before(due) {
		return stop(status, v1alpha1.ActionExpired, v1alpha1.ApprovalExpiredReason, "nobody entitled answered in time", now), true
	}
	recheck := due.Sub(now)
	if p.Unanswered {
		recheck = min(recheck, max(judgeAgain(w.SeenFor), p.RetryAfter))
	}
	status.State, status.Message = v1alpha1.ActionAsking, status.Verdict.Because
	return Step{Recheck: recheck, Headline: metav1.Condition{
		Status: metav1.ConditionUnknown, Reason: v1alpha1.ApprovalRequiredReason, Message: status.Question.Prompt,
	}}, true
}

// approved tells whether people approved what is asked now, and may still be taken at their word. What they said before it
// was asked, they said to another question: one that was withdrawn, or asked others.
func approved(status *v1alpha1.ActionStatus, p Permission, now time.Time) bool {
	if !p.Approved || !SameQuestion(status.Question, p.Question) || !usable(status, now) {
		return false
	}
	return !slices.ContainsFunc(p.Approvals, func(a v1alpha1.Approval) bool { return a.Time.Before(&status.Question.AskedTime) })
}

// usable tells whether approvals may be used now: while their question stands, and after that only to bring to an end what
// was begun while it stood. An attempt of which nothing was sent began nothing. A clock that says it is before the question
// was asked cannot say that it still stands.
func usable(status *v1alpha1.ActionStatus, now time.Time) bool {
	q := status.Question
	began := slices.ContainsFunc(status.Attempts, func(a v1alpha1.Attempt) bool {
		return a.Outcome != "" && a.Outcome != v1alpha1.OutcomeNotSent && !a.StartTime.Before(&q.AskedTime)
	})
	return began || !now.Before(q.AskedTime.Time) && now.Before(q.DueTime.Time)
}

// SameQuestion tells whether a question that stands is the one to be asked now: of the same plan, to the same people. It does
// not matter why it is asked; when it is due is as it was when it was asked.
func SameQuestion(stands, wanted *v1alpha1.Question) bool {
	return stands != nil && wanted != nil && stands.Digest == wanted.Digest && stands.Verb == wanted.Verb && stands.Count == wanted.Count &&
		slices.Equal(stands.Groups, wanted.Groups) && slices.Equal(stands.Excluded, wanted.Excluded)
}

// ask puts the question, or keeps the one that stands if it still asks for the same: what people said to it holds. Why it is
// asked is as the verdict says.
func ask(spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, p Permission, now time.Time) {
	if SameQuestion(status.Question, p.Question) {
		if !p.Unanswered {
			status.Question.Because = p.Question.Because
		}
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
		if w.ReadError != "" {
			status.Message = "the target could not be read: " + w.ReadError
		}
		return Step{Recheck: readAgain}, true
	}
	if len(status.Attempts) == 0 {
		status.Before = before.State
	}
	switch {
	case before.Gone:
		return stop(status, v1alpha1.ActionFailed, v1alpha1.TargetReplacedReason, before.Message, now), true
	case before.Desired && doubted(status):
		return done(status, before, now), true // an attempt in doubt did it
	case before.Desired:
		return end(status, v1alpha1.ActionNotNeeded, v1alpha1.AlreadySoReason, cmp.Or(before.Message, "the target was already as desired"), now), true
	case spec.RollbackOf != nil && !before.AsLeft:
		return stop(status, v1alpha1.ActionFailed, v1alpha1.TargetChangedReason, before.Message, now), true
	}
	return Step{}, false
}

func announce(namespace, name string, spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) {
	status.State, status.Message = v1alpha1.ActionExecuting, ""
	number := int32(1)
	if n := len(status.Attempts); n > 0 {
		number = status.Attempts[n-1].Number + 1
	}
	// What never reached the target leaves room: the journal has it.
	status.Attempts = slices.DeleteFunc(slices.Clone(status.Attempts), func(a v1alpha1.Attempt) bool { return a.Outcome == v1alpha1.OutcomeNotSent })
	status.Attempts = append(status.Attempts, v1alpha1.Attempt{
		Number:       number,
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
		if left := attempt.DeadlineTime.Sub(attempt.StartTime.Time) + Skew - w.SeenFor; left > 0 {
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
	case w.Late || !now.Before(last(status).DeadlineTime.Time):
		return "not sent: the attempt's deadline had passed"
	case w.Withheld != "":
		return "not sent: " + w.Withheld
	case !permitted(w.Permission):
		return "not sent: it is no longer permitted: " + w.Permission.Verdict.Because
	case w.Permission.Verdict.Answer == v1alpha1.AnswerAsk && !approved(status, w.Permission, now):
		return "not sent: the approval does not stand any more"
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
		return verify(status, w, 0, now)
	case v1alpha1.OutcomeRefused:
		return refused(status, w, 0, now)
	case v1alpha1.OutcomeNotSent:
		status.State, status.Message = v1alpha1.ActionReady, sent.Message
		if sent.RetryAfter > 0 {
			attempt.RetryAfter = &metav1.Duration{Duration: sent.RetryAfter}
		}
		return Step{Recheck: pause(status)}
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
