// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/fault"
)

// connectors opens connectors: as they are now, or with the operations that a run or an action pinned. Endpoint,
// credentials and limits are always those of now.
type connectors struct {
	client     client.Reader
	opener     connector.Opener
	operations *pinned[[]v1alpha1.ConnectorOperation]
}

// openConnector is a connector, opened, and the object that it is of.
type openConnector struct {
	connector.Connector
	object          *v1alpha1.Connector
	revision        string // of its operations; empty where they are in code
	settle, timeout time.Duration
}

// open opens a connector as it is now.
func (k *connectors) open(ctx context.Context, namespace, name string) (openConnector, error) {
	object, err := k.read(ctx, namespace, name)
	if err != nil {
		return openConnector{}, err
	}
	return k.use(object, object.Status.Revision)
}

// pinned opens a connector with pinned operations, if it is still the one that was pinned.
func (k *connectors) pinned(ctx context.Context, namespace string, pin v1alpha1.PinnedConnector) (openConnector, error) {
	object, err := k.read(ctx, namespace, pin.Name)
	if err != nil {
		return openConnector{}, err
	}
	if string(object.UID) != pin.UID {
		return openConnector{}, fault.Terminalf(v1alpha1.ReferenceNotFoundReason,
			"connector %s is not the one that was meant: it was deleted and made again", object.Name)
	}
	if pin.Revision != "" && object.Spec.HTTP != nil {
		operations, err := k.operations.get(ctx, namespace, pin.Revision)
		if err != nil {
			return openConnector{}, err
		}
		object.Spec.Operations = operations
	}
	return k.use(object, pin.Revision)
}

func (k *connectors) read(ctx context.Context, namespace, name string) (*v1alpha1.Connector, error) {
	var object v1alpha1.Connector
	if err := k.client.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &object); apierrors.IsNotFound(err) {
		return nil, fault.Terminalf(v1alpha1.ReferenceNotFoundReason, "there is no connector %s in namespace %s: make one", name, namespace)
	} else if err != nil {
		return nil, fmt.Errorf("read connector %s: %w", name, err)
	}
	return object.DeepCopy(), nil
}

func (k *connectors) use(object *v1alpha1.Connector, revision string) (openConnector, error) {
	opened, err := k.opener.Open(object)
	if err != nil {
		return openConnector{}, err
	}
	effective := object.Spec.Effective()
	return openConnector{
		Connector: opened, object: object, revision: revision, settle: effective.Settle.Duration, timeout: effective.Timeout.Duration,
	}, nil
}

// lookUp runs one read, as connector/operation, within the connector's own time.
func (k *connectors) lookUp(ctx context.Context, namespace, operation string, input map[string]any) (any, error) {
	name, read := splitOperation(operation)
	opened, err := k.open(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, opened.timeout)
	defer cancel()
	return opened.Read(ctx, read, input)
}

// pin is the connector as a run pins it. One whose operations are declared must have a revision.
func (o openConnector) pin() (v1alpha1.PinnedConnector, error) {
	if o.object.Spec.HTTP != nil && o.revision == "" {
		return v1alpha1.PinnedConnector{}, fault.Terminalf(v1alpha1.ReferenceNotFoundReason,
			"connector %s has no revision that compiles: see kubectl describe connector %s", o.object.Name, o.object.Name)
	}
	return v1alpha1.PinnedConnector{Name: o.object.Name, UID: string(o.object.UID), Revision: o.revision}, nil
}

// connectorKind checks that a Connector can be used, and keeps each revision of its operations.
type connectorKind struct {
	direct client.Client // past the cache: revisions are not watched
	opener connector.Opener
}

type connectorWorld struct {
	kind       string
	operations []connector.Operation
	revision   *appsv1.ControllerRevision // nil where the operations are in code
	cannot     error                      // why the target cannot be used now
}

// Observe opens the connector, makes its revision in memory, and asks the target.
func (k *connectorKind) Observe(ctx context.Context, c *v1alpha1.Connector) (connectorWorld, error) {
	w := connectorWorld{kind: connector.KindOf(c.Spec)}
	opened, err := k.opener.Open(c)
	if err != nil {
		return w, err
	}
	w.operations = opened.Operations()
	if c.Spec.HTTP != nil {
		if w.revision, err = revisionOf(connectorRevision, c, operations{c.Spec.Operations}); err != nil {
			return w, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Spec.Effective().Timeout.Duration)
	defer cancel()
	w.cannot = known(opened.Probe(ctx))
	return w, nil
}

// known makes a failure that may pass one that the status tells, beside what the connector offers.
func known(err error) error {
	if err == nil {
		return nil
	}
	_, terminal := errors.AsType[*fault.Terminal](err)
	_, wait := errors.AsType[*fault.Wait](err)
	if terminal || wait {
		return err
	}
	return fault.Waitf(connector.UnreachableReason, stalledRecheck, "%w", err)
}

// Decide notes what the connector offers, whether or not its target answers: a run pins it either way.
func (*connectorKind) Decide(_ context.Context, c *v1alpha1.Connector, w connectorWorld, _ time.Time) loop.Plan[*appsv1.ControllerRevision] {
	c.Status.Tool, c.Status.Operations = w.kind, connector.Declared(w.operations)
	c.Status.Offers = oneLine(c.Status.Operations, func(o v1alpha1.DeclaredOperation) string { return o.Name })
	plan := loop.Plan[*appsv1.ControllerRevision]{
		Recheck:  probeEvery,
		Headline: metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReadyReason, Message: "in use"},
		Fault:    w.cannot,
	}
	if c.Spec.Probe != nil {
		plan.Recheck = cmp.Or(c.Spec.Effective().Probe.Every.Duration, probeEvery)
	}
	if w.revision != nil && c.Status.Revision != w.revision.Name {
		c.Status.Revision = w.revision.Name
		plan.Commands = []*appsv1.ControllerRevision{w.revision}
	}
	return plan
}

// probeEvery is how often a target is asked whether it can be used, where the connector does not say.
const probeEvery = 5 * time.Minute

// Act keeps the revision.
func (k *connectorKind) Act(ctx context.Context, _ *v1alpha1.Connector, revision *appsv1.ControllerRevision) error {
	return keepRevision[operations](ctx, k.direct, revision)
}
