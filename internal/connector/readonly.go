// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package connector

import (
	"context"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/fault"
)

// ReadOnly is the half of a [Connector] that changes something, for one that never does: it refuses every operation. It is
// what the connector is, for messages, such as "a table".
type ReadOnly string

func (r ReadOnly) refuse(operation string) error {
	return fault.Terminalf(UnknownOperationReason, "could not use operation %q: %s is only read: use a connector that has it", operation, string(r))
}

// Target implements Connector: there is no mutation.
func (r ReadOnly) Target(operation string, _ map[string]any) (v1alpha1.Target, error) {
	return v1alpha1.Target{}, r.refuse(operation)
}

// Before implements Connector: there is no mutation.
func (r ReadOnly) Before(_ context.Context, request Request) (Observation, error) {
	return Observation{}, r.refuse(request.Operation)
}

// Do implements Connector: it refuses, for there is no mutation.
func (r ReadOnly) Do(_ context.Context, request Request) Result {
	return Failed(v1alpha1.OutcomeRefused, UnknownOperationReason, "%s", Clip(r.refuse(request.Operation).Error()))
}

// Verify implements Connector: there is no mutation.
func (r ReadOnly) Verify(_ context.Context, request Request) (Observation, error) {
	return Observation{}, r.refuse(request.Operation)
}
