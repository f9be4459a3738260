// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/action"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/kube"
)

// intent is what somebody wants done, before it is an Action.
type intent struct {
	// name is the Action's derived name.
	name string
	// namespace is the tenant.
	namespace string
	// operation is connector/operation; empty for a rollback.
	operation string
	// input is the operation's input; nil for a rollback.
	input map[string]any
	// rollbackOf is the action to take back; nil for an operation.
	rollbackOf *v1alpha1.Action
	// pins are the connectors that the run pinned; nil where the connector is to be used as it is now.
	pins []v1alpha1.PinnedConnector
	// spec has everything else that is known: case, run, step, handle, requester, author, revision, deadline.
	spec v1alpha1.ActionSpec
}

// planAction makes the Action of an intent: the target, the semantics and the rollback come from the connector, and the
// digest binds it all. A terminal fault says that it can never be done.
func (k *connectors) planAction(ctx context.Context, want intent) (*v1alpha1.Action, error) {
	operation, input := want.operation, want.input
	if want.rollbackOf != nil {
		operation = want.rollbackOf.Spec.Rollback.Operation
		want.spec.RollbackOf = &v1alpha1.RecordRef{Name: want.rollbackOf.Name, UID: string(want.rollbackOf.UID)}
	}
	opened, err := k.openFor(ctx, want)
	if err != nil {
		return nil, err
	}
	pin, err := opened.pin()
	if err != nil {
		return nil, err
	}
	connectorName, operationName := splitOperation(operation)
	if want.rollbackOf != nil {
		if input, err = opened.rollbackInput(want.rollbackOf); err != nil {
			return nil, err
		}
	}
	spec := want.spec
	spec.ConnectorRef, spec.ConnectorRevision = v1alpha1.RecordRef{Name: pin.Name, UID: pin.UID}, pin.Revision
	if err := connector.Plan(&spec, connectorName, opened, operationName, input); err != nil {
		return nil, err
	}
	if spec.PlanDigest, err = action.PlanDigest(spec); err != nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "%w", err)
	}
	return &v1alpha1.Action{
		ObjectMeta: metav1.ObjectMeta{
			Name: want.name, Namespace: want.namespace, Labels: map[string]string{v1alpha1.CaseLabel: spec.CaseRef.Name},
		},
		Spec: spec,
	}, nil
}

// openFor opens the connector of an intent: a rollback uses what its action used, a step what its run pinned, and what is
// done by hand the connector as it is now.
func (k *connectors) openFor(ctx context.Context, want intent) (openConnector, error) {
	if of := want.rollbackOf; of != nil {
		if of.Spec.Rollback.Operation == "" {
			return openConnector{}, fault.Terminalf(v1alpha1.InvalidSpecReason, "%s cannot be taken back: %s", of.Spec.Operation, of.Spec.Rollback.NotPossible)
		}
		return k.pinned(ctx, want.namespace, pinOf(of.Spec))
	}
	name, _ := splitOperation(want.operation)
	for _, pin := range want.pins {
		if pin.Name == name {
			return k.pinned(ctx, want.namespace, pin)
		}
	}
	return k.open(ctx, want.namespace, name)
}

// pinOf is the connector as an action pinned it.
func pinOf(spec v1alpha1.ActionSpec) v1alpha1.PinnedConnector {
	return v1alpha1.PinnedConnector{Name: spec.ConnectorRef.Name, UID: spec.ConnectorRef.UID, Revision: spec.ConnectorRevision}
}

// rollbackInput is what takes an action back: its own input, unless the connector says otherwise.
func (o openConnector) rollbackInput(forward *v1alpha1.Action) (map[string]any, error) {
	input, err := decodeObject(&forward.Spec.Input)
	if err != nil {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "the input of action %s is not an object: %w", forward.Name, err)
	}
	_, operation := splitOperation(forward.Spec.Operation)
	return connector.RollbackInput(o.Connector, operation, input)
}

// createAction makes the Action, or finds it made: the same plan for the same reason is the same action.
func createAction(ctx context.Context, c client.Client, planned *v1alpha1.Action) error {
	return kube.Create(ctx, c, planned, func(existing *v1alpha1.Action) bool {
		return existing.Spec.PlanDigest == planned.Spec.PlanDigest && existing.Spec.CaseRef == planned.Spec.CaseRef
	})
}

// actionDeadline is how long an action done by hand, or a rollback, may take to begin: as long as people may be asked.
const actionDeadline = 24 * time.Hour

// splitOperation takes connector/operation apart.
func splitOperation(name string) (connectorName, operation string) {
	connectorName, operation, _ = strings.Cut(name, "/")
	return connectorName, operation
}
