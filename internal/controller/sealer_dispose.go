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
)

// stays is how long a closed case still stays in the API.
func (s *Sealer) stays(of *v1alpha1.EvidenceLog, c *v1alpha1.Case, leaving bool) time.Duration {
	if leaving || c.Status.Closure == nil {
		return 0
	}
	after := 24 * time.Hour
	if of.Spec.ArchiveAfter != nil {
		after = of.Spec.ArchiveAfter.Duration
	}
	return c.Status.Closure.Time.Add(after).Sub(s.clock.Now())
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
