// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Check refuses a request that is not to be served: one whose target is not that which Target gives for its input, and
// one without a mark. The error is Terminal.
func (r Request) Check(target v1alpha1.Target) error {
	switch {
	case r.Target != target:
		return fault.Terminalf(InvalidInputReason, "could not use %s: its target is %s, but its input means %s: plan the action again",
			r.Operation, named(r.Target), named(target))
	case r.Mark == "":
		return fault.Terminalf(InvalidInputReason, "could not use %s: the request has no mark: give it the name of the action", r.Operation)
	}
	return nil
}

// named names a target in a message, with all that tells it from another.
func named(t v1alpha1.Target) string {
	name := t.Name
	if t.Namespace != "" {
		name = t.Namespace + "/" + name
	}
	text := fmt.Sprintf("%s %q", t.Type, name)
	if t.UID != "" {
		text += fmt.Sprintf(" with uid %q", t.UID)
	}
	return text
}

// Until bounds a call by the deadline of its request, or by the connector's own timeout if it has none.
func Until(ctx context.Context, deadline time.Time, timeout time.Duration) (context.Context, context.CancelFunc) {
	if deadline.IsZero() {
		return context.WithTimeout(ctx, timeout)
	}
	return context.WithDeadline(ctx, deadline)
}

// Failed is a result that is not acknowledged.
func Failed(outcome v1alpha1.AttemptOutcome, reason, format string, args ...any) Result {
	return Result{Outcome: outcome, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// NotBegun is the result of a Do that ended at a read or a check, before it sent anything. What trying again cannot mend is
// refused; but an error that came when the time of ctx was over says nothing more than that.
func NotBegun(ctx context.Context, err error) Result {
	if terminal, ok := errors.AsType[*fault.Terminal](err); ok && ctx.Err() == nil {
		return Failed(v1alpha1.OutcomeRefused, terminal.Reason, "%v", err)
	}
	if wait, ok := errors.AsType[*fault.Wait](err); ok {
		result := Failed(v1alpha1.OutcomeNotSent, wait.Reason, "%v", err)
		result.RetryAfter = wait.After
		return result
	}
	reason := UnreachableReason
	if ctx.Err() != nil {
		reason = v1alpha1.DeadlinePassedReason
	}
	return Failed(v1alpha1.OutcomeNotSent, reason, "nothing was sent: %v", err)
}
