// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"cmp"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

func intent(t *testing.T, semantics v1alpha1.Semantics) v1alpha1.ActionSpec {
	t.Helper()
	spec := v1alpha1.ActionSpec{
		Operation: "kubernetes/isolatePod", Input: apiextensionsv1.JSON{Raw: []byte(`{"name":"web-1"}`)}, Semantics: semantics,
		Target: v1alpha1.Target{Type: "Pod", Name: "web-1", Namespace: "shop", UID: "u1"}, DeadlineTime: metav1.NewMicroTime(now.Add(time.Hour)),
	}
	digest, err := PlanDigest(spec)
	if err != nil {
		t.Fatal(err)
	}
	spec.PlanDigest = digest
	return spec
}

func allowed() Permission {
	return Permission{Verdict: v1alpha1.GuardVerdict{Answer: v1alpha1.AnswerAllow, Because: "reversible"}}
}

func asked(digest string) Permission {
	return Permission{
		Verdict:  v1alpha1.GuardVerdict{Answer: v1alpha1.AnswerAsk, Because: "no rule answers"},
		Question: &v1alpha1.Question{Prompt: "isolate?", Verb: "approve", Count: 1, Digest: digest, DueTime: metav1.NewMicroTime(now.Add(10 * time.Minute))},
	}
}

func world(p Permission) World {
	return World{
		Holder: "me", Permission: p, Before: &Sight{}, Verifiable: true, Settle: 5 * time.Second, Timeout: 10 * time.Second,
	}
}

// attempted is a status with one announced attempt.
func attempted(state v1alpha1.ActionState, change func(*v1alpha1.Attempt)) v1alpha1.ActionStatus {
	a := v1alpha1.Attempt{
		Number: 1, Holder: "me", StartTime: metav1.NewMicroTime(now.Add(-time.Second)), DeadlineTime: metav1.NewMicroTime(now.Add(9 * time.Second)),
	}
	if change != nil {
		change(&a)
	}
	return v1alpha1.ActionStatus{State: state, Attempts: []v1alpha1.Attempt{a}}
}

// byMia is an approval so much from now.
func byMia(since time.Duration) []v1alpha1.Approval {
	return []v1alpha1.Approval{{Actor: v1alpha1.Actor{Username: "mia"}, Time: metav1.NewMicroTime(now.Add(since))}}
}

// questioned is a status whose question was asked and is due so much from now.
func questioned(t *testing.T, status v1alpha1.ActionStatus, since, due time.Duration) v1alpha1.ActionStatus {
	t.Helper()
	status.Question = asked(intent(t, v1alpha1.Idempotent).PlanDigest).Question
	status.Question.AskedTime, status.Question.DueTime = metav1.NewMicroTime(now.Add(since)), metav1.NewMicroTime(now.Add(due))
	return status
}

func doubtful(ago time.Duration) func(*v1alpha1.Attempt) {
	return func(a *v1alpha1.Attempt) {
		end := metav1.NewMicroTime(now.Add(-ago))
		a.Outcome, a.EndTime = v1alpha1.OutcomeInDoubt, &end
	}
}

func acknowledged(ago time.Duration) func(*v1alpha1.Attempt) {
	return func(a *v1alpha1.Attempt) {
		end := metav1.NewMicroTime(now.Add(-ago))
		a.Outcome, a.EndTime = v1alpha1.OutcomeAcknowledged, &end
	}
}

func resolved(outcome v1alpha1.ResolveOutcome) func(*World, v1alpha1.ActionSpec) {
	return func(w *World, _ v1alpha1.ActionSpec) {
		w.Resolutions = []v1alpha1.Resolution{{Decision: "d1", Outcome: outcome, Message: "its log says so", Actor: v1alpha1.Actor{Username: "mia"}}}
	}
}

