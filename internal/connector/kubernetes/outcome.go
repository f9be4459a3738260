// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// retryLater is how long to wait when the API server says so without a time.
const retryLater = 5 * time.Second

// readFault gives the error of a read the meaning that package fault has for it.
// What says to people what was read, such as "pod shop/web".
func (c *connection) readFault(err error, verb string, on resource, namespace, what string) error {
	switch {
	case err == nil:
		return nil
	case impersonationDenied(err):
		return fault.Terminalf(connector.ImpersonationForbiddenReason,
			"could not act as ServiceAccount %s: ServiceAccount %s may not impersonate it: let whoever administers namespace %s run: %s",
			c.account, c.grants.operator, c.account.Namespace, c.grants.impersonation())
	case apierrors.IsForbidden(err):
		return fault.Terminalf(v1alpha1.TargetForbiddenReason, "could not %s %s: %s", verb, what, c.missing(verb, on, namespace))
	case apierrors.IsUnauthorized(err):
		return fault.Terminalf(connector.CredentialsRejectedReason,
			"could not %s %s: the API server rejects the operator's own credentials: check its ServiceAccount token", verb, what)
	case apierrors.IsTooManyRequests(err):
		after := retryLater
		if seconds, ok := apierrors.SuggestsClientDelay(err); ok && seconds > 0 {
			after = time.Duration(seconds) * time.Second
		}
		return fault.Waitf(connector.RateLimitedReason, after,
			"could not %s %s: the API server has too many requests: it is asked again", verb, what)
	default:
		return fmt.Errorf("%s %s: %w", verb, what, err)
	}
}

// missing names the rule that is missing and the command that adds it.
func (c *connection) missing(verb string, on resource, namespace string) string {
	return fmt.Sprintf("ServiceAccount %s lacks the verb %q on %s in namespace %s: grant it with: %s",
		c.account, verb, on, namespace, c.grants.rule(verb, on, namespace))
}

// impersonationDenied reports whether it is the operator that was forbidden to
// impersonate, not the account to do something.
func impersonationDenied(err error) bool {
	return apierrors.IsForbidden(err) && strings.Contains(err.Error(), "impersonate")
}

// step is one write of a mutation, for messages.
type step struct {
	what      string // such as "label pod shop/web"
	verb      string
	on        resource
	namespace string
}

// classify says what is known of one write.
func (c *connection) classify(ctx context.Context, r reply, s step) connector.Result {
	if r.err == nil {
		return connector.Result{Outcome: v1alpha1.OutcomeAcknowledged}
	}
	if r.notSent {
		return connector.NotBegun(ctx, fmt.Errorf("%s: %w", s.what, r.err))
	}
	var status apierrors.APIStatus // is no error itself, so AsType cannot name it
	if !errors.As(r.err, &status) {
		return connector.Failed(v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason,
			"could not learn whether this was done: %s: %v", s.what, r.err)
	}
	return c.answered(ctx, status.Status(), r.err, s)
}

// answered classifies a write by the answer that the API server gave.
func (c *connection) answered(ctx context.Context, status metav1.Status, err error, s step) connector.Result {
	refused := func(reason string) connector.Result {
		return connector.Failed(v1alpha1.OutcomeRefused, reason, "could not %s: %v", s.what, err)
	}
	switch code := int(status.Code); {
	case code == http.StatusTooManyRequests: // the API server answers so before it looks at a request
		return connector.Failed(v1alpha1.OutcomeNotSent, connector.RateLimitedReason,
			"could not %s: the API server has too many requests: it will be tried again", s.what)
	case code == http.StatusRequestTimeout || code == http.StatusTooEarly || code < 400 || code >= 500:
		return connector.Failed(v1alpha1.OutcomeInDoubt, v1alpha1.OutcomeUnknownReason,
			"could not learn whether this was done: %s: %v", s.what, err)
	case code == http.StatusUnauthorized:
		return refused(connector.CredentialsRejectedReason)
	case impersonationDenied(err):
		return connector.NotBegun(ctx, c.readFault(err, s.verb, s.on, s.namespace, s.what))
	case code == http.StatusForbidden:
		return c.forbidden(err, s)
	case fieldConflict(status), code == http.StatusConflict && s.verb == "delete": // what stands there now is someone else's
		return refused(v1alpha1.TargetChangedReason)
	case code == http.StatusNotFound, code == http.StatusConflict, uidMismatch(status):
		return connector.Failed(v1alpha1.OutcomeRefused, v1alpha1.TargetReplacedReason,
			"could not %s: what the action was planned for is gone, or another has its name: %v", s.what, err)
	default:
		return refused(v1alpha1.RefusedReason)
	}
}

// forbidden tells RBAC, which a grant mends, from other ways to be forbidden:
// admission, quota, a namespace that is being deleted.
func (c *connection) forbidden(err error, s step) connector.Result {
	for _, verb := range []string{"create", "patch", "delete"} { // an apply needs patch, and create where the object is new
		if strings.Contains(err.Error(), fmt.Sprintf("cannot %s resource", verb)) {
			return connector.Failed(v1alpha1.OutcomeRefused, v1alpha1.TargetForbiddenReason,
				"could not %s: %s", s.what, c.missing(verb, s.on, s.namespace))
		}
	}
	return connector.Failed(v1alpha1.OutcomeRefused, v1alpha1.TargetForbiddenReason, "could not %s: %v", s.what, err)
}

// fieldConflict reports whether someone else set a field that was applied.
func fieldConflict(status metav1.Status) bool {
	return hasCause(status, func(cause metav1.StatusCause) bool { return cause.Type == metav1.CauseTypeFieldManagerConflict })
}

// uidMismatch reports whether the object has another uid than the one applied:
// to the API server, a change of an immutable field.
func uidMismatch(status metav1.Status) bool {
	return hasCause(status, func(cause metav1.StatusCause) bool { return cause.Field == "metadata.uid" })
}

func hasCause(status metav1.Status, is func(metav1.StatusCause) bool) bool {
	if status.Details == nil {
		return false
	}
	for _, cause := range status.Details.Causes {
		if is(cause) {
			return true
		}
	}
	return false
}
