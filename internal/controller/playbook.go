// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/internal/playbook"
)

// PlaybookLabel names the Playbook that a ControllerRevision is of.
const PlaybookLabel = "casebook.dev/playbook"

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
	revision, err := revisionOf(pb)
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
	return kube.Create(ctx, k.direct, revision, func(existing *appsv1.ControllerRevision) bool {
		return sameJSON(existing.Data.Raw, revision.Data.Raw)
	})
}

// revisionOf is a playbook's spec under a name derived from its content.
func revisionOf(pb *v1alpha1.Playbook) (*appsv1.ControllerRevision, error) {
	raw, err := json.Marshal(pb.Spec)
	if err != nil {
		return nil, fmt.Errorf("encode playbook %s: %w", pb.Name, err)
	}
	const most = 256 << 10
	if len(raw) > most {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "the playbook has %d bytes, at most %d can be kept as a revision: split it", len(raw), most)
	}
	sum := sha256.Sum256(raw)
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: pb.Name + "-" + hex.EncodeToString(sum[:5]), Namespace: pb.Namespace, Labels: map[string]string{PlaybookLabel: pb.Name},
			Annotations: map[string]string{v1alpha1.ChangedByAnnotation: pb.Annotations[v1alpha1.ChangedByAnnotation]},
		},
		Data: runtime.RawExtension{Raw: raw}, Revision: pb.Generation,
	}, nil
}

// sameJSON compares content: the API server may have written it anew.
func sameJSON(a, b []byte) bool {
	var left, right v1alpha1.PlaybookSpec
	if json.Unmarshal(a, &left) != nil || json.Unmarshal(b, &right) != nil {
		return false
	}
	x, errX := json.Marshal(left)
	y, errY := json.Marshal(right)
	return errX == nil && errY == nil && string(x) == string(y)
}
