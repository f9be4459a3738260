// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package httptool

import (
	"context"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
)

// Do implements connector.Connector.
func (c *connection) Do(ctx context.Context, request connector.Request) connector.Result {
	ctx, cancel := connector.Until(ctx, request.Deadline, c.timeout)
	defer cancel()
	result := c.do(ctx, request)
	result.Message = connector.Clip(result.Message)
	return result
}

func (c *connection) do(ctx context.Context, request connector.Request) connector.Result {
	s, err := c.sit(request)
	if err != nil {
		return connector.NotBegun(ctx, err)
	}
	if request.Key == "" && s.declared.EffectiveSemantics() == v1alpha1.Keyed {
		return connector.Failed(v1alpha1.OutcomeRefused, connector.InvalidInputReason, "could not use %s: the request has no idempotency key", request.Operation)
	}
	if err := ctx.Err(); err != nil {
		return connector.NotBegun(ctx, err)
	}
	if result := s.mayTakeBack(ctx); result != nil {
		return *result
	}
	variables := s.variables(map[string]any{"key": request.Key})
	if s.operation.request.usesBefore {
		before, err := s.look(ctx, s.before)
		if err != nil {
			return connector.NotBegun(ctx, err)
		}
		var seen connector.Observation
		if s.judgeBefore(ctx, before, &seen); seen.Gone {
			return connector.Failed(v1alpha1.OutcomeRefused, v1alpha1.TargetReplacedReason, "could not run %s: %s", request.Operation, seen.Message)
		}
		variables["before"] = before
	}
	a, lost, err := c.exchange(ctx, s.operation, variables)
	switch {
	case err != nil:
		return connector.NotBegun(ctx, err)
	case lost != nil:
		return connector.Result{Outcome: lost.Outcome, Reason: lost.Reason, Message: lost.Message, RetryAfter: lost.RetryAfter}
	}
	variables["response"] = a.variable()
	return s.classify(ctx, variables, a)
}

// mayTakeBack looks once more, right before a rollback is sent, whether it would take back something of someone else's.
// Nil means that it may. A rollback that is done already may be sent again: that is how doubt about one is settled.
func (s *sitting) mayTakeBack(ctx context.Context) *connector.Result {
	if s.request.Forward == "" {
		return nil
	}
	seen, err := s.stands(ctx)
	if err == nil && !seen.AsLeft && !seen.Desired && !seen.Gone && s.verify != nil {
		var now connector.Observation
		now, err = s.holds(ctx)
		seen.Desired = now.Desired
	}
	var result connector.Result
	switch {
	case err != nil:
		result = connector.NotBegun(ctx, err)
	case seen.Gone:
		result = connector.Failed(v1alpha1.OutcomeRefused, v1alpha1.TargetReplacedReason, "could not run %s: %s", s.request.Operation, seen.Message)
	case !seen.AsLeft && !seen.Desired:
		result = connector.Failed(v1alpha1.OutcomeRefused, v1alpha1.TargetChangedReason, "could not run %s: %s", s.request.Operation, seen.Message)
	default:
		return nil
	}
	return &result
}
