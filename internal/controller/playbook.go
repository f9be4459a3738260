// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/playbook"
)

// playbookKind compiles a Playbook and keeps each revision that compiles as a ControllerRevision, owned by nothing: a
// run pins one, and executes it even when the Playbook is edited or deleted.
type playbookKind struct {
	direct client.Client // past the cache: revisions are not watched
	checks *checks
}

type playbookWorld struct {
	revision *appsv1.ControllerRevision
}

// Observe compiles, checks the operations, and makes the revision in memory.
func (k *playbookKind) Observe(ctx context.Context, pb *v1alpha1.Playbook) (playbookWorld, error) {
	compiled, err := playbook.Compile(pb.Spec)
	if err != nil {
		return playbookWorld{}, fault.Terminalf(v1alpha1.InvalidExpressionReason, "%w", err)
	}
	if err := k.checks.mutations(ctx, pb.Namespace, compiled.Operations()); err != nil {
		return playbookWorld{}, err
	}
	revision, err := revisionOf(playbookRevision, pb, pb.Spec)
	return playbookWorld{revision: revision}, err
}

// Decide pins the revision.
func (*playbookKind) Decide(_ context.Context, pb *v1alpha1.Playbook, w playbookWorld, _ time.Time) loop.Plan[*appsv1.ControllerRevision] {
	plan := loop.Plan[*appsv1.ControllerRevision]{
		Headline: metav1.Condition{Status: metav1.ConditionTrue, Reason: v1alpha1.ReadyReason, Message: "compiled; new runs pin " + w.revision.Name},
	}
	if pb.Status.Revision != w.revision.Name {
		pb.Status.Revision = w.revision.Name
		plan.Commands = []*appsv1.ControllerRevision{w.revision}
	}
	return plan
}

// Act keeps the revision.
func (k *playbookKind) Act(ctx context.Context, _ *v1alpha1.Playbook, revision *appsv1.ControllerRevision) error {
	return keepRevision[v1alpha1.PlaybookSpec](ctx, k.direct, revision)
}
