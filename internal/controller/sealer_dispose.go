// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/guard"
)

// stays is how long a closed case still stays in the API: as long as its EvidenceLog says, and while a budget counts what an
// action of it did. Budgets count what is in the API, so what they count must not leave.
func (s *Sealer) stays(ctx context.Context, of *v1alpha1.EvidenceLog, c *v1alpha1.Case, records []loop.Object, leaving bool) (time.Duration, error) {
	if leaving || c.Status.Closure == nil {
		return 0, nil
	}
	after := 24 * time.Hour
	if of.Spec.ArchiveAfter != nil {
		after = of.Spec.ArchiveAfter.Duration
	}
	counted, err := s.counted(ctx, c.Namespace, records)
	return max(c.Status.Closure.Time.Add(after).Sub(s.clock.Now()), counted), err
}

// counted is how long a budget still counts an action among some records: one of a Guardrail of their namespace or of the
// operator's. What a breaker looks at has no time, so that it does not keep a case from leaving.
func (s *Sealer) counted(ctx context.Context, namespace string, records []loop.Object) (time.Duration, error) {
	var left time.Duration
	for _, from := range []string{namespace, s.namespace} {
		var guardrails v1alpha1.GuardrailList
		if err := s.client.List(ctx, &guardrails, client.InNamespace(from)); err != nil {
			return 0, fmt.Errorf("list the guardrails of namespace %s: %w", from, err)
		}
		for _, record := range records {
			a, _ := record.(*v1alpha1.Action)
			if a == nil {
				continue
			}
			if began, ok := guard.Began(a); ok {
				for i := range guardrails.Items {
					left = max(left, began.Add(guard.Counts(&guardrails.Items[i], a.Spec.Operation)).Sub(s.clock.Now()))
				}
			}
		}
	}
	return left, nil
}

// dispose deletes the records of a sealed case from the API, the case last. Each is deleted only as it was sealed.
func (s *Sealer) dispose(ctx context.Context, c *v1alpha1.Case, records []loop.Object) error {
	for _, record := range records {
		if record == loop.Object(c) {
			continue
		}
		if err := s.delete(ctx, record); err != nil {
			return err
		}
	}
	free := c.DeepCopy()
	free.Finalizers = nil
	if err := s.client.Update(ctx, free); err != nil {
		return fmt.Errorf("free case %s: %w", c.Name, client.IgnoreNotFound(err))
	}
	return s.delete(ctx, free)
}

func (s *Sealer) delete(ctx context.Context, record client.Object) error {
	uid, version := record.GetUID(), record.GetResourceVersion()
	err := s.client.Delete(ctx, record, client.Preconditions{UID: &uid, ResourceVersion: &version})
	if err := client.IgnoreNotFound(err); err != nil {
		return fmt.Errorf("delete %s after sealing: %w", record.GetName(), err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sealed, uid)
	delete(s.closed, uid)
	return nil
}
