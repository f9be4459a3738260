// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package httptool is the declarative connector: whatever speaks HTTP is reached by
// operations that people write as data, in spec.operations of a Connector. Its
// requests are templates whose values are escaped for the place they are put in;
// its answers are judged by conditions.
//
// One half of the package compiles and runs operations; it knows no network. The
// other half, endpoint, carries one request and its answer.
package httptool

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/expr"
	"github.com/casebook-dev/casebook/internal/fault"
)

// connection implements connector.Connector for the operations of one object.
type connection struct {
	compiled *compiled
	probe    *v1alpha1.ConnectorProbe
	target   exchanger
	timeout  time.Duration // of an exchange that brings no deadline
	accept   bool          // no header of the connector says what is accepted
}

var (
	_ connector.Connector       = (*connection)(nil)
	_ connector.RollbackPlanner = (*connection)(nil)
)

// Operations implements connector.Connector.
func (c *connection) Operations() []connector.Operation { return c.compiled.declared }

// Target implements connector.Connector.
func (c *connection) Target(name string, input map[string]any) (v1alpha1.Target, error) {
	o, err := c.mutation(name)
	if err != nil {
		return v1alpha1.Target{}, err
	}
	if err := o.declared.CheckInput(input); err != nil {
		return v1alpha1.Target{}, err
	}
	// It is pure: an expression is bounded by its cost, and needs no deadline to end.
	text, err := o.target.RenderText(context.Background(), o.variables(input), plainText)
	if err != nil {
		return v1alpha1.Target{}, fault.Terminalf(connector.InvalidInputReason, "could not name the target of %s: %w", name, err)
	}
	if n := utf8.RuneCountInString(text); n == 0 || n > maxTargetName {
		return v1alpha1.Target{}, fault.Terminalf(connector.InvalidInputReason,
			"could not name the target of %s: its name has %d characters: want 1 to %d", name, n, maxTargetName)
	}
	return v1alpha1.Target{Type: o.declared.TargetType, Name: text}, nil
}

// RollbackInput implements connector.RollbackPlanner.
func (c *connection) RollbackInput(name string, input map[string]any) (map[string]any, error) {
	o, err := c.mutation(name)
	if err != nil {
		return nil, err
	}
	if o.rollback.operation == "" {
		return nil, fault.Terminalf(connector.UnknownOperationReason, "could not take back %s: %s", name, o.declared.NotPossible)
	}
	if err := o.declared.CheckInput(input); err != nil {
		return nil, err
	}
	if o.rollback.input == nil {
		return maps.Clone(input), nil
	}
	back, err := renderInput(context.Background(), o.rollback.input, o.variables(input))
	if err != nil {
		return nil, fault.Terminalf(connector.InvalidInputReason, "could not write the input of %s, which takes back %s: %w", o.rollback.operation, name, err)
	}
	return back, nil
}

// maxTargetName is how many characters the name of an Action's target may have.
const maxTargetName = 512

func (c *connection) mutation(name string) (*operation, error) {
	if _, err := connector.FindMutation(c.compiled.declared, name); err != nil {
		return nil, err
	}
	return c.compiled.byName[name], nil
}

// Read implements connector.Connector.
func (c *connection) Read(ctx context.Context, name string, input map[string]any) (any, error) {
	if _, err := connector.FindRead(c.compiled.declared, name); err != nil {
		return nil, err
	}
	ctx, cancel := connector.Until(ctx, time.Time{}, c.timeout)
	defer cancel()
	return c.read(ctx, c.compiled.byName[name], input)
}

