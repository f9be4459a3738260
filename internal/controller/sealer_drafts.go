// Copyright The Casebook Authors.
// SPDX-License-Identifier: Apache-2.0

package controller

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/casebook-dev/casebook/api/v1alpha1"
	"github.com/casebook-dev/casebook/internal/controller/loop"
	"github.com/casebook-dev/casebook/internal/evidence"
)

// append seals the entries of records that are not sealed yet.
func (s *Sealer) append(ctx context.Context, log Log, c *v1alpha1.Case, records []loop.Object) error {
	var drafts []evidence.Draft
	reached := map[types.UID]int64{}
	for _, record := range records {
		from, err := s.sealedOf(ctx, log, record.GetUID())
		if err != nil {
			return err
		}
		more, err := s.drafts(c, record, from)
		if err != nil {
			return err
		}
		drafts = append(drafts, more...)
		reached[record.GetUID()] = lastSequence(record)
	}
	if len(drafts) > 0 {
		sortDrafts(drafts)
		if err := log.Append(ctx, drafts); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for uid, sequence := range reached {
		s.sealed[uid] = sequence
	}
	return nil
}

// sealedOf is the last sealed sequence of an object; -1 if nothing is.
func (s *Sealer) sealedOf(ctx context.Context, log Log, uid types.UID) (int64, error) {
	s.mu.Lock()
	if s.sealed == nil {
		s.sealed = map[types.UID]int64{}
	}
	sequence, known := s.sealed[uid]
	s.mu.Unlock()
	if known {
		return sequence, nil
	}
	sequence, known, err := log.Head(ctx, string(uid))
	if err != nil || !known {
		return -1, err
	}
	return sequence, nil
}

func lastSequence(record loop.Object) int64 {
	if journal := record.Head().Journal; len(journal) > 0 {
		return journal[len(journal)-1].Sequence
	}
	return 0
}

// drafts are the entries of a record after the given sequence. Entry 0 is its immutable spec.
func (s *Sealer) drafts(c *v1alpha1.Case, record loop.Object, after int64) ([]evidence.Draft, error) {
	gvk, err := apiutil.GVKForObject(record, s.client.Scheme())
	if err != nil {
		return nil, err
	}
	object := evidence.Object{
		APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Namespace: record.GetNamespace(), Name: record.GetName(), UID: string(record.GetUID()),
	}
	of := evidence.Case{Name: c.Name, UID: string(c.UID)}
	var out []evidence.Draft
	if after < 0 {
		record.GetObjectKind().SetGroupVersionKind(gvk)
		raw, err := json.Marshal(record)
		if err != nil {
			return nil, err
		}
		creation, err := evidence.Creation(raw)
		if err != nil {
			return nil, err
		}
		out = append(out, evidence.Draft{
			Object: object, Case: of, Time: evidence.MicroTime{Time: record.GetCreationTimestamp().Time}, Actor: creator(record), Reason: "Created", Spec: creation,
		})
	}
	for _, entry := range record.Head().Journal {
		if entry.Sequence > after {
			out = append(out, evidence.Draft{
				Object: object, Case: of, Sequence: entry.Sequence, Time: evidence.MicroTime{Time: entry.Time.Time},
				Actor: evidenceActor(entry.Actor), Reason: entry.Reason, Patch: entry.Patch,
			})
		}
	}
	return out, nil
}

// creator is who made a record: the person who decided, or automation.
func creator(record loop.Object) evidence.Actor {
	if d, ok := record.(*v1alpha1.Decision); ok && d.Spec.Actor != nil {
		return evidence.Actor{Type: evidence.Person, Name: d.Spec.Actor.Username, UID: d.Spec.Actor.UID, Groups: d.Spec.Actor.Groups}
	}
	return evidence.Actor{Type: evidence.Automation, Name: "controllers"}
}

func evidenceActor(a v1alpha1.JournalActor) evidence.Actor {
	return evidence.Actor{
		Type: evidence.ActorType(a.Type), Name: a.Name, UID: a.UID, Groups: a.Groups, Revision: a.Revision, Step: a.Step,
	}
}
