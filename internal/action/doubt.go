// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package action

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
)

// settle decides, once the request can no longer arrive, what the doubt comes to.
func settle(spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) Step {
	if left := w.Settle - w.SeenFor; left > 0 {
		return Step{Recheck: left}
	}
	if w.After != nil && w.After.Desired {
		return done(status, w.After, now)
	}
	readable := w.Verifiable && w.After != nil
	semantics := spec.Semantics
	if semantics == v1alpha1.Keyed && forgotten(spec, status, w, now) {
		semantics = v1alpha1.ReadBack // a repeat would be a new request
	}
	switch semantics {
	case v1alpha1.Idempotent, v1alpha1.Keyed:
		status.State = v1alpha1.ActionReady
		return Step{Recheck: time.Millisecond}
	case v1alpha1.ReadBack:
		switch {
		case w.Verifiable && w.SeenFor < w.Settle+within(w):
			return Step{Recheck: readAgain} // what came last may not show yet
		case readable:
			status.State = v1alpha1.ActionReady // it is not there, and can no longer come
			return Step{Recheck: time.Millisecond}
		}
		return end(status, v1alpha1.ActionUnknown, v1alpha1.OutcomeUnknownReason,
			"the target could not be read after the doubt: find out what happened"+why(w.ReadError), now)
	default:
		return end(status, v1alpha1.ActionUnknown, v1alpha1.OutcomeUnknownReason,
			"it may or may not have happened, and repeating is not safe: find out what happened", now)
	}
}

// verify reads back until the target is as desired, or too late. What was acknowledged and could never be read is not
// called failed: it may well have happened.
func verify(status *v1alpha1.ActionStatus, w World, lasted time.Duration, now time.Time) Step {
	if w.After != nil && w.After.Desired {
		return done(status, w.After, now)
	}
	if lasted < within(w) {
		return Step{Recheck: time.Second}
	}
	if w.After == nil {
		return end(status, v1alpha1.ActionUnknown, v1alpha1.OutcomeUnknownReason,
			"the target acknowledged it, and could not be read back: find out what happened"+why(w.ReadError), now)
	}
	status.After = w.After.State
	return end(status, v1alpha1.ActionFailed, v1alpha1.NotAsDesiredReason,
		"the target acknowledged it but is not as desired"+why(w.After.Message), now)
}

// refused reads back what was refused: it may be so already, by an attempt in doubt or by somebody else, and that may be why.
// What an attempt in doubt has done need not show yet.
func refused(status *v1alpha1.ActionStatus, w World, lasted time.Duration, now time.Time) Step {
	attempt := last(status)
	switch {
	case w.After != nil && w.After.Desired && doubted(status):
		return done(status, w.After, now)
	case w.After != nil && w.After.Desired:
		status.After = w.After.State
		return end(status, v1alpha1.ActionNotNeeded, v1alpha1.AlreadySoReason, "the target refused, and is as desired"+why(attempt.Message), now)
	case w.Verifiable && lasted < within(w) && (w.After == nil || doubted(status)):
		status.State, status.Message = v1alpha1.ActionVerifying, attempt.Message
		return Step{Recheck: time.Second}
	}
	return stop(status, v1alpha1.ActionFailed, cmp.Or(attempt.Reason, v1alpha1.RefusedReason), attempt.Message, now)
}

func within(w World) time.Duration { return cmp.Or(w.VerifyWithin, VerifyWithin) }

func why(message string) string {
	if message == "" {
		return ""
	}
	return ": " + message
}

func done(status *v1alpha1.ActionStatus, after *Sight, now time.Time) Step {
	status.After = after.State
	return end(status, v1alpha1.ActionSucceeded, v1alpha1.VerifiedReason, cmp.Or(after.Message, "read back: the target is as desired"), now)
}

// resolve applies what a person found of an action whose outcome is unknown. Each decision applies once.
func resolve(status *v1alpha1.ActionStatus, w World, now time.Time) Step {
	next := nextResolution(status, w.Resolutions)
	if next == nil {
		return Step{Headline: ended(status)}
	}
	status.Resolutions = append(slices.Clone(status.Resolutions), *next)
	message := fmt.Sprintf("by %s: %s", next.Actor.Username, next.Message)
	var step Step
	switch next.Outcome {
	case v1alpha1.ResolveHappened:
		step = end(status, v1alpha1.ActionSucceeded, v1alpha1.ResolvedByPersonReason, "it happened, "+message, now)
	case v1alpha1.ResolveDidNot:
		step = end(status, v1alpha1.ActionFailed, v1alpha1.ResolvedByPersonReason, "it did not happen, "+message, now)
	case v1alpha1.ResolveRetry:
		for i := range status.Attempts {
			if status.Attempts[i].Outcome == v1alpha1.OutcomeInDoubt {
				status.Attempts[i].Reason = v1alpha1.ResolvedByPersonReason // it did not happen: no doubt is left
			}
		}
		status.State, status.Message, status.EndTime = v1alpha1.ActionReady, "to be tried again, "+message, nil
		step = Step{Recheck: time.Millisecond, Headline: waiting(status.Message)}
	default:
		step = Step{Headline: ended(status)}
	}
	step.Actor = Person(next.Actor)
	return step
}

// nextResolution is the earliest decision that was not applied yet. The last place is kept for one that ends the action: else
// a person who had it tried again once too often could never say what became of it, nor close its case.
func nextResolution(status *v1alpha1.ActionStatus, counted []v1alpha1.Resolution) *v1alpha1.Resolution {
	var next *v1alpha1.Resolution
	for i := range counted {
		r := &counted[i]
		known := slices.ContainsFunc(status.Resolutions, func(k v1alpha1.Resolution) bool { return k.Decision == r.Decision })
		earlier := next == nil || cmp.Or(r.Time.Compare(next.Time.Time), strings.Compare(r.Decision, next.Decision)) < 0
		takes := r.Outcome != v1alpha1.ResolveRetry || status.MayRetry() // decision.Judge counts none beyond
		if !known && earlier && takes {
			next = r
		}
	}
	return next
}

// retries is how often a person had it tried again.
func retries(status *v1alpha1.ActionStatus) int {
	n := 0
	for _, r := range status.Resolutions {
		if r.Outcome == v1alpha1.ResolveRetry {
			n++
		}
	}
	return min(n, 2) // the schema bounds attempts
}

// reached is how many attempts may have reached the target.
func reached(status *v1alpha1.ActionStatus) int {
	n := 0
	for _, a := range status.Attempts {
		if a.Outcome != v1alpha1.OutcomeNotSent {
			n++
		}
	}
	return n
}

// doubted tells whether an earlier attempt may have done it.
func doubted(status *v1alpha1.ActionStatus) bool {
	return slices.ContainsFunc(status.Attempts, func(a v1alpha1.Attempt) bool {
		return a.Outcome == v1alpha1.OutcomeInDoubt && a.Reason != v1alpha1.ResolvedByPersonReason
	})
}

// forgotten tells whether the target may have forgotten the idempotency key when a request that is announced now arrives,
// as late as it may: with a margin of a tenth, at most an hour. A clock that went back cannot tell, and then it may have.
func forgotten(spec v1alpha1.ActionSpec, status *v1alpha1.ActionStatus, w World, now time.Time) bool {
	if spec.Semantics != v1alpha1.Keyed || len(status.Attempts) == 0 {
		return false
	}
	age := now.Sub(status.Attempts[0].StartTime.Time)
	return age < 0 || age >= w.KeyRetention-min(w.KeyRetention/10, time.Hour)-w.Timeout-w.Settle
}
