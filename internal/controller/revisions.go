// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/fault"
	"github.com/casebook-dev/casebook/internal/kube"
	"github.com/casebook-dev/casebook/internal/playbook"
)

const (
	// RevisionLabel marks a ControllerRevision that runs and actions pin: "playbook" or "connector". Admission lets only
	// the controllers write one.
	RevisionLabel = "casebook.dev/revision"
	// revisionOfLabel names the object that it is a revision of.
	revisionOfLabel = "casebook.dev/revision-of"
	// maxRevision is how many bytes one may hold.
	maxRevision = 256 << 10
)

// The kinds of revision.
const (
	playbookRevision  = "playbook"
	connectorRevision = "connector"
)

// revisionOf keeps data under a name derived from it, owned by nothing: a run pins it, and executes it even when what it
// came from is edited or deleted.
func revisionOf(kind string, of client.Object, data any) (*appsv1.ControllerRevision, error) {
	raw, err := json.Marshal(data)
	if err != nil {
		return nil, fmt.Errorf("encode %s %s: %w", kind, of.GetName(), err)
	}
	if len(raw) > maxRevision {
		return nil, fault.Terminalf(v1alpha1.InvalidSpecReason, "the %s has %d bytes, at most %d can be kept as a revision: split it", kind, len(raw), maxRevision)
	}
	sum := sha256.Sum256(raw)
	return &appsv1.ControllerRevision{
		ObjectMeta: metav1.ObjectMeta{
			Name: of.GetName() + "-" + hex.EncodeToString(sum[:5]), Namespace: of.GetNamespace(),
			Labels:      map[string]string{RevisionLabel: kind, revisionOfLabel: labelValue(of.GetName())},
			Annotations: map[string]string{v1alpha1.ChangedByAnnotation: of.GetAnnotations()[v1alpha1.ChangedByAnnotation]},
		},
		Data: runtime.RawExtension{Raw: raw}, Revision: of.GetGeneration(),
	}, nil
}

// labelValue is a name as a label takes it; a longer one is cut, for labels only help people to find things.
func labelValue(name string) string { return name[:min(len(name), 63)] }

// keepRevision stores a revision, or finds it stored. One without its label is somebody else's: who made it could make it
// again with other data.
func keepRevision[T any](ctx context.Context, direct client.Client, revision *appsv1.ControllerRevision) error {
	kind := revision.Labels[RevisionLabel]
	return kube.Create(ctx, direct, revision, func(existing *appsv1.ControllerRevision) bool {
		return existing.Labels[RevisionLabel] == kind && sameJSON[T](existing.Data.Raw, revision.Data.Raw)
	})
}

// sameJSON compares content: the API server may have written it anew.
func sameJSON[T any](a, b []byte) bool {
	var left, right T
	if json.Unmarshal(a, &left) != nil || json.Unmarshal(b, &right) != nil {
		return false
	}
	x, errX := json.Marshal(left)
	y, errY := json.Marshal(right)
	return errX == nil && errY == nil && string(x) == string(y)
}

// pinned reads revisions of one kind and makes something of each. They never change, so what was made is kept.
type pinned[T any] struct {
	client client.Reader
	kind   string
	read   func(raw []byte) (T, error)
	cache  boundedCache[types.NamespacedName, T]
}

func (p *pinned[T]) get(ctx context.Context, namespace, name string) (T, error) {
	key := types.NamespacedName{Namespace: namespace, Name: name}
	if known, ok := p.cache.get(key); ok {
		return known, nil
	}
	var none T
	var revision appsv1.ControllerRevision
	if err := p.client.Get(ctx, key, &revision); apierrors.IsNotFound(err) {
		return none, fault.Terminalf(v1alpha1.RevisionMissingReason, "the %s revision %s does not exist any more: what pinned it cannot go on", p.kind, name)
	} else if err != nil {
		return none, fmt.Errorf("read %s revision %s: %w", p.kind, name, err)
	}
	if revision.Labels[RevisionLabel] != p.kind {
		return none, fault.Terminalf(v1alpha1.RevisionMissingReason, "the revision %s was not made by Casebook as one of a %s: delete it", name, p.kind)
	}
	made, err := p.read(revision.Data.Raw)
	if err != nil {
		return none, fault.Terminalf(v1alpha1.InvalidExpressionReason, "the %s revision %s cannot be used: %w", p.kind, name, err)
	}
	p.cache.put(key, made)
	return made, nil
}

// pinnedPlaybooks compiles the playbooks that runs pin.
func pinnedPlaybooks(direct client.Reader) *pinned[*playbook.Compiled] {
	return &pinned[*playbook.Compiled]{client: direct, kind: playbookRevision, read: func(raw []byte) (*playbook.Compiled, error) {
		var spec v1alpha1.PlaybookSpec
		if err := json.Unmarshal(raw, &spec); err != nil {
			return nil, err
		}
		return playbook.Compile(spec)
	}}
}

// pinnedOperations reads the operations that runs and actions pin.
func pinnedOperations(direct client.Reader) *pinned[[]v1alpha1.ConnectorOperation] {
	return &pinned[[]v1alpha1.ConnectorOperation]{client: direct, kind: connectorRevision, read: func(raw []byte) ([]v1alpha1.ConnectorOperation, error) {
		var kept operations
		err := json.Unmarshal(raw, &kept)
		return kept.Operations, err
	}}
}

// operations is what a connector's revision holds: endpoint, credentials and limits stay live.
type operations struct {
	Operations []v1alpha1.ConnectorOperation `json:"operations"`
}