// read runs a read once.
func (c *connection) read(ctx context.Context, o *operation, input map[string]any) (any, error) {
	if err := o.declared.CheckInput(input); err != nil {
		return nil, err
	}
	variables := o.variables(input)
	a, failed, err := c.exchange(ctx, o, variables)
	if err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, readFault(o.declared.Name, failed)
	}
	variables["response"] = a.variable()
	did := o.didIt(ctx, variables, a)
	if refused := o.refusedIt(ctx, variables, a); refused.declared && refused.truth != expr.False {
		did = verdict{truth: expr.False, why: refused.why}
	}
	switch did.truth {
	case expr.False:
		return nil, o.unread(a, did.why)
	case expr.Unknown:
		return nil, fmt.Errorf("could not run %s: succeeded is undecided: %w: %s", o.declared.Name, did.why, a)
	}
	value, err := o.output.Eval(ctx, variables)
	if err != nil {
		return nil, fmt.Errorf("could not use the answer to %s: %w", o.declared.Name, err)
	}
	return value, nil
}

// exchange renders and sends one request, once.
func (c *connection) exchange(ctx context.Context, o *operation, variables map[string]any) (answer, *exchangeError, error) {
	out, err := o.render(ctx, variables)
	if err != nil {
		return answer{}, nil, err
	}
	if c.accept && out.Header.Get("Accept") == "" {
		out.Header.Set("Accept", "application/json, */*;q=0.5")
	}
	in, failed := c.target.exchange(ctx, out)
	if failed != nil {
		return answer{}, failed, nil
	}
	return answerOf(in), nil, nil
}

// readFault is the error of a read that brought no answer.
func readFault(name string, failed *exchangeError) error {
	switch {
	case failed.Outcome == v1alpha1.OutcomeRefused || failed.Reason == connector.CredentialsRejectedReason:
		return fault.Terminalf(failed.Reason, "could not run %s: %s", name, failed.Message)
	case failed.RetryAfter > 0 || failed.Reason == connector.RateLimitedReason:
		return fault.Waitf(failed.Reason, cmp.Or(failed.RetryAfter, retryLater), "could not run %s: %s", name, failed.Message)
	default:
		return fmt.Errorf("could not run %s: %s", name, failed.Message)
	}
}

// retryLater is how long to wait when the target says so without a time.
const retryLater = 5 * time.Second

// unread is the error of a read whose answer is no success.
func (o *operation) unread(a answer, why error) error {
	name := o.declared.Name
	switch {
	case a.status == http.StatusUnauthorized:
		return fault.Terminalf(connector.CredentialsRejectedReason, "could not run %s: %s: the credentials are not accepted: renew the Secret", name, a)
	case a.status == http.StatusForbidden:
		return fault.Terminalf(v1alpha1.TargetForbiddenReason, "could not run %s: %s: let whoever administers the target grant it", name, a)
	case a.status == http.StatusTooManyRequests, a.status == http.StatusServiceUnavailable && a.retryAfter > 0:
		return fault.Waitf(connector.RateLimitedReason, cmp.Or(a.retryAfter, retryLater), "could not run %s: %s: it is asked again", name, a)
	case why != nil:
		return fmt.Errorf("could not run %s: refused is undecided: %w: %s", name, why, a)
	default:
		return fmt.Errorf("could not run %s: %s", name, a)
	}
}

// Probe implements connector.Connector: it makes the read of spec.probe. Without one it sends nothing, but reads the
// credentials, so that a Secret that is missing shows.
func (c *connection) Probe(ctx context.Context) error {
	if c.probe == nil {
		ctx, cancel := connector.Until(ctx, time.Time{}, c.timeout)
		defer cancel()
		if endpoint, ok := c.target.(interface{ check(context.Context) error }); ok {
			return endpoint.check(ctx)
		}
		return nil
	}
	o, input, err := c.compiled.probe(c.probe)
	if err != nil {
		return fault.Terminalf(v1alpha1.InvalidSpecReason, "could not probe: %w", err)
	}
	ctx, cancel := connector.Until(ctx, time.Time{}, c.timeout)
	defer cancel()
	_, err = c.read(ctx, o, input)
	return err
}

func isAccept(header string) bool { return http.CanonicalHeaderKey(header) == "Accept" }