func TestNext(t *testing.T) {
	type want struct {
		State    v1alpha1.ActionState
		Command  Command
		Attempts int
		Reason   string
	}
	other := func(a *v1alpha1.Attempt) { a.Holder = "another" }
	unsent := func(a *v1alpha1.Attempt) { a.Outcome = v1alpha1.OutcomeNotSent }
	approved := func(w *World, s v1alpha1.ActionSpec) {
		w.SeenFor, w.Permission = time.Hour, asked(s.PlanDigest)
		w.Permission.Approved, w.Permission.Approvals = true, byMia(-time.Second/4)
	}
	long := func(w *World, _ v1alpha1.ActionSpec) { w.SeenFor = time.Hour }
	denied := func(a *v1alpha1.Attempt) { a.Outcome, a.Message = v1alpha1.OutcomeRefused, "it is there already" }
	again := func(status v1alpha1.ActionStatus, change func(*v1alpha1.Attempt)) v1alpha1.ActionStatus {
		status.Attempts = append(status.Attempts, attempted("", change).Attempts...)
		return status
	}
	refusal := func(after *Sight, seenFor time.Duration) func(*World, v1alpha1.ActionSpec) {
		return func(w *World, _ v1alpha1.ActionSpec) {
			w.After, w.SeenFor = after, seenFor
			w.Sent = &Sent{Outcome: v1alpha1.OutcomeRefused, Message: "it is there already", Time: now}
		}
	}
	for name, tt := range map[string]struct {
		semantics v1alpha1.Semantics
		status    v1alpha1.ActionStatus
		world     func(*World, v1alpha1.ActionSpec)
		late      time.Duration
		want      want
	}{
		"what is allowed is announced, and nothing is sent in that pass": {
			want: want{State: v1alpha1.ActionExecuting, Attempts: 1},
		},
		"what was announced and read back is sent": {
			status: attempted(v1alpha1.ActionExecuting, nil),
			want:   want{State: v1alpha1.ActionExecuting, Command: Send, Attempts: 1},
		},
		"what is denied ends": {
			world: func(w *World, _ v1alpha1.ActionSpec) { w.Permission.Verdict.Answer = v1alpha1.AnswerDeny },
			want:  want{State: v1alpha1.ActionDenied, Reason: v1alpha1.DeniedByGuardrailReason},
		},
		"what no rule answers asks a person": {
			world: func(w *World, s v1alpha1.ActionSpec) { w.Permission = asked(s.PlanDigest) },
			want:  want{State: v1alpha1.ActionAsking, Reason: v1alpha1.ApprovalRequiredReason},
		},
		"what a person approved is announced": {
			status: questioned(t, v1alpha1.ActionStatus{State: v1alpha1.ActionAsking}, -time.Minute, time.Minute),
			world:  approved,
			want:   want{State: v1alpha1.ActionExecuting, Attempts: 1},
		},
		"what was approved before anybody was asked is asked": {
			world: approved,
			want:  want{State: v1alpha1.ActionAsking, Reason: v1alpha1.ApprovalRequiredReason},
		},
		"an approval of an earlier question is none of one that asks the same anew": {
			status: questioned(t, v1alpha1.ActionStatus{State: v1alpha1.ActionAsking}, -time.Minute, time.Minute),
			world: func(w *World, s v1alpha1.ActionSpec) {
				approved(w, s)
				w.Permission.Approvals = byMia(-2 * time.Minute)
			},
			want: want{State: v1alpha1.ActionAsking, Reason: v1alpha1.ApprovalRequiredReason},
		},
		"an approval is worth nothing once others are to be asked": {
			status: questioned(t, v1alpha1.ActionStatus{State: v1alpha1.ActionAsking}, -time.Minute, time.Minute),
			world: func(w *World, s v1alpha1.ActionSpec) {
				approved(w, s)
				w.Permission.Question.Groups = []string{"directors"}
			},
			want: want{State: v1alpha1.ActionAsking, Reason: v1alpha1.ApprovalRequiredReason},
		},
		"nor is it sent once others are to be asked": {
			status: questioned(t, attempted(v1alpha1.ActionExecuting, nil), -time.Minute, time.Minute),
			world: func(w *World, s v1alpha1.ActionSpec) {
				approved(w, s)
				w.Permission.Question.Excluded = []string{"mia"}
			},
			want: want{State: v1alpha1.ActionReady, Attempts: 1},
		},
		"what a person denied ends, whatever others approved": {
			world: func(w *World, s v1alpha1.ActionSpec) {
				w.Permission = asked(s.PlanDigest)
				w.Permission.Approved, w.Permission.Denied = true, &v1alpha1.Approval{Actor: v1alpha1.Actor{Username: "mia"}}
			},
			want: want{State: v1alpha1.ActionDenied, Reason: v1alpha1.DeniedByPersonReason},
		},
		"a question nobody answered in time ends": {
			status: v1alpha1.ActionStatus{State: v1alpha1.ActionAsking},
			world: func(w *World, s v1alpha1.ActionSpec) {
				w.Permission = asked(s.PlanDigest)
				w.Permission.Question.DueTime = metav1.NewMicroTime(now)
			},
			want: want{State: v1alpha1.ActionExpired, Reason: v1alpha1.ApprovalExpiredReason},
		},
		"an approval under which nothing was sent in time is worth nothing": {
			status: questioned(t, attempted(v1alpha1.ActionReady, unsent), -time.Minute, 0),
			world:  approved,
			want:   want{State: v1alpha1.ActionExpired, Attempts: 1, Reason: v1alpha1.ApprovalExpiredReason},
		},
		"an approval that expired between the announcement and the send is worth nothing": {
			status: questioned(t, attempted(v1alpha1.ActionExecuting, nil), -time.Minute, 0),
			world:  approved,
			want:   want{State: v1alpha1.ActionReady, Attempts: 1},
		},
		"an approval still serves to end what was begun under it": {
			status: questioned(t, attempted(v1alpha1.ActionReady, doubtful(time.Minute)), -time.Hour, 0),
			world:  approved,
			want:   want{State: v1alpha1.ActionExecuting, Attempts: 2},
		},
		"an approval serves nothing that was begun before it was asked for": {
			status: questioned(t, attempted(v1alpha1.ActionReady, doubtful(time.Minute)), -time.Second/2, 0),
			world:  approved,
			want:   want{State: v1alpha1.ActionUnknown, Attempts: 1, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"an approval waits for a clock that went back to before it was asked for": {
			status: questioned(t, v1alpha1.ActionStatus{State: v1alpha1.ActionAsking}, time.Hour, 2*time.Hour),
			world:  approved,
			want:   want{State: v1alpha1.ActionAsking, Reason: v1alpha1.ApprovalRequiredReason},
		},
		"an approval that was not used in time is worth nothing": {
			status: v1alpha1.ActionStatus{State: v1alpha1.ActionReady},
			world: func(w *World, s v1alpha1.ActionSpec) {
				w.Permission = asked(s.PlanDigest)
				w.Permission.Question.DueTime = metav1.NewMicroTime(now)
				w.Permission.Approved, w.Permission.Approvals = true, byMia(-time.Second/4)
			},
			want: want{State: v1alpha1.ActionExpired, Reason: v1alpha1.ApprovalExpiredReason},
		},
		"what is so already is not needed": {
			world: func(w *World, _ v1alpha1.ActionSpec) { w.Before.Desired = true },
			want:  want{State: v1alpha1.ActionNotNeeded, Reason: v1alpha1.AlreadySoReason},
		},
		"a target that was replaced is not touched": {
			world: func(w *World, _ v1alpha1.ActionSpec) { w.Before.Gone = true },
			want:  want{State: v1alpha1.ActionFailed, Reason: v1alpha1.TargetReplacedReason},
		},
		"an approval withdrawn between announcing and sending stops the send": {
			status: attempted(v1alpha1.ActionExecuting, nil),
			world:  func(w *World, s v1alpha1.ActionSpec) { w.Permission = asked(s.PlanDigest) },
			want:   want{State: v1alpha1.ActionReady, Attempts: 1},
		},
		"a guardrail that denies between announcing and sending stops the send": {
			status: attempted(v1alpha1.ActionExecuting, nil),
			world:  func(w *World, _ v1alpha1.ActionSpec) { w.Permission.Verdict.Answer = v1alpha1.AnswerDeny },
			want:   want{State: v1alpha1.ActionReady, Attempts: 1},
		},
		"a person who denies between announcing and sending stops the send": {
			status: questioned(t, attempted(v1alpha1.ActionExecuting, nil), -time.Minute, time.Minute),
			world: func(w *World, s v1alpha1.ActionSpec) {
				approved(w, s)
				w.Permission.Denied = &byMia(0)[0]
			},
			want: want{State: v1alpha1.ActionReady, Attempts: 1},
		},
		"an attempt whose deadline passed unsent is not sent": {
			status: attempted(v1alpha1.ActionExecuting, nil), late: time.Minute,
			want: want{State: v1alpha1.ActionReady, Attempts: 1},
		},
		"nor one whose deadline passed while the clock went back": {
			status: attempted(v1alpha1.ActionExecuting, nil),
			world:  func(w *World, _ v1alpha1.ActionSpec) { w.Late = true },
			want:   want{State: v1alpha1.ActionReady, Attempts: 1},
		},
		"an attempt that another process announced is waited out": {
			status: attempted(v1alpha1.ActionExecuting, other),
			want:   want{State: v1alpha1.ActionExecuting, Attempts: 1},
		},
		"an attempt whose process is gone is in doubt, never sent by another": {
			status: attempted(v1alpha1.ActionExecuting, other),
			world:  long,
			want:   want{State: v1alpha1.ActionSettling, Attempts: 1},
		},
		"an acknowledgement that is read back succeeds": {
			status: attempted(v1alpha1.ActionExecuting, nil),
			world: func(w *World, _ v1alpha1.ActionSpec) {
				w.Sent, w.After = &Sent{Outcome: v1alpha1.OutcomeAcknowledged, Time: now}, &Sight{Desired: true}
			},
			want: want{State: v1alpha1.ActionSucceeded, Attempts: 1, Reason: v1alpha1.VerifiedReason},
		},
		"an acknowledgement that cannot be read back is shown as such": {
			status: attempted(v1alpha1.ActionExecuting, nil),
			world: func(w *World, _ v1alpha1.ActionSpec) {
				w.Sent, w.Verifiable = &Sent{Outcome: v1alpha1.OutcomeAcknowledged, Time: now}, false
			},
			want: want{State: v1alpha1.ActionSucceeded, Attempts: 1, Reason: v1alpha1.AcknowledgedReason},
		},
		"a target that says yes and does nothing fails in the end": {
			status: attempted(v1alpha1.ActionVerifying, acknowledged(VerifyWithin+time.Second)),
			world: func(w *World, _ v1alpha1.ActionSpec) {
				w.SeenFor, w.After = VerifyWithin, &Sight{Message: "the label is gone"}
			},
			want: want{State: v1alpha1.ActionFailed, Attempts: 1, Reason: v1alpha1.NotAsDesiredReason},
		},
		"a refusal after a doubt that cannot be read is no failure: the doubt may be why": {
			status: again(attempted(v1alpha1.ActionExecuting, doubtful(time.Minute)), nil),
			world: func(w *World, s v1alpha1.ActionSpec) {
				refusal(nil, 0)(w, s)
				w.Verifiable = false
			},
			want: want{State: v1alpha1.ActionUnknown, Attempts: 2, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"what is refused after a doubt may be done, and not show yet": {
			status: again(attempted(v1alpha1.ActionExecuting, doubtful(time.Minute)), nil),
			world:  refusal(&Sight{}, 0),
			want:   want{State: v1alpha1.ActionVerifying, Attempts: 2},
		},
		"what is refused after a doubt and shows nothing, though it must by now, is unknown": {
			status: again(attempted(v1alpha1.ActionVerifying, doubtful(time.Minute)), denied),
			world:  refusal(&Sight{}, VerifyWithin),
			want:   want{State: v1alpha1.ActionUnknown, Attempts: 2, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"what is refused because an attempt in doubt has done it is done": {
			status: again(attempted(v1alpha1.ActionVerifying, doubtful(time.Minute)), denied),
			world:  refusal(&Sight{Desired: true}, time.Second),
			want:   want{State: v1alpha1.ActionSucceeded, Attempts: 2, Reason: v1alpha1.VerifiedReason},
		},
		"what is refused because somebody else has done it is not needed": {
			status: attempted(v1alpha1.ActionExecuting, nil),
			world:  refusal(&Sight{Desired: true}, 0),
			want:   want{State: v1alpha1.ActionNotNeeded, Attempts: 1, Reason: v1alpha1.AlreadySoReason},
		},
		"what is refused and not so is failed": {
			status: attempted(v1alpha1.ActionExecuting, nil),
			world:  refusal(&Sight{}, 0),
			want:   want{State: v1alpha1.ActionFailed, Attempts: 1, Reason: v1alpha1.RefusedReason},
		},
		"what is refused is read until it can be": {
			status: attempted(v1alpha1.ActionVerifying, denied),
			world:  refusal(nil, time.Second),
			want:   want{State: v1alpha1.ActionVerifying, Attempts: 1},
		},
		"what is refused and can never be read is failed": {
			status: attempted(v1alpha1.ActionVerifying, denied),
			world:  refusal(nil, VerifyWithin),
			want:   want{State: v1alpha1.ActionFailed, Attempts: 1, Reason: v1alpha1.RefusedReason},
		},
		"a target that was replaced after a doubt is no failure": {
			status: attempted(v1alpha1.ActionReady, doubtful(time.Minute)),
			world:  func(w *World, _ v1alpha1.ActionSpec) { w.Before.Gone = true },
			want:   want{State: v1alpha1.ActionUnknown, Attempts: 1, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"a timeout is no failure: it is settled first": {
			status: attempted(v1alpha1.ActionExecuting, nil),
			world:  func(w *World, _ v1alpha1.ActionSpec) { w.Sent = &Sent{Outcome: v1alpha1.OutcomeInDoubt, Time: now} },
			want:   want{State: v1alpha1.ActionSettling, Attempts: 1},
		},
		"nothing is read or repeated before the doubt has settled": {
			status: attempted(v1alpha1.ActionSettling, doubtful(time.Second)),
			world:  func(w *World, _ v1alpha1.ActionSpec) { w.After = &Sight{Desired: true} },
			want:   want{State: v1alpha1.ActionSettling, Attempts: 1},
		},
		"a doubt that turns out done succeeds": {
			status: attempted(v1alpha1.ActionSettling, doubtful(time.Minute)),
			world:  func(w *World, _ v1alpha1.ActionSpec) { w.SeenFor, w.After = w.Settle, &Sight{Desired: true} },
			want:   want{State: v1alpha1.ActionSucceeded, Attempts: 1, Reason: v1alpha1.VerifiedReason},
		},
		"an idempotent operation in doubt is tried again": {
			status: attempted(v1alpha1.ActionSettling, doubtful(time.Minute)),
			world:  func(w *World, _ v1alpha1.ActionSpec) { w.SeenFor, w.After = w.Settle, &Sight{} },
			want:   want{State: v1alpha1.ActionReady, Attempts: 1},
		},
		"an operation that may run at most once ends unknown": {
			semantics: v1alpha1.AtMostOnce,
			status:    attempted(v1alpha1.ActionSettling, doubtful(time.Minute)),
			world:     func(w *World, _ v1alpha1.ActionSpec) { w.SeenFor, w.After = w.Settle, &Sight{} },
			want:      want{State: v1alpha1.ActionUnknown, Attempts: 1, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"an operation that must be read back and cannot be ends unknown": {
			semantics: v1alpha1.ReadBack,
			status:    attempted(v1alpha1.ActionSettling, doubtful(time.Minute)),
			world:     long,
			want:      want{State: v1alpha1.ActionUnknown, Attempts: 1, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"a retry that finds the target as desired after a doubt has succeeded, not been needless": {
			status: attempted(v1alpha1.ActionReady, doubtful(time.Minute)),
			world:  func(w *World, _ v1alpha1.ActionSpec) { w.Before.Desired = true },
			want:   want{State: v1alpha1.ActionSucceeded, Attempts: 1, Reason: v1alpha1.VerifiedReason},
		},
		"an operation that must be read back is read again for a while": {
			semantics: v1alpha1.ReadBack,
			status:    attempted(v1alpha1.ActionSettling, doubtful(time.Minute)),
			world:     func(w *World, _ v1alpha1.ActionSpec) { w.SeenFor, w.ReadError = w.Settle, "it is down" },
			want:      want{State: v1alpha1.ActionSettling, Attempts: 1},
		},
		"what is read back and not there, once it would show, is tried again": {
			semantics: v1alpha1.ReadBack,
			status:    attempted(v1alpha1.ActionSettling, doubtful(time.Minute)),
			world:     func(w *World, _ v1alpha1.ActionSpec) { w.SeenFor, w.After = w.Settle+VerifyWithin, &Sight{} },
			want:      want{State: v1alpha1.ActionReady, Attempts: 1},
		},
		"what is read back and not there may not show yet": {
			semantics: v1alpha1.ReadBack,
			status:    attempted(v1alpha1.ActionSettling, doubtful(time.Minute)),
			world:     func(w *World, _ v1alpha1.ActionSpec) { w.SeenFor, w.After = w.Settle+VerifyWithin-1, &Sight{} },
			want:      want{State: v1alpha1.ActionSettling, Attempts: 1},
		},
		"a key that the target still knows is sent again": {
			semantics: v1alpha1.Keyed,
			status:    attempted(v1alpha1.ActionSettling, doubtful(time.Second)),
			world: func(w *World, _ v1alpha1.ActionSpec) {
				w.SeenFor, w.KeyRetention, w.Verifiable = w.Settle, time.Hour, false
			},
			want: want{State: v1alpha1.ActionReady, Attempts: 1},
		},
		"a key that the target may have forgotten is not sent again unread": {
			semantics: v1alpha1.Keyed,
			status:    attempted(v1alpha1.ActionSettling, doubtful(time.Second)),
			world: func(w *World, _ v1alpha1.ActionSpec) {
				w.SeenFor, w.KeyRetention, w.Verifiable = w.Settle, time.Hour, false
			},
			late: 55 * time.Minute,
			want: want{State: v1alpha1.ActionUnknown, Attempts: 1, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"nor one that it may have forgotten when the request arrives": {
			status: attempted(v1alpha1.ActionReady, doubtful(time.Second)),
			world: func(w *World, _ v1alpha1.ActionSpec) {
				w.KeyRetention, w.Verifiable, w.Timeout, w.Settle = time.Minute, false, 10*time.Second, 5*time.Second
			},
			semantics: v1alpha1.Keyed,
			late:      40 * time.Second,
			want:      want{State: v1alpha1.ActionUnknown, Attempts: 1, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"nor after it waited for its turn so long": {
			semantics: v1alpha1.Keyed,
			status:    attempted(v1alpha1.ActionHeld, doubtful(time.Second)),
			world:     func(w *World, _ v1alpha1.ActionSpec) { w.KeyRetention, w.Verifiable = time.Hour, false },
			late:      55 * time.Minute,
			want:      want{State: v1alpha1.ActionUnknown, Attempts: 1, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"a target that was never read back leaves unknown what it acknowledged": {
			status: attempted(v1alpha1.ActionVerifying, acknowledged(time.Second)),
			world:  func(w *World, _ v1alpha1.ActionSpec) { w.SeenFor, w.ReadError = VerifyWithin, "it is down" },
			want:   want{State: v1alpha1.ActionUnknown, Attempts: 1, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"a clock that jumps an hour takes over nobody's attempt": {
			status: attempted(v1alpha1.ActionExecuting, other),
			late:   time.Hour,
			want:   want{State: v1alpha1.ActionExecuting, Attempts: 1},
		},
		"a clock that jumps an hour settles no doubt": {
			status: attempted(v1alpha1.ActionSettling, doubtful(time.Second)),
			late:   time.Hour,
			want:   want{State: v1alpha1.ActionSettling, Attempts: 1},
		},
		"a doubt does not end as expired": {
			status: attempted(v1alpha1.ActionReady, doubtful(time.Second)),
			late:   2 * time.Hour,
			want:   want{State: v1alpha1.ActionUnknown, Attempts: 1, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"a doubt does not end as denied": {
			status: attempted(v1alpha1.ActionReady, doubtful(time.Second)),
			world:  func(w *World, _ v1alpha1.ActionSpec) { w.Permission.Verdict.Answer = v1alpha1.AnswerDeny },
			want:   want{State: v1alpha1.ActionUnknown, Attempts: 1, Reason: v1alpha1.OutcomeUnknownReason},
		},
		"a person who found that it happened ends it": {
			status: attempted(v1alpha1.ActionUnknown, doubtful(time.Minute)),
			world:  resolved(v1alpha1.ResolveHappened),
			want:   want{State: v1alpha1.ActionSucceeded, Attempts: 1, Reason: v1alpha1.ResolvedByPersonReason},
		},
		"a person who found that it did not ends it": {
			status: attempted(v1alpha1.ActionUnknown, doubtful(time.Minute)),
			world:  resolved(v1alpha1.ResolveDidNot),
			want:   want{State: v1alpha1.ActionFailed, Attempts: 1, Reason: v1alpha1.ResolvedByPersonReason},
		},
		"a person may have it tried again": {
			semantics: v1alpha1.AtMostOnce,
			status:    attempted(v1alpha1.ActionUnknown, doubtful(time.Minute)),
			world:     resolved(v1alpha1.ResolveRetry),
			want:      want{State: v1alpha1.ActionReady, Attempts: 1, Reason: v1alpha1.RetryingReason},
		},
		"a decision resolves once": {
			status: func() v1alpha1.ActionStatus {
				s := attempted(v1alpha1.ActionUnknown, doubtful(time.Minute))
				s.Resolutions = []v1alpha1.Resolution{{Decision: "d1", Outcome: v1alpha1.ResolveRetry}}
				return s
			}(),
			world: resolved(v1alpha1.ResolveRetry),
			want:  want{State: v1alpha1.ActionUnknown, Attempts: 1, Reason: "Unknown"},
		},
		"a target that asks to be left alone is": {
			status: func() v1alpha1.ActionStatus {
				s := attempted(v1alpha1.ActionReady, nil)
				s.Attempts[0].Outcome, s.Attempts[0].RetryAfter = v1alpha1.OutcomeNotSent, &metav1.Duration{Duration: time.Minute}
				return s
			}(),
			world: func(w *World, _ v1alpha1.ActionSpec) { w.SeenFor = 59 * time.Second },
			want:  want{State: v1alpha1.ActionReady, Attempts: 1},
		},
		"an attempt that was not sent makes room for the next": {
			status: func() v1alpha1.ActionStatus {
				s := attempted(v1alpha1.ActionReady, nil)
				s.Attempts[0].Outcome = v1alpha1.OutcomeNotSent
				return s
			}(),
			world: long,
			want:  want{State: v1alpha1.ActionExecuting, Attempts: 1},
		},
		"a rollback waits until what it takes back has ended": {
			world: func(w *World, _ v1alpha1.ActionSpec) { w.Unready = "it goes on" },
			want:  want{State: v1alpha1.ActionReady},
		},
		"nothing begins after the action's deadline": {
			late: 2 * time.Hour,
			want: want{State: v1alpha1.ActionExpired, Reason: v1alpha1.DeadlinePassedReason},
		},
		"nothing begins while the evidence cannot be kept": {
			world: func(w *World, _ v1alpha1.ActionSpec) { w.Withheld = "the journal is full" },
			want:  want{State: v1alpha1.ActionHeld},
		},
	} {
		t.Run(name, func(t *testing.T) {
			semantics := tt.semantics
			if semantics == "" {
				semantics = v1alpha1.Idempotent
			}
			spec := intent(t, semantics)
			w := world(allowed())
			if tt.world != nil {
				tt.world(&w, spec)
			}
			status := *tt.status.DeepCopy()
			step := Next("soc", "a1", spec, &status, w, now.Add(tt.late))
			got := want{State: status.State, Command: step.Command, Attempts: len(status.Attempts), Reason: step.Headline.Reason}
			if diff := gocmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Guardrails and people are asked exactly where their answer can change what happens.
func TestHears(t *testing.T) {
	refused := &Sent{Outcome: v1alpha1.OutcomeRefused, Reason: v1alpha1.RefusedReason, Time: now}
	for name, tt := range map[string]struct {
		status v1alpha1.ActionStatus
		holder string
		sent   *Sent
		want   bool
	}{
		"before anything is announced":      {status: v1alpha1.ActionStatus{}, want: true},
		"while people are asked":            {status: questioned(t, v1alpha1.ActionStatus{State: v1alpha1.ActionAsking}, 0, time.Hour), want: true},
		"before an attempt of ours is sent": {status: attempted(v1alpha1.ActionExecuting, nil), want: true},
		"not once it was sent":              {status: attempted(v1alpha1.ActionExecuting, nil), sent: refused},
		"not of another's attempt":          {status: attempted(v1alpha1.ActionExecuting, nil), holder: "another"},
		"not while a doubt settles":         {status: attempted(v1alpha1.ActionSettling, doubtful(time.Second))},
		"not while it is read back":         {status: attempted(v1alpha1.ActionVerifying, acknowledged(time.Second))},
		"not of what is unknown":            {status: attempted(v1alpha1.ActionUnknown, doubtful(time.Minute))},
		"not of what has ended":             {status: v1alpha1.ActionStatus{State: v1alpha1.ActionSucceeded}},
	} {
		t.Run(name, func(t *testing.T) {
			next := func(p Permission) v1alpha1.ActionStatus {
				status, w := *tt.status.DeepCopy(), world(p)
				w.Holder, w.Sent = cmp.Or(tt.holder, w.Holder), tt.sent
				if got := Hears(status, w); got != tt.want {
					t.Errorf("Hears says %v, want %v", got, tt.want)
				}
				step := Next("soc", "a1", intent(t, v1alpha1.Idempotent), &status, w, now)
				status.Message += string(step.Command)
				return status
			}
			denied := Permission{Verdict: v1alpha1.GuardVerdict{Answer: v1alpha1.AnswerDeny, Because: "never"}}
			if diff := gocmp.Diff(next(allowed()), next(denied)); (diff != "") != tt.want {
				t.Errorf("what guardrails say makes this difference: %s", diff)
			}
		})
	}
}

func TestNextRollsBackOnlyWhatIsAsItWasLeft(t *testing.T) {
	spec := intent(t, v1alpha1.Idempotent)
	spec.RollbackOf = &v1alpha1.RecordRef{Name: "forward", UID: "f"}
	spec.PlanDigest, _ = PlanDigest(spec)
	for asLeft, want := range map[bool]v1alpha1.ActionState{true: v1alpha1.ActionExecuting, false: v1alpha1.ActionFailed} {
		status := v1alpha1.ActionStatus{}
		w := world(allowed())
		w.Before = &Sight{AsLeft: asLeft, Message: "another label stands there"}
		Next("soc", "a1", spec, &status, w, now)
		if status.State != want {
			t.Errorf("as left %v: state %s, want %s", asLeft, status.State, want)
		}
	}
}
