// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"
	"fmt"
	"net/http"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/expr"
)

// verdict is the answer to one of the two questions about an answer. The zero value is Unknown and not declared.
type verdict struct {
	truth    expr.Truth
	declared bool
	why      error // of Unknown
}

func judge(ctx context.Context, condition *expr.Program, variables map[string]any, byStatus bool) verdict {
	if condition != nil {
		truth, err := condition.EvalBool(ctx, variables)
		return verdict{truth: truth, declared: true, why: err}
	}
	if byStatus {
		return verdict{truth: expr.True}
	}
	return verdict{truth: expr.False}
}

// didIt judges whether the target did what was asked: by succeeded, or by a status of 200 to 299.
func (o *operation) didIt(ctx context.Context, variables map[string]any, a answer) verdict {
	return judge(ctx, o.succeeded, variables, a.status >= 200 && a.status <= 299)
}

// refusedIt judges whether the target refused: by refused, or by a status of 400 to 499 but those that say nothing of it.
func (o *operation) refusedIt(ctx context.Context, variables map[string]any, a answer) verdict {
	byStatus := a.status >= 400 && a.status <= 499
	switch a.status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		byStatus = false
	}
	return judge(ctx, o.refused, variables, byStatus)
}

// classify says what is known of a mutation by its answer. What is declared counts before what a status means by
// itself, and whatever is not plainly one thing is doubt:
//
//   - a success needs a body that can be read, if there is one: half a document, or the page of a proxy, is none;
//   - succeeded and refused that are both declared and both hold contradict each other;
//   - 429 says that the request was not looked at (RFC 6585), unless a declared condition claims it; so does 401 to a
//     token that was kept from before, for which there is a new one;
//   - 5xx, 408 and 425 say nothing about the effect.
func (o *operation) classify(ctx context.Context, variables map[string]any, a answer) connector.Result {
	did, refused := o.didIt(ctx, variables, a), o.refusedIt(ctx, variables, a)
	told := func(outcome v1alpha1.AttemptOutcome, reason string) connector.Result {
		return connector.Result{Outcome: outcome, Reason: reason, Message: a.String()}
	}
	switch {
	case did.declared && did.truth == expr.True && refused.declared && refused.truth == expr.True:
		return doubt("both succeeded and refused hold of it: %s", a)
	case refused.declared && refused.truth == expr.True:
		return told(v1alpha1.OutcomeRefused, refusalReason(a.status))
	case did.truth == expr.True && a.unreadable != "":
		return doubt("%s: %s", a.unreadable, a)
	case did.declared && did.truth == expr.True:
		return told(v1alpha1.OutcomeAcknowledged, "")
	case refused.declared && refused.truth == expr.Unknown:
		return doubt("refused is undecided: %v: %s", refused.why, a)
	case did.truth == expr.True:
		return told(v1alpha1.OutcomeAcknowledged, "")
	case a.status == http.StatusTooManyRequests:
		result := told(v1alpha1.OutcomeNotSent, connector.RateLimitedReason)
		result.RetryAfter = a.retryAfter
		return result
	case a.stale:
		return told(v1alpha1.OutcomeNotSent, connector.CredentialsRejectedReason)
	case refused.truth == expr.True:
		return told(v1alpha1.OutcomeRefused, refusalReason(a.status))
	case did.truth == expr.Unknown:
		return doubt("succeeded is undecided: %v: %s", did.why, a)
	default:
		return doubt("%s", a)
	}
}

func doubt(format string, args ...any) connector.Result {
	return connector.Result{
		Outcome: v1alpha1.OutcomeInDoubt, Reason: v1alpha1.OutcomeUnknownReason,
		Message: connector.Clip("could not learn whether this was done: " + fmt.Sprintf(format, args...)),
	}
}

// refusalReason is what a refusal means by its status.
func refusalReason(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return connector.CredentialsRejectedReason
	case http.StatusForbidden:
		return v1alpha1.TargetForbiddenReason
	case http.StatusNotFound, http.StatusGone:
		return v1alpha1.TargetReplacedReason
	case http.StatusConflict, http.StatusPreconditionFailed:
		return v1alpha1.TargetChangedReason
	default:
		return v1alpha1.RefusedReason
	}
}
