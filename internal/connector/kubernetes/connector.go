// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

// Package kubernetes is the connector to the cluster that Casebook runs in. It
// acts by impersonating a ServiceAccount of the Connector's own namespace, so
// that RBAC given to that ServiceAccount, and nothing else, decides what it
// touches; the operator's own power is that it may impersonate.
//
// Operations: getPod reads a pod and the workload that owns it; isolatePod cuts
// a pod off by a label and a NetworkPolicy that selects it; releasePod takes
// that back.
package kubernetes

import (
	"context"
	"fmt"
	"regexp"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/connector"
	"github.com/casebook-dev/casebook/internal/fault"
)

// Tool is the name of the system behind this connector, for status.tool.
const Tool = "kubernetes"

// The operations.
const (
	// GetPod reads a pod, its top owner and its namespace's labels.
	GetPod = "getPod"
	// IsolatePod denies all traffic of one pod, pinned by uid.
	IsolatePod = "isolatePod"
	// ReleasePod takes an isolation back.
	ReleasePod = "releasePod"
)

// podTarget is the Type of the target of IsolatePod and ReleasePod.
const podTarget = "Pod"

var (
	namespacePattern = regexp.MustCompile(`[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?`)
	namePattern      = regexp.MustCompile(`[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*`)
)

var (
	namespaceInput = connector.Input{
		Name: "namespace", Type: connector.StringInput, Required: true, Pattern: namespacePattern, MaxLength: 63,
		Want: "the namespace of the pod, for example shop",
	}
	nameInput = connector.Input{
		Name: "name", Type: connector.StringInput, Required: true, Pattern: namePattern, MaxLength: 253,
		Want: "the name of the pod, for example web-6d4f9c7b8-x2v5q",
	}
	uidInput = connector.Input{
		Name: "uid", Type: connector.StringInput, Required: true, MaxLength: 64,
		Want: "the uid of the pod, so that another pod of its name is not touched; getPod returns it as pod.uid",
	}
	clusterInput = connector.Input{
		Name: "cluster", Type: connector.StringInput, MaxLength: 253,
		Want: "the name that the signal gives the cluster, or nothing",
	}
)

// operations are what every connection offers. Functions and not a variable, so
// that no caller can change another's.
func operations() []connector.Operation {
	mutation := func(name, rollback string) connector.Operation {
		return connector.Operation{
			Name: name, Effect: v1alpha1.EffectReversible, Semantics: v1alpha1.Idempotent, Rollback: rollback,
			TargetType: podTarget, Inputs: []connector.Input{namespaceInput, nameInput, uidInput, clusterInput},
		}
	}
	return []connector.Operation{
		{Name: GetPod, Effect: v1alpha1.EffectRead, Inputs: []connector.Input{namespaceInput, nameInput, clusterInput}},
		mutation(IsolatePod, ReleasePod),
		mutation(ReleasePod, IsolatePod),
	}
}

// connection implements connector.Connector for one ServiceAccount.
type connection struct {
	api     *api
	account types.NamespacedName // whom it acts as
	cluster string               // the only name of this cluster; empty: any
	timeout time.Duration        // of an exchange that brings no deadline
	grants  grants
}

var _ connector.Connector = (*connection)(nil)

// Operations implements connector.Connector.
func (*connection) Operations() []connector.Operation { return operations() }

// Target implements connector.Connector: the pod, pinned by uid.
func (c *connection) Target(operation string, input map[string]any) (v1alpha1.Target, error) {
	declared, err := connector.FindMutation(operations(), operation)
	if err != nil {
		return v1alpha1.Target{}, err
	}
	if err := c.checkInput(declared, input); err != nil {
		return v1alpha1.Target{}, err
	}
	return v1alpha1.Target{
		Type: podTarget, Namespace: connector.String(input, "namespace"),
		Name: connector.String(input, "name"), UID: connector.String(input, "uid"),
	}, nil
}

// Read implements connector.Connector.
func (c *connection) Read(ctx context.Context, operation string, input map[string]any) (any, error) {
	declared, err := connector.FindRead(operations(), operation)
	if err != nil {
		return nil, err
	}
	if err := c.checkInput(declared, input); err != nil {
		return nil, err
	}
	ctx, cancel := connector.Until(ctx, time.Time{}, c.timeout)
	defer cancel()
	return c.getPod(ctx, connector.String(input, "namespace"), connector.String(input, "name"))
}

// Before implements connector.Connector.
func (c *connection) Before(ctx context.Context, request connector.Request) (connector.Observation, error) {
	return c.observe(ctx, request, c.beforeIsolate, c.beforeRelease)
}

// Verify implements connector.Connector.
func (c *connection) Verify(ctx context.Context, request connector.Request) (connector.Observation, error) {
	return c.observe(ctx, request, c.verifyIsolate, c.verifyRelease)
}

type reader func(context.Context, isolation) (connector.Observation, error)

func (c *connection) observe(ctx context.Context, request connector.Request, isolate, release reader) (connector.Observation, error) {
	wanted, err := c.isolationOf(request)
	if err != nil {
		return connector.Observation{}, err
	}
	ctx, cancel := connector.Until(ctx, request.Deadline, c.timeout)
	defer cancel()
	read := isolate
	if request.Operation == ReleasePod {
		read = release
	}
	observation, err := read(ctx, wanted)
	observation.Message = connector.Clip(observation.Message)
	return observation, err
}

// Do implements connector.Connector.
func (c *connection) Do(ctx context.Context, request connector.Request) connector.Result {
	wanted, err := c.isolationOf(request)
	if err != nil {
		return connector.NotBegun(ctx, err)
	}
	ctx, cancel := connector.Until(ctx, request.Deadline, c.timeout)
	defer cancel()
	var result connector.Result
	if request.Operation == ReleasePod {
		result = c.doRelease(ctx, wanted)
	} else {
		result = c.doIsolate(ctx, wanted)
	}
	result.Message = connector.Clip(result.Message)
	return result
}

// Probe implements connector.Connector: it asks the API server who it takes us
// for. Impersonation needs no ServiceAccount to exist, so a name that nobody
// created passes, and is then forbidden everything.
func (c *connection) Probe(ctx context.Context) error {
	ctx, cancel := connector.Until(ctx, time.Time{}, c.timeout)
	defer cancel()
	review := &authenticationv1.SelfSubjectReview{}
	if err := c.api.create(ctx, selfReviews, review, review); err != nil {
		return c.readFault(err, "create", selfReviews, "", "who the operator acts as")
	}
	if got, want := review.Status.UserInfo.Username, userName(c.account); got != want {
		return fmt.Errorf("could not act as ServiceAccount %s: the API server takes the operator for %q: is there a proxy that drops impersonation headers?", c.account, got)
	}
	return nil
}

// checkInput checks the input's form and that it means this cluster.
func (c *connection) checkInput(declared connector.Operation, input map[string]any) error {
	if err := declared.CheckInput(input); err != nil {
		return err
	}
	if cluster := connector.String(input, "cluster"); cluster != "" && c.cluster != "" && cluster != c.cluster {
		return fault.Terminalf(connector.OtherClusterReason,
			"could not use %s on cluster %q: this connector reaches cluster %q: use the connector of that cluster", declared.Name, cluster, c.cluster)
	}
	return nil
}

// isolationOf is the isolation that a request means, once its input and its
// target agree.
func (c *connection) isolationOf(request connector.Request) (isolation, error) {
	target, err := c.Target(request.Operation, request.Input)
	if err != nil {
		return isolation{}, err
	}
	if err := request.Check(target); err != nil {
		return isolation{}, err
	}
	return newIsolation(target, request.Mark), nil
}
